"""The report reads well on a phone and a screen, light and dark, and axe-core finds nothing."""

import pytest

from groundkit.report.compare import compare
from groundkit.report.html import write_report
from tests.browser import LOOKS, findings, needs_axe, opened, overflow, paper
from tests.report.test_compare import RUNS
from tests.report.test_html import full  # noqa: F401


def write(folder, text):
    (folder / "page.html").write_text(text, encoding="utf-8")
    return (folder / "page.html").as_uri()


@pytest.fixture
def report(full, tmp_path):  # noqa: F811
    return write_report(full, tmp_path).as_uri()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_report_fits_follows_the_scheme_and_stays_with_itself(browser, report, width, scheme):
    with opened(browser, report, width, scheme) as page:
        assert page.troubles == []
        assert page.addresses == [report]
        assert overflow(page) <= 0
        assert (paper(page) < 60) == (scheme == "dark")
        drawn = page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert drawn and page.locator("img").count() > 0


@needs_axe
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_report_has_no_finding(browser, report, width, scheme):
    with opened(browser, report, width, scheme) as page:
        assert findings(page) == []


@needs_axe
def test_comparison_has_no_finding(browser, tmp_path):
    text = compare(RUNS).to_html(command="groundkit compare a b")
    with opened(browser, write(tmp_path, text), 390, "dark") as page:
        assert findings(page) == [] and overflow(page) <= 0 and page.troubles == []


@needs_axe
def test_the_audit_finds_what_is_planted(browser, tmp_path):
    fault = (
        '<div style="width:600px">wide</div><img src="data:,">'
        '<p style="color:#ccc;background:#fff">pale</p></main>'
    )
    text = compare(RUNS).to_html().replace("</main>", fault)
    with opened(browser, write(tmp_path, text), 390, "dark") as page:
        found = {one["id"] for one in findings(page)}
        assert {"image-alt", "color-contrast"} <= found
        assert overflow(page) > 0
