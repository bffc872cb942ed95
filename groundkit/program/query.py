"""A question with image files in it: ``addition('a.png', 'b.png', Z)``.

A row of a table or an array is named by its number: ``same('wine.csv#3', 'wine.csv#7')``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from groundkit.errors import GroundkitError, ProgramError
from groundkit.files import read_bytes
from groundkit.program.goal import Goal, parse_goal

_NUMBER = re.compile(r"#\d+\Z")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass(frozen=True)
class Question:
    """A goal whose image files have become variables, so that one circuit serves all files.

    Attributes:
        text: The question as asked.
        goal: The goal with a variable for every image.
        images: Variable -> the image's path as written.
        contents: Path -> the image's file, for images that are not on disk.
        also: Another path of the same content -> the variable of that image.
    """

    text: str
    goal: Goal
    images: dict[str, str]
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """Path, in each of the ways it is written -> variable."""
        return {**self.also, **{path: name for name, path in self.images.items()}}

    def with_values(self, values: Mapping[str, str]) -> str:
        """Prints the question with its images, and some variables replaced by values."""
        return self.goal.with_values({**values, **self._quoted})

    def as_asked(self, text: str) -> str:
        """Puts the images back into a text, such as a message, that names their variables."""
        quoted = self._quoted
        return re.sub(r"\w+", lambda word: quoted.get(word[0], word[0]), text)

    @property
    def _quoted(self) -> dict[str, str]:
        """Variable -> the image's path in quotes."""
        return {name: f"'{path}'" for name, path in self.images.items()}


def pose(text: str | Question, suffixes: Collection[str]) -> Question:
    """Reads a question; a quoted text that names a file, or ends like one, is an image.

    The same file twice is the same image, and so are two files of the same content.

    Args:
        text: The question; one that is posed already is returned.
        suffixes: Endings of image files, such as ``.png``, and of those that hold rows.

    Raises:
        ProgramError: It is not one goal.
    """
    if isinstance(text, Question):
        return text
    given = parse_goal(text)
    images: dict[str, str] = {}
    also: dict[str, str] = {}
    known: dict[bytes | str, str] = {}

    def take(match: re.Match[str]) -> str:
        path = match[0][1:-1]
        file = _NUMBER.sub("", path)
        if Path(file).suffix.lower() not in suffixes and not _is_file(file):
            return match[0]
        if path in known:
            return known[path]
        content = _content(path)
        if content in known:
            also[path] = known[path] = known[content]
            return known[path]
        name = f"Image{len(images) + 1}"
        while name in given.variables:
            name += "_"
        images[name] = path
        known[path] = known[content] = name
        return name

    goal = parse_goal(_QUOTED.sub(take, given.text))
    return Question(given.text, goal, images, also=also)


def _content(path: str) -> bytes | str:
    """Returns what tells one input from others: a file's content, or else its name."""
    if not _is_file(path):
        return path
    try:
        return hashlib.sha256(read_bytes(Path(path), error=ProgramError)).digest()
    except (OSError, GroundkitError):  # the complaint comes where the file is used
        return path


def _is_file(path: str) -> bool:
    """Whether a text names a file; one that cannot be a path does not."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
