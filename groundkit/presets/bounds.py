"""The ranges in which a setting of the spec means something; outside it is a slip of the keyboard.

They are wide: no sensible experiment meets them. A temperature of 1e-30 or a width of a billion is
refused here, by its line, and not after an hour of training.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field

from groundkit.errors import SpecError

MOST = 10_000_000
"""Examples, images and steps that may be asked for."""
MOST_OPTION = 4096
"""Largest option of a built-in backbone."""
SMALLEST = 1e-6
"""A positive weight or factor below this changes nothing that is computed in float32."""


def _none_or_some(value: float) -> float:
    """Refuses what is positive and yet too small to have an effect."""
    if 0 < value < SMALLEST:
        raise ValueError(f"so small that it has no effect; 0 leaves it out, else {SMALLEST:g}")
    return value


Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=MOST)]
CountOrNone: TypeAlias = Annotated[int, Field(ge=0, le=MOST)]
Batch: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
BatchOrNone: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Steps: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]
Weight: TypeAlias = Annotated[float, Field(ge=0, le=1e6), AfterValidator(_none_or_some)]
Spread: TypeAlias = Annotated[float, Field(ge=0, le=100), AfterValidator(_none_or_some)]
Factor: TypeAlias = Annotated[float, Field(ge=SMALLEST, le=1e6)]
Temperature: TypeAlias = Annotated[float, Field(ge=1e-3, le=1e3)]
Rate: TypeAlias = Annotated[float, Field(ge=1e-8, le=1e6)]
Channels: TypeAlias = Annotated[int, Field(ge=1, le=4)]
Side: TypeAlias = Annotated[int, Field(ge=1, le=1024)]


def check_seed(seed: int) -> None:
    """Checks the seed of a run, or of what is drawn with it.

    Raises:
        SpecError: It is none that every source of randomness takes.
    """
    if not 0 <= seed < 2**32:
        raise SpecError(
            f"the seed {seed}",
            expected="a whole number from 0 to 4,294,967,295",
            remedy="leave it out for the default",
        )


def check_option(name: str, value: Any) -> None:
    """Checks an option of a built-in backbone, such as its width.

    Raises:
        ValueError: It is no whole number from 0 to 4096.
    """
    if type(value) is not int or not 0 <= value <= MOST_OPTION:
        raise ValueError(f"{name} must be a whole number from 0 to {MOST_OPTION}")


def no_truth_value(value: Any, annotation: Any) -> Any:
    """Refuses ``true`` and ``false`` where a number or a text is asked for.

    Pydantic reads them as 1 and 0, and ``batch = true`` would train with one example a step.

    Args:
        value: What the spec has, of any shape.
        annotation: The type of its field.

    Raises:
        ValueError: A truth value stands there.
    """
    free = "bool" in str(annotation) or "Any" in str(annotation)
    if not free and _has_truth_value(value):
        wanted = "a number" if "int" in str(annotation) or "float" in str(annotation) else "a text"
        raise ValueError(f"{wanted} is asked for, not true or false")
    return value


def _has_truth_value(value: Any) -> bool:
    if isinstance(value, (dict, list, tuple)):
        return any(map(_has_truth_value, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bool)
