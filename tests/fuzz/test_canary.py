"""Random programs that try to load have no effect; benchmarks/canary.py tries many more."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tests.fuzz.canary import attempt, write
from tests.hostile.crossing import Watch, lay_out

PROGRAMS = 150


def test_random_programs_have_no_effect(tmp_path: Path) -> None:
    lay_out(tmp_path)
    watch, outcomes = Watch(), Counter[str]()
    for seed in range(PROGRAMS):
        text = write(random.Random(seed), tmp_path)
        outcome, seen = attempt(text, tmp_path, watch)
        outcomes[outcome] += 1
        assert not seen, f"{seen}\n{text}"
    assert outcomes["grounded"], outcomes
    assert outcomes["refused"] > PROGRAMS // 3, outcomes
