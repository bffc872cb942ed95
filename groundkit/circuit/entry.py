"""What an encoded ground program and its circuit look like, value by value.

A checksum tells damage, not sense: an entry may be whole and still hold a text where a number
belongs. Containers may be lists or tuples, for JSON knows only lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

_T = TypeVar("_T")
Many: TypeAlias = Annotated[list[_T], Strict(False)]
Number: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]

_Neural: TypeAlias = Annotated[
    tuple[str, Many[str], Literal["NeuralSource"], "_NeuralFields"], Strict(False)
]
_Fixed: TypeAlias = Annotated[
    tuple[str, Many[str], Literal["FixedSource"], "_FixedFields"], Strict(False)
]
_Learned: TypeAlias = Annotated[
    tuple[str, Many[str], Literal["LearnedSource"], "_LearnedFields"], Strict(False)
]
_Node: TypeAlias = Annotated[
    tuple[Literal["true", "leaf", "and", "or"], Many[Number], Number, int], Strict(False)
]
_Part: TypeAlias = Annotated[tuple[str, Number], Strict(False)]
_How: TypeAlias = Annotated[tuple[str, str, float], Strict(False)]


class _Strict(BaseModel):
    """A text is no number and a truth value is none either."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _NeuralFields(_Strict):
    network: str
    slot: Number


class _FixedFields(_Strict):
    probabilities: Many[float]


class _LearnedFields(_Strict):
    group: Annotated[Number, Field(ge=0)]
    keys: Many[str] = []


class _Arrays(_Strict):
    kinds: Many[Number]
    offsets: Many[Number]
    items: Many[Number]
    roots: Many[Number]


class _Entry(_Strict):
    """The whole of an entry."""

    choices: Many[_Neural | _Fixed | _Learned]
    nodes: Many[_Node]
    slots: dict[str, Many[Many[str]]]
    observed: Many[str]
    answers: Many[Many[str]]
    roots: Many[Number]
    evidence: Number
    evidence_parts: Many[_Part]
    seconds: float
    shared: Many[str] = []
    circuit: _Arrays
    compiled: _How


def check_entry(data: Any) -> None:
    """Checks the type of every value of an entry.

    Raises:
        ValueError: One is of another type, is missing or is not known.
    """
    try:
        _Entry.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a ground program and its circuit: {place}: {first['msg']}") from None
