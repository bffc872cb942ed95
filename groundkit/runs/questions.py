"""Further goals of a program that tell apart what its query leaves open."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from problog.logic import Clause

from groundkit.circuit.build import build_reasoner
from groundkit.errors import GroundkitError
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.identify import Observable, admitted_with
from groundkit.identifiability.suggest import Suggestion
from groundkit.program.constraints import signature
from groundkit.program.definitions import definitions, reached
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program
from groundkit.runs.observables import observable
from groundkit.task.task import Task

_MOST = 3
"""Goals that are suggested."""
_TRIED = 20
"""Goals that are tried."""
_PLAIN = re.compile(r"[a-z]\w*/")
_LIMITS = Limits(seconds=10.0, memory=2 << 30)


def suggest_goals(
    task: Task, goals: Sequence[Observable], found: Identification, *, seconds: float
) -> tuple[Suggestion, ...]:
    """Finds further goals of the program which, observed as well, leave fewer groundings.

    What is tried are predicates whose rules ask the networks, over the images of one query: they
    come first among the arguments, what is observed follows. Goals over lists, and goals that ask
    networks of which the queries do not, are left aside.

    Args:
        task: The task.
        goals: The goals that are observed.
        found: What these admit.
        seconds: Time limit of the search.

    Returns:
        The best ones, those that leave the fewest groundings first.
    """
    assert found.count is not None
    deadline = time.monotonic() + seconds
    asked = {network for goal in goals for network, calls in (goal.slots or {}).items() if calls}
    left: dict[str, int] = {}
    for candidates in itertools.islice(_candidates(task), _TRIED):
        for goal, images in candidates:
            if time.monotonic() > deadline:
                break
            with suppress(GroundkitError):
                own = _observable(task, goal, images, asked)
                if own is not None:
                    left[goal.text] = admitted_with(
                        [*goals, own],
                        task.domains,
                        groups=task.groups,
                        kept=[name for name in task.domains if name not in task.neural],
                        seconds=max(deadline - time.monotonic(), 0.0),
                    )
                    break
    best = sorted((count, text) for text, count in left.items() if count < found.count)
    return tuple(Suggestion("goals", (text,), count) for count, text in best[:_MOST])


def _candidates(task: Task) -> Iterator[list[tuple[Goal, tuple[str, ...]]]]:
    """Yields, for every predicate, goals that might ask it, with their images."""
    program = task.program
    rules, _ = definitions(program)
    neural = {one.predicate for one in program.neural}
    known = {name for query in task.binding.queries for name in query.goal.predicates}
    for query in task.binding.queries:
        shapes = [one.goal.template for one in task.examples if one.goal.query is query]
        if query.given or any(one.lengths or one.facts for one in shapes):
            continue
        for name in rules:
            if name in known or not _PLAIN.match(name):
                continue
            if reached([name], rules) & neural:
                known.add(name)
                most = min(len(query.inputs), int(name.rpartition("/")[2]))
                shown = [query.inputs[:count] for count in range(most, 0, -1)]
                yield [(parse_goal(_words(program, name, images)), images) for images in shown]


def _words(program: Program, name: str, images: Sequence[str]) -> str:
    """Words a goal of a predicate: images first, then variables as its rules name them."""
    functor, _, arity = name.rpartition("/")
    variables = list(images)
    for place in range(len(images), int(arity)):
        own = [
            str(one.head.args[place])
            for one in program.statements
            if isinstance(one, Clause) and signature(one.head) == name
        ]
        fitting = (
            text for text in (*own, f"V{place}") if text[0].isupper() and text.isidentifier()
        )
        variables.append(next(text for text in fitting if text not in variables))
    return f"{functor}({', '.join(variables)})"


def _observable(
    task: Task, goal: Goal, images: Sequence[str], asked: Collection[str]
) -> Observable | None:
    """Compiles a goal; ``None`` where it is about other networks, or not about all its images.

    Raises:
        GroundkitError: It cannot be asked.
    """
    reasoner = build_reasoner(task.program, goal, images, cache=task.binding.cache, limits=_LIMITS)
    calls = {network: own for network, own in reasoner.slots.items() if own}
    read = {part for own in calls.values() for call in own for part in call}
    if read != set(images) or not calls.keys() <= set(asked):
        return None
    return observable(reasoner, reasoner.support())
