"""Turns formulas into MathML when the pages are built, so that no page needs a script for them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

# What the extension arithmatex leaves of $$...$$ and \(...\).
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """Is called by mkdocs with every page."""
    return _FORMULA.sub(
        lambda found: convert(
            unescape(found["tex"]), display="block" if found[1] == "div" else "inline"
        ),
        html,
    )
