"""Writes the spec reference and the command reference from the code: python docs/generate.py."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from groundkit.cli.app import app
from groundkit.task.spec import Spec

HERE = Path(__file__).parent
_MADE = "<!-- Made by docs/generate.py from the code; do not edit. -->\n\n"


def spec_page() -> str:
    """Renders every key of the spec, table by table."""
    head = (
        "# Spec reference\n\n"
        "The spec is a TOML file beside the program, of the same name. Every key has a default "
        "unless it is marked as needed; a run writes all of them into its `spec.toml`. On the "
        "command line, `--set table.key=value` overrides a key. An unknown key is an error that "
        "names its line and the nearest valid key.\n"
    )
    return _MADE + head + "".join(_tables(Spec, ()))


def _tables(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    """Renders a model's own keys as a table, then the tables inside of it."""
    rows, inner = [], []
    for name, field in model.model_fields.items():
        section, named = _section(field.annotation)
        if section is not None:
            below = (*path, name, "NAME") if named else (*path, name)
            inner += [
                f"\n## [{'.'.join(below)}]\n\n{field.description}\n",
                *_tables(section, below),
            ]
            continue
        default = "needed" if field.is_required() else f"`{_toml(_default(field))}`"
        rows.append(
            f"| `{name}` | {_kind(field.annotation)} | {default} | {_line(field.description)} |"
        )
    if not rows:
        return inner
    return ["\n| key | type | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n", *inner]


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Finds the model inside an annotation, and whether the user names its tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        found, _ = _section(argument)
        if found is not None:
            return found, get_origin(annotation) is dict
    return None, False


def _default(field: Any) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _toml(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)


def _kind(annotation: Any) -> str:
    """Words a type for people."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) for a in arguments if a is not type(None))
    if origin in (list, tuple):
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"table of {_kind(arguments[1])}"
    names = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        Path: "path",
        Any: "any type",
    }
    return names.get(annotation, str(annotation))


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("``", "`").replace("|", "\\|")


def commands_page() -> str:
    """Renders every command with its arguments, options and example."""
    head = (
        "# Command reference\n\n"
        "Every command exits with 0 when done, 1 for a run that failed and 2 for wrong input. "
        "A wrong input gets one message on stderr, with file and line where there is one, and a "
        "remedy. `groundkit --install-completion` completes commands and options in your shell.\n"
    )
    group: Any = typer.main.get_command(app)
    return _MADE + head + "".join(_command(name, one) for name, one in group.commands.items())


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["groundkit", name, *(_usage(a) for a in arguments), "[OPTIONS]"])
    rows = [f"| `{_shown(a)}` | {_line(a.help)} |" for a in arguments]
    rows += [f"| `{', '.join(o.opts)}`{_value(o)} | {_line(o.help)} |" for o in options]
    return (
        f"\n## {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n"
        "| | |\n|---|---|\n" + "\n".join(rows) + f"\n\n```text\n{command.epilog}\n```\n"
    )


def _shown(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _usage(argument: Any) -> str:
    return _shown(argument) if argument.required else f"[{_shown(argument)}]"


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    metavar = option.metavar or option.name.upper()
    default = option.default
    shown = "" if default is None or callable(default) or default == () else f", default {default}"
    return f" {metavar}{shown}"


PAGES = {"spec.md": spec_page, "commands.md": commands_page}


def main() -> int:
    """Writes the pages."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
