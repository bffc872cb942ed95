"""groundkit: images become the symbols of a ProbLog program, without labels.

The commands are functions, and return what they print::

    import groundkit

    result = groundkit.run("programs/addition.pl")
    answers = groundkit.query(result.folder, "addition('a.png', 'b.png', Z)")
    print(answers.best.text, answers.best.probability)

Before training:
    :func:`write_starter` writes a program and its spec, as ``groundkit new``;
    :func:`check_program` holds program, spec and data against each other, as ``groundkit check``;
    :func:`plan_program` says what training will cost, as ``groundkit plan``;
    :func:`identify` counts the groundings that the program admits;
    :func:`load_data` gives the images of a data set of ``groundkit datasets``, and
    :func:`load_ood` images that lie outside of one.

A run and what one asks it:
    :func:`run` trains, evaluates and writes the run's folder;
    :func:`open_run` opens such a folder once, to read many images and ask many questions;
    :func:`query` answers a goal on image files, :func:`explain` says why;
    :func:`evaluate` measures a run again, :func:`sample` generates images by symbol;
    :func:`compare` puts runs side by side.

In one's own torch code:
    :class:`NeuralProgram` is a goal with one's own networks: a loss, and answers;
    :class:`ProgramLayer` is a goal over log-probabilities: answers, evidence, posteriors.

On arrays, in the manner of scikit-learn:
    :class:`Grounder` trains on images and observed symbols and predicts symbols;
    :class:`SymbolPerception` clusters, scores and generates images without a program.

Results print, show themselves in notebooks, and most turn into JSON by ``to_dict()``. Everything
that goes wrong on purpose is a :class:`groundkit.errors.GroundkitError` that says what was found,
what was expected and what to do.

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
    from groundkit.circuit.tensors import TensorProgram
    from groundkit.clusterer import SymbolPerception
    from groundkit.data.sources import load as load_data
    from groundkit.data.sources import load_ood
    from groundkit.grounder import Grounder
    from groundkit.layer.neural_program import NeuralProgram
    from groundkit.layer.program_layer import ProgramLayer
    from groundkit.planning import plan_program
    from groundkit.run import run
    from groundkit.session import open_run
    from groundkit.starters import write_starter
    from groundkit.verbs import compare, demo, evaluate, explain, identify, query, sample

_HOMES = {
    "Grounder": "grounder.Grounder",
    "NeuralProgram": "layer.neural_program.NeuralProgram",
    "ProgramLayer": "layer.program_layer.ProgramLayer",
    "SymbolPerception": "clusterer.SymbolPerception",
    "TensorProgram": "circuit.tensors.TensorProgram",
    "check_program": "check.check_program",
    "compare": "verbs.compare",
    "demo": "verbs.demo",
    "evaluate": "verbs.evaluate",
    "explain": "verbs.explain",
    "identify": "verbs.identify",
    "load_data": "data.sources.load",
    "load_ood": "data.sources.load_ood",
    "open_run": "session.open_run",
    "plan_program": "planning.plan_program",
    "query": "verbs.query",
    "run": "run.run",
    "sample": "verbs.sample",
    "write_starter": "starters.write_starter",
}


def __getattr__(name: str) -> Any:
    """Looks a name up in its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'groundkit' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].rpartition(".")
    found = getattr(import_module(f"groundkit.{module}"), attribute)
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
    "NeuralProgram",
    "ProgramLayer",
    "SymbolPerception",
    "TensorProgram",
    "check_program",
    "compare",
    "demo",
    "errors",
    "evaluate",
    "explain",
    "identify",
    "load_data",
    "load_ood",
    "open_run",
    "plan_program",
    "query",
    "run",
    "sample",
    "write_starter",
]
