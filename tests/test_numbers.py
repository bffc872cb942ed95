"""No number without a source: what reads like a measurement stands in benchmarks/results.

Read are README, CHANGELOG, the hand-written pages of docs and the notes of the programs. All
numbers of a row of a table must stand in one line of a result, or in the lines that
``numbers.toml`` names for the row; a number of the prose in any, as it is written. What was not
measured here, or is no measurement, stands in ``numbers.toml`` too, with its source.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Held to their sources by tests of their own.
MADE = {"spec.md", "commands.md", "licences.md", "peers.md"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in MADE),
    *sorted((ROOT / "programs").glob("*.md")),
]
RESULTS = [page.read_text("utf-8") for page in sorted((ROOT / "benchmarks/results").glob("*.md"))]
SOURCES = tomllib.loads((Path(__file__).parent / "numbers.toml").read_text("utf-8"))
NUMBER = re.compile(
    r"(?<![\w.,/-])"
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+(?= ?(?:%|times\b|ms\b|s\b|min\b|[KMG]B\b)))"
    r"(?![\w/]|\.\d)"
)
CODE = re.compile(
    r"^```.*?^```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)|\\\(.*?\\\)|arXiv \d+\.\d+",
    re.MULTILINE | re.DOTALL,
)
WRITTEN = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w|\.\d)")
LINES = [[(line, set(WRITTEN.findall(line))) for line in text.splitlines()] for text in RESULTS]
ROWS = SOURCES.pop("rows")
KNOWN = {one for lines in LINES for _, found in lines for one in found}


def numbers(text):
    """Yields every line with the numbers in it that read like measurements."""
    for line in CODE.sub(" ", text).splitlines():
        found = NUMBER.findall(line)
        if found:
            yield line, found


def _in_a_table(row, wanted):
    """Whether the results have the numbers of a row in one line, or in those named for it."""
    if any(wanted <= found for lines in LINES for _, found in lines):
        return True
    named = tuple(f"| {one} |" for one in ROWS.get(row.split("|")[1].strip(), ()))
    return wanted <= {
        one for lines in LINES for line, found in lines if line.startswith(named) for one in found
    }


def missing(text, allowed):
    """Lists the numbers of a page that have no source."""
    lost = []
    for line, found in numbers(text):
        wanted = [one for one in found if one not in allowed]
        if line.startswith("|"):
            lost += [] if _in_a_table(line, set(wanted)) else [line]
        else:
            lost += [f"{one}: {line}" for one in wanted if one not in KNOWN]
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_measurement_has_a_source(page):
    allowed = SOURCES.get(str(page.relative_to(ROOT)), {})
    assert missing(page.read_text("utf-8"), allowed) == []


def test_every_source_is_used():
    for name, allowed in SOURCES.items():
        text = CODE.sub(" ", (ROOT / name).read_text("utf-8"))
        assert set(allowed) <= set(NUMBER.findall(text)), name


@pytest.mark.parametrize("old", ["0.975 (0.972 to 0.976)", "2,368", "0.639 | 0.580", "88.4"])
def test_a_changed_digit_of_the_readme_is_found(old):
    text = (ROOT / "README.md").read_text("utf-8")
    wrong = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 3) % 10), old)
    assert old in text and missing(text.replace(old, wrong, 1), SOURCES.get("README.md", {}))
