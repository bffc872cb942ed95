"""Hostile programs and files are refused by name, without effect, in bounded time and memory."""

import pytest

from tests.hostile.files import FILES
from tests.hostile.harness import MARK, without_effect
from tests.hostile.programs import PROGRAMS

CASES = [*PROGRAMS, *FILES]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_refused_without_effect(tmp_path, case):
    case.prepare(tmp_path)
    with without_effect(tmp_path), pytest.raises(case.error, match=case.words) as info:
        case.attempt(tmp_path)
    assert not list(tmp_path.rglob(MARK))
    if case.line is not None:
        assert info.value.at is not None and info.value.at.line == case.line
