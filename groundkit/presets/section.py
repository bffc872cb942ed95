"""A table of a spec as a pydantic model, and how a value that it refuses is told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from groundkit.errors import Location, SpecError, choose_from
from groundkit.presets import fill_in, load_preset
from groundkit.presets.bounds import no_truth_value

_SHOWN = 80
_NO_TABLE = ("list_type", "dict_type", "model_type", "model_attributes_type")
"""Complaints of pydantic about a value where a table stands."""


class Section(BaseModel):
    """A table of the spec: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return value if _section_of(annotation) else no_truth_value(value, annotation)

    def __init__(self, **values: Any) -> None:
        """Takes the section's keys.

        Raises:
            SpecError: A key is unknown, or its value is not allowed.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise refusal(error, type(self)) from None

    # Tables inside of others are validated without a call of `__init__`, so that a complaint names
    # all of their path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def with_preset(given: Any, table: Literal["network", "train"]) -> Any:
    """Adds the keys of a table's preset to those that are given."""
    if not isinstance(given, dict) or not isinstance(given.get("preset"), str):
        return given
    return fill_in(given, getattr(load_preset(given["preset"]), table))


def complained_of(error: ValidationError) -> list[str]:
    """The path of the key that pydantic's first complaint is about."""
    return [part for part in error.errors()[0]["loc"] if isinstance(part, str)]


def refusal(
    error: ValidationError, model: type[BaseModel], at: Location | None = None
) -> SpecError:
    """Turns pydantic's first complaint into one message.

    Args:
        error: What pydantic says.
        model: The section that was to be made.
        at: Where it is written.
    """
    first, path = error.errors()[0], complained_of(error)
    dotted = ".".join(path)
    if first["type"] == "extra_forbidden":
        remedy = choose_from(path[-1], _keys_at(model, path[:-1]))
        return SpecError(f"unknown key '{dotted}'", remedy=remedy, at=at)
    if first["type"] == "missing":
        return SpecError(f"the key '{dotted}' is missing", at=at, remedy=f"add {path[-1]} = ...")
    if first["type"] in _NO_TABLE and _section_at(model, path) is not None:
        table = f"{dotted}.NAME" if first["type"] == "dict_type" else dotted
        return SpecError(
            f"{dotted} = {_shown(first['input'])} is a value",
            expected=f"a table of keys, [{table}]",
            remedy=f"write [{table}] on a line of its own, and its keys on the lines below",
            at=at,
        )
    if first["type"] == "list_type" and isinstance(first["input"], str):
        return SpecError(
            f"{dotted} = {_shown(first['input'])} is a text",
            expected="a list",
            remedy=f"write {path[-1]} = [{json.dumps(first['input'])}]",
            at=at,
        )
    said = first["msg"].removeprefix("Value error, ")
    given = first["input"]
    tables = isinstance(given, list) and any(isinstance(one, dict) for one in given)
    found = f"{dotted}: {said}" if tables else f"{dotted} = {_shown(given)}: {said}"
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        valid = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return SpecError(found, remedy=choose_from(first["input"], valid), at=at)
    return SpecError(found, remedy=_default_of(model, path), at=at)


def _section_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Finds the section that the spec has at a path; ``None`` where a plain key stands."""
    found: type[BaseModel] | None = model
    for part in path:
        field = (found or model).model_fields.get(part)
        if field is not None:
            found = _section_of(field.annotation)
    return found


def _default_of(model: type[BaseModel], path: Sequence[str]) -> str | None:
    """Words the remedy that always works: the key's default, where it has a plain one."""
    for part in path[:-1]:
        field = model.model_fields.get(part)
        model = (_section_of(field.annotation) or model) if field else model
    field = model.model_fields.get(path[-1]) if path else None
    if field is None or not isinstance(field.default, (bool, int, float, str)):
        return None
    return f"leave it out for the default, {json.dumps(field.default)}"


def _shown(value: Any) -> str:
    """Prints a value for a message, shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print whole numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _keys_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names the keys that the spec allows in the table at ``path``."""
    for part in path:
        field = model.model_fields.get(part)
        if field is None:  # the user's own name, as in [networks.NAME]
            continue
        model = _section_of(field.annotation) or model
    return sorted(model.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """Finds the section model inside an annotation such as ``dict[str, NetworkSpec]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None
