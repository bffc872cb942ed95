"""Pages in headless Chromium: what they complain of, where they send requests, what axe finds.

axe-core comes from npm: ``npm install --no-save axe-core@4`` in the repository's root, or the path
of ``axe.min.js`` in the variable AXE_CORE.
"""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
LOOKS = [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="no axe-core: npm install --no-save axe-core@4"
)


@contextmanager
def opened(browser, url, width=1280, scheme="light"):
    """Opens a page; ``page.troubles`` and ``page.addresses`` fill while it is open."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(120_000)  # a machine that is busy is slow, not wrong
    page.troubles, page.addresses = [], []
    page.on("console", lambda message: page.troubles.append(message.text))
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("request", lambda request: page.addresses.append(request.url))
    page.goto(url)
    yield page
    context.close()


def findings(page):
    """Returns what axe-core finds, with every closed part of the page opened."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map("
        "one => ({id: one.id, impact: one.impact, nodes: one.nodes.slice(0, 3).map("
        "node => node.html.slice(0, 160) + ' ' + node.failureSummary)})))"
    )


def overflow(page):
    """Returns by how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def paper(page):
    """Returns the brightness of the page's background, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(",")) / 3
