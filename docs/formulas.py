"""Turns formulas into MathML when the pages are built, so that no page needs a script for them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

# What the extension arithmatex leaves of $$...$$ and \(...\).
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</\1>', re.DOTALL)


# A narrow screen scrolls a wide formula by itself, and not the whole page.
_SCROLLS = '<div class="formula" tabindex="0" style="overflow-x: auto">{}</div>'


def _as_mathml(found: re.Match[str]) -> str:
    """Renders one formula; one that stands by itself scrolls where it is too wide."""
    display = "block" if found[1] == "div" else "inline"
    formula: str = convert(unescape(found["tex"]), display=display)
    return _SCROLLS.format(formula) if display == "block" else formula


def on_page_content(html: str, **_: Any) -> str:
    """Is called by mkdocs with every page."""
    return _FORMULA.sub(_as_mathml, html)
