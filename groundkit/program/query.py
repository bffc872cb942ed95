"""A question with image files in it: ``addition('a.png', 'b.png', Z)``.

A row of a table or an array is named by its number: ``same('wine.csv#3', 'wine.csv#7')``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    """

    text: str
    goal: Goal
    images: dict[str, str]
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)

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

    The same file twice is the same image.

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

    def take(match: re.Match[str]) -> str:
        path = match[0][1:-1]
        file = _NUMBER.sub("", path)
        if Path(file).suffix.lower() not in suffixes and not _is_file(file):
            return match[0]
        for name, known in images.items():
            if known == path:
                return name
        name = f"Image{len(images) + 1}"
        while name in given.variables:
            name += "_"
        images[name] = path
        return name

    return Question(given.text, parse_goal(_QUOTED.sub(take, given.text)), images)


def _is_file(path: str) -> bool:
    """Whether a text names a file; one that cannot be a path does not."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
