"""axe-core finds nothing serious in the report, and nothing overflows a phone.

Needs Chromium and axe-core: ``npm install --no-save axe-core@4`` in the repository's root, or the
path of ``axe.min.js`` in the variable AXE_CORE. Skipped with the reason where one is missing.
"""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from groundkit.report.compare import compare
from groundkit.report.html import render_report
from tests.report.test_compare import RUNS
from tests.report.test_html import full  # noqa: F401

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --virtual-time-budget=30000"
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm install --no-save axe-core@4"),
]
RUN = """
<script>addEventListener('load', () => axe.run(document, {resultTypes: ['violations']}).then(r =>
  parent.postMessage({wide: document.documentElement.scrollWidth - innerWidth,
    violations: r.violations.map(v => ({id: v.id, impact: v.impact,
      nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)}))}, '*')))
</script>"""
FRAME = """<!DOCTYPE html><body><pre id="out"></pre><script>
addEventListener('message', e =>
  document.getElementById('out').textContent = JSON.stringify(e.data))</script>
<iframe style="border:0;width:{width}px;height:2000px" srcdoc="{page}"></iframe>"""


def audit(page, width, scheme, folder):
    """Runs axe inside a frame of a width; returns its violations and the overflow in pixels."""
    start, end = page.index('<meta http-equiv="Content-Security'), page.index("<title>")
    script = f"<script>{AXE.read_text(encoding='utf-8')}</script>{RUN}</head>"
    opened = page[:start] + page[end:].replace("<details>", "<details open>")
    opened = opened.replace("</head>", script, 1)
    file = folder / "frame.html"
    file.write_text(FRAME.format(width=width, page=html.escape(opened)), encoding="utf-8")
    command = [
        CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1400,2000",
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="out">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize(("width", "scheme"), [(390, 0), (390, 1), (1280, 0), (1280, 1)])
def test_report_has_no_serious_finding(full, width, scheme, tmp_path):  # noqa: F811
    found = audit(render_report(full), width, scheme, tmp_path)
    assert [v for v in found["violations"] if v["impact"] in {"serious", "critical"}] == []
    assert found["violations"] == [] and found["wide"] <= 0


def test_comparison_has_no_serious_finding(tmp_path):
    found = audit(compare(RUNS).to_html(command="groundkit compare a b"), 390, 1, tmp_path)
    assert found["violations"] == [] and found["wide"] <= 0


def test_the_audit_finds_what_is_planted(tmp_path):
    fault = (
        '<div style="width:600px">wide</div><img src="data:,">'
        '<p style="color:#ccc;background:#fff">pale</p></main>'
    )
    page = compare(RUNS).to_html().replace("</main>", fault)
    found = audit(page, 390, 1, tmp_path)
    assert {"image-alt", "color-contrast"} <= {v["id"] for v in found["violations"]}
    assert found["wide"] > 0
