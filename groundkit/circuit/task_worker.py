"""The child process that runs one of ProbLog's tasks: a request on stdin, one answer on stdout."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from problog import maxsat
from problog.clausedb import ClauseDB
from problog.program import PrologFile
from problog.util import subprocess_check_output

from groundkit.circuit.codec import encode_error
from groundkit.circuit.worker import watch
from groundkit.errors import LimitError, Location, ProgramError
from groundkit.program.limits import OutOfTimeError
from groundkit.program.terms import printed
from groundkit.program.trust import GuardedDatabase

_MODULES = {
    "mpe": "problog.tasks.mpe",
    "map": "problog.tasks.map",
    "sample": "problog.tasks.sample",
    "explain": "problog.tasks.explain",
    "lfi": "problog.learning.lfi",
    "worlds": "problog.tasks.sample",
}
_RECURSION = 100_000
_DRAWING = 0.9
"""Share of the time in which worlds are begun."""


def _guard(task: str) -> None:
    """Guards every database that a task makes by itself, in this process."""
    import_module(_MODULES[task])
    for name, module in list(sys.modules.items()):
        if name.startswith("problog.") and getattr(module, "ClauseDB", None) is ClauseDB:
            module.__dict__["ClauseDB"] = GuardedDatabase


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Runs the task twice over, for its text and for its JSON; errors are returned."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "program.pl")
        # The solver of mpe leaves a file of its own where it runs.
        maxsat.subprocess_check_output = partial(subprocess_check_output, cwd=folder)
        if request["trust"] and request["file"] is not None:
            # A trusted program may load what lies beside it.
            os.chdir(Path(request["file"]).resolve().parent)
        model.write_text(request["text"], encoding="utf-8")
        try:
            drawing = request["task"] == "worlds"
            text, data = ("", _worlds(request, model)) if drawing else _run(request, model)
        except OutOfTimeError:
            return _error(
                LimitError(
                    f"the task {request['task']} took more than {request['seconds']:g} s",
                    remedy="try a smaller program",
                )
            )
        except (MemoryError, RecursionError):
            return _error(
                LimitError(
                    f"the task {request['task']} ran out of memory",
                    remedy="look for a recursion without end, or try a smaller program",
                )
            )
        except ProgramError as error:
            return _error(error)
        except Exception:
            return {"unforeseen": traceback.format_exc()}
    return {"text": text, "data": data}


def _worlds(request: dict[str, Any], model: Path) -> dict[str, Any]:
    """Draws worlds until there are enough or the time is over, and counts in how many each holds.

    ProbLog's engine decides a choice when a proof meets it, so a world costs its own proofs alone,
    where the grounding of all worlds may have no end. Worlds against the evidence are left out.
    """
    sample = import_module(_MODULES["worlds"])
    deadline = time.monotonic() + _DRAWING * request["seconds"]
    held: Counter[str] = Counter()
    drawn, tried = 0, 0
    random.seed(request["seed"])
    engine = sample.init_engine()
    database, evidence, _ = sample.init_db(engine, PrologFile(str(model)))
    while drawn < request["count"] and time.monotonic() < deadline:
        target = sample.SampledFormula()
        for fact in evidence:
            target.add_atom(*fact)
        engine.functions = sample.FunctionStore(target=target, database=database, engine=engine)
        world = sample.ground(engine, database, target=target)
        tried += 1
        if sample.verify_evidence(engine, database, None, target):
            held.update({printed(query) for query, node in world.queries() if node == 0})
            drawn += 1
    return {"held": dict(held), "drawn": drawn, "tried": tried}


_NO_FACT = "Queries should be facts: "
"""What ProbLog's task map complains of, in a traceback."""


def _error(error: Any) -> dict[str, Any]:
    return {"error": encode_error(error)}


def _run(request: dict[str, Any], model: Path) -> tuple[str, Any]:
    """Calls the task's command line, once as text and once as JSON."""
    task = request["task"]
    call: Callable[[list[str]], Any] = import_module(_MODULES[task]).main
    options = [str(model)]
    learnt = model.with_name("learnt.pl")
    if task == "sample":
        options += ["-N", str(request["count"])]
    if task == "lfi":
        for number, text in enumerate(request["examples"]):
            file = model.with_name(f"examples{number}.pl")
            file.write_text(text, encoding="utf-8")
            options.append(str(file))
        options += ["-O", str(learnt)]
    if task in ("sample", "lfi"):
        options += ["--seed" if task == "sample" else "-s", str(request["seed"] or 0)]
    text = _captured(call, options, request, model)
    if learnt.exists():
        text += learnt.read_text(encoding="utf-8")
    printed = _captured(call, [*options, "--web"], request, model)
    return text, json.loads(printed)


def _captured(
    call: Callable[[list[str]], Any], options: list[str], request: dict[str, Any], model: Path
) -> str:
    """Runs a command line of ProbLog and returns what it prints; its failure is raised."""
    out, traced = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(traced),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            result = call(options)
        except SystemExit as error:
            result = (not error.code, None)
    failed = isinstance(result, tuple) and result[0] is False
    failed = failed or (isinstance(result, dict) and result.get("SUCCESS") is False)
    if failed:
        problem = result[1] if isinstance(result, tuple) else result.get("err")
        raise _explained(problem, out.getvalue(), traced.getvalue(), request, model)
    return out.getvalue()


def _explained(
    problem: Any, said: str, traced: str, request: dict[str, Any], model: Path
) -> ProgramError | BaseException:
    """Words a failure with its place in the user's file."""
    if isinstance(problem, MemoryError | RecursionError | OutOfTimeError):
        return problem
    if _NO_FACT in traced:
        goal = traced.rpartition(_NO_FACT)[2].strip().strip("'")
        return ProgramError(
            f"the task map chooses truth values of facts, and {goal} follows from clauses",
            remedy="write query(...) of probabilistic facts alone, and of what follows evidence",
            at=Location(None if request["file"] is None else Path(request["file"])),
        )
    message = str(getattr(problem, "base_message", "") or said.strip() or problem)
    place = getattr(problem, "location", None)
    file = None if request["file"] is None else Path(request["file"])
    at = Location(file)
    if isinstance(place, tuple) and len(place) == 3:
        at = Location(file, place[1], place[2])
    message = message.replace(str(model), str(file or "the program")).strip().rstrip(".")
    return ProgramError(f"ProbLog's task {request['task']} fails: {message}", at=at)


def main() -> None:
    """Reads the request, sets the limits, answers."""
    request = json.loads(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if not request["trust"]:
        _guard(request["task"])
    if request["memory"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    seconds = request["seconds"]
    watch(math.inf if seconds is None else time.monotonic() + seconds, request["memory"])
    sys.setrecursionlimit(_RECURSION)
    result = answer(request)
    json.dump(result, out)
    out.close()
    os._exit(0)


if __name__ == "__main__":
    main()
