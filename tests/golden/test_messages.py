"""The wording of messages: what is printed is what ``messages.txt`` holds."""

import difflib

import pytest

from tests.golden.messages import FILE, render


@pytest.mark.slow
def test_messages_are_those_of_the_file():
    wanted, found = FILE.read_text("utf-8").splitlines(), render().splitlines()
    changed = "\n".join(difflib.unified_diff(wanted, found, "messages.txt", "now", lineterm=""))
    assert not changed, f"look at it, then python -m tests.golden.messages\n{changed}"
