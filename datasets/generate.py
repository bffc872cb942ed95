"""Writes a page for each data set from its card in the code: python datasets/generate.py."""

from __future__ import annotations

import sys
from pathlib import Path

from groundkit.data.cards import Card
from groundkit.data.sources import CARDS

HERE = Path(__file__).parent
_MADE = "<!-- Made by datasets/generate.py from the code; do not edit. -->\n\n"


def card_page(card: Card) -> str:
    """Renders one card."""
    lines = [
        f"# {card.name}\n",
        f"{_sentence(card.summary)}\n",
        f"- **Source**: {card.origin}.",
        f"- **Licence**: {card.licence}.",
        f"- **Split**: {card.split}.",
        f"- **How to get it**: {card.get}.",
    ]
    lines += [f"- **Labels**, `attribute = ...` in a network's table: {_attributes(card)}."] * bool(
        card.attributes
    )
    if card.checksums:
        lines += ["\n| file | checksum |\n|---|---|"]
        lines += [f"| `{file}` | `{number}` |" for file, number in card.checksums.items()]
    return _MADE + "\n".join(lines) + "\n"


def _attributes(card: Card) -> str:
    return "; ".join(f"`{name}` ({', '.join(some)})" for name, some in card.attributes.items())


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def index_page() -> str:
    """Renders the list of all cards."""
    head = (
        "# Data sets\n\n"
        "These are the data sets that a spec can name in `data = ...`; `groundkit datasets` says "
        "which of them are on your machine. This folder holds a card for each data set and no "
        "images: these come with a package or from a download, or are drawn from a seed when they "
        "are first used.\n\n"
        "| name | what it holds |\n|---|---|\n"
    )
    rows = [f"| [{card.name}]({card.name}.md) | {card.summary} |\n" for card in CARDS.values()]
    return _MADE + head + "".join(rows)


def pages() -> dict[str, str]:
    """Returns every page by its file's name."""
    cards = {f"{card.name}.md": card_page(card) for card in CARDS.values()}
    return {"README.md": index_page(), **cards}


def main() -> int:
    """Writes the pages."""
    for name, page in pages().items():
        (HERE / name).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
