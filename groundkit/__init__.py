"""groundkit: images become the symbols of a ProbLog program, without labels.

Every command is a function of the same name, and reads and returns what the command does::

    import groundkit

    result = groundkit.run("programs/addition.pl")
    answers = groundkit.query(result.folder, "addition('a.png', 'b.png', Z)")
    print(answers.best.text, answers.best.probability)

:class:`Grounder` and :class:`SymbolPerception` work on arrays in the manner of scikit-learn.
Importing the package loads nothing of torch: names are looked up when they are first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from groundkit import errors

if TYPE_CHECKING:
    from groundkit.check import check_program
    from groundkit.grounder import Grounder
    from groundkit.perception.estimator import SymbolPerception
    from groundkit.planning import plan_program
    from groundkit.run import run
    from groundkit.session import open_run
    from groundkit.starters import write_starter
    from groundkit.verbs import compare, evaluate, explain, identify, query, sample

_HOMES = {
    "Grounder": "grounder",
    "SymbolPerception": "perception.estimator",
    "check_program": "check",
    "compare": "verbs",
    "evaluate": "verbs",
    "explain": "verbs",
    "identify": "verbs",
    "open_run": "session",
    "plan_program": "planning",
    "query": "verbs",
    "run": "run",
    "sample": "verbs",
    "write_starter": "starters",
}


def __getattr__(name: str) -> Any:
    """Looks a name up in its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'groundkit' has no attribute '{name}'")
    found = getattr(import_module(f"groundkit.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


class _Package(ModuleType):
    """Keeps a verb where importing a module of the same name would put the module."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = [
    "Grounder",
    "SymbolPerception",
    "check_program",
    "compare",
    "errors",
    "evaluate",
    "explain",
    "identify",
    "open_run",
    "plan_program",
    "query",
    "run",
    "sample",
    "write_starter",
]
