"""A table of a spec as a pydantic model, and how a value that it refuses is told."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

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


def path_of(error: ValidationError) -> list[str]:
    """The way to what is complained of first; a number stands for one of several tables."""
    return [str(part) for part in _first(error)["loc"]]


def _first(error: ValidationError) -> ErrorDetails:
    """The complaint to tell: that of a misspelt key before that of the key it leaves missing."""
    found = error.errors()
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def refusal(
    error: ValidationError,
    model: type[BaseModel],
    at: Location | None = None,
    *,
    setting: bool = False,
) -> SpecError:
    """Turns pydantic's first complaint into one message.

    Args:
        error: What pydantic says.
        model: The section that was to be made.
        at: Where it is written.
        setting: It is written in a ``--set`` text.
    """
    first = _first(error)
    path = [part for part in first["loc"] if isinstance(part, str)]
    dotted, given = ".".join(path), first["input"]
    section = _section_at(model, path)
    if first["type"] == "extra_forbidden":
        remedy = _other_key(model, path)
        return SpecError(f"unknown key '{dotted}'", remedy=remedy, at=at)
    if first["type"] == "missing":
        return SpecError(f"the key '{dotted}' is missing", at=at, remedy=f"add {path[-1]} = ...")
    if first["type"] in _NO_TABLE and (section is not None or first["type"] == "dict_type"):
        several = first["type"] == "dict_type" and section is not None
        table = f"{dotted}.NAME" if several else dotted
        return SpecError(
            f"{dotted} = {_shown(given)} is a value",
            expected="a mapping" if at is None else f"a table of keys, [{table}]",
            remedy="give a mapping of its keys"
            if at is None
            else f"set its keys one by one: --set {table}.KEY=VALUE"
            if setting
            else f"write [{table}] on a line of its own, and its keys on the lines below",
            at=at,
        )
    wanted = _WRAPPED.get(first["type"])
    if wanted is not None and isinstance(given, wanted.kinds):
        text = wanted.wrap(given)
        assigned = f"{dotted}={text}"
        return SpecError(
            f"{dotted} = {_shown(given)} is a {'text' if isinstance(given, str) else 'number'}",
            expected=wanted.name,
            remedy=f"--set {shlex.quote(assigned)}"
            if setting and first["loc"][-1] == path[-1]
            else f"write {text}"
            if isinstance(first["loc"][-1], int)
            else f"write {path[-1]} = {text}",
            at=at,
        )
    said = first["msg"].removeprefix("Value error, ")
    tables = isinstance(given, list) and any(isinstance(one, dict) for one in given)
    whole = tables or (section is not None and isinstance(given, dict | BaseModel))
    found = f"{dotted}: {said}" if whole else f"{dotted} = {_shown(given)}: {said}"
    if first["type"] == "literal_error" and isinstance(given, str):
        valid = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return SpecError(found, remedy=choose_from(given, valid), at=at)
    return SpecError(found, remedy=_default_of(model, path), at=at)


class _Wrapped(NamedTuple):
    """What a plain value lacks: brackets or quotes."""

    name: str
    kinds: type | tuple[type, ...]
    wrap: Callable[[Any], str]


_WRAPPED = {
    "list_type": _Wrapped("a list", (str, int, float), lambda value: f"[{json.dumps(value)}]"),
    "string_type": _Wrapped("a text", (int, float), lambda value: json.dumps(str(value))),
}
"""Complaint -> which values become right by being wrapped, and how."""


def _other_key(model: type[BaseModel], path: Sequence[str]) -> str:
    """Words which key may have been meant: one alike in this table, or the same in another."""
    words = choose_from(path[-1], _keys_at(model, path[:-1]))
    tables = [f"[{table}]" for table in _tables_with(model, path[-1])]
    if not tables:
        return words
    return f"{words}; {' and '.join(tables)} {'have' if tables[1:] else 'has'} such a key"


def _tables_with(model: type[BaseModel], key: str, above: str = "") -> list[str]:
    """Names the tables of a spec that have a key."""
    found = []
    for name, field in model.model_fields.items():
        section = _section_of(field.annotation)
        if section is not None:
            many = "dict" in str(field.annotation)
            table = f"{above}{name}{'.NAME' if many else ''}"
            found += [table] if key in section.model_fields else []
            found += _tables_with(section, key, f"{table}.")
    return found


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
    if field is not None and field.default is None:
        return "leave it out"
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
