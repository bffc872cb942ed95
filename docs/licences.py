"""Writes the list of dependencies with their licences: python docs/licences.py.

It reads the metadata of what is installed, so run it in an environment with ``.[dev]``.
"""

from __future__ import annotations

import re
import sys
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import cast

HERE = Path(__file__).parent
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HEAD = """<!-- Made by docs/licences.py from the installed packages; do not edit. -->

# Licences

groundkit is under the Apache 2.0 licence. It contains no third-party code; `pip install` brings
these packages, each under its own licence, as its metadata states it.
"""


def direct() -> dict[str, list[str]]:
    """Lists what pyproject.toml asks for: the package itself under "", then each extra."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: sorted({_NAME.match(one)[0] for one in needed} - {"groundkit"}, key=str.lower)  # type: ignore[index]
        for group, needed in groups.items()
    }


def licence(name: str) -> str:
    """Words a package's licence, from the newest of the three fields that metadata may use."""
    try:
        # The declared protocol has no `get`; the object is a message of mail.
        found = cast(Message, distribution(name).metadata)
    except PackageNotFoundError:
        return "not installed here"
    if expression := found.get("License-Expression"):
        return str(expression)
    classes = [
        line.rpartition(" :: ")[2]
        for line in found.get_all("Classifier") or ()
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if classes:
        return ", ".join(classes)
    return (found.get("License") or "not stated").strip().partition("\n")[0]


def page() -> str:
    """Renders the page."""
    parts = [_HEAD]
    for group, names in direct().items():
        title = f"The extra `{group}`" if group else "Always installed"
        rows = "".join(f"| {name} | {licence(name)} |\n" for name in names)
        parts.append(f"\n## {title}\n\n| package | licence |\n|---|---|\n{rows}")
    return "".join(parts)


if __name__ == "__main__":
    (HERE / "licences.md").write_text(page(), encoding="utf-8")
    sys.exit(0)
