"""Tests of what a command prints while it works."""

from __future__ import annotations

import re
import time

import pytest

from groundkit.cli import terminal
from groundkit.cli.terminal import Terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that tests move, and lines at every step."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(terminal, "PLAIN_EVERY_S", 0.0)
    return now


def test_time_left_is_of_the_work_under_way(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither earlier work nor the steps of a resumed run count: a step takes 2 s here."""
    shown = Terminal()
    clock[0] += 300
    for done in (1, 2):
        clock[0] += 100
        shown.step(done, 2, "compiling shapes")
    for done in (501, 511):
        clock[0] += 20
        shown.step(done, 1400, "joint training")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "joint training: step 501 of 1400",
        "joint training: step 511 of 1400, about 29 min 38 s left",
    ]
    assert not any(re.search(r"left", line) for line in lines[:-1])


def test_end_says_nothing_of_time(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """The last step of a work has no time left."""
    shown = Terminal()
    for done in (1, 2, 3):
        clock[0] += 5
        shown.step(done, 3, "compiling shapes")
    assert capsys.readouterr().err.splitlines()[1:] == [
        "compiling shapes: step 2 of 3, about 5.0 s left",
        "compiling shapes: step 3 of 3",
    ]
