"""Random cases in groups: drawn by hypothesis from a seed, the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy


def draw_group(
    number: int, count: int, strategy: SearchStrategy[Any], look: Callable[[Any], None]
) -> None:
    """Draws the cases of one group and looks at each.

    Args:
        number: The group, which is its seed.
        count: Cases in a group.
        strategy: What is drawn.
        look: Called with every case.
    """

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(strategy)
    def draw(case: Any) -> None:
        look(case)

    draw()
