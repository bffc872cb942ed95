"""What a task leaves open, and which of the open maps its networks have learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundkit.data.examples import UNKNOWN
from groundkit.errors import LimitError
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.identify import Observable, identify
from groundkit.identifiability.images import members
from groundkit.identifiability.learnt import LearntMap, learnt_map
from groundkit.identifiability.relations import SupportLike
from groundkit.runs.assess import NetworkAssessment
from groundkit.runs.observables import observable
from groundkit.runs.questions import suggest_goals
from groundkit.task.shaped import ShapedExamples
from groundkit.task.task import Task

MOST_SHAPES = 40
"""Shapes whose combinations are listed."""


def identify_task(task: Task, *, seconds: float = 20.0) -> Identification:
    """Counts the groundings that the goals admit, in full and for the examples.

    Shapes that have too many combinations to list are left out; fewer maps may then be admitted
    than are counted, and the result says so.

    Args:
        task: The task.
        seconds: Time limit of one count.

    Raises:
        LimitError: Every shape has too many combinations to list.
    """
    priors = {name: task.spec.network(name).perception.given_shares for name in task.neural}
    goals: list[Observable] = []
    left_out: list[str] = []
    failed: LimitError | None = None
    bases: set[str] = set()
    listed: list[int] = []
    # An empty list of images says nothing.
    reading = [number for number, shaped in enumerate(task.examples) if shaped.slots]

    def worlds(number: int) -> float:
        return task.examples[number].goal.reasoner.ground_program.worlds()

    for number in sorted(reading, key=worlds):
        shaped = task.examples[number]
        name = shaped.goal.template.words() or shaped.goal.goal.text
        if len(goals) == MOST_SHAPES:
            left_out.append(name)
            continue
        try:
            support = shaped.goal.reasoner.support()
        except LimitError as error:
            failed = error
            left_out.append(name)
            continue
        examples, basis = _observed(shaped, support, task.neural)
        bases.add(basis)
        goals.append(observable(shaped.goal.reasoner, support, examples))
        listed.append(number)
    if not goals and failed is not None:
        raise failed
    found = identify(
        goals,
        task.domains,
        groups=task.groups,
        basis=" and ".join(sorted(bases)),
        kept=[name for name in task.domains if name not in task.neural],
        prior={name: p for name, p in priors.items() if p is not None},
        labelled={name: known.symbols() for name, known in task.labelled.items()},
        seconds=seconds,
    )
    found = replace(found, left_out=tuple(left_out), goals=tuple(listed))
    if found.count is None or found.count == 1:
        return found
    goals_too = suggest_goals(task, goals, found, seconds=seconds)
    return replace(found, suggestions=(*goals_too, *found.suggestions))


@dataclass(frozen=True)
class _Combinations:
    """Combinations of symbols that examples hold."""

    values: Mapping[str, NDArray[np.int64]]
    answers: NDArray[np.int64]


def _observed(
    shaped: ShapedExamples, support: SupportLike, neural: Sequence[str]
) -> tuple[_Combinations, str]:
    """Returns the combinations that the examples contain, and how they are known."""
    targets = shaped.examples.targets
    holds = np.flatnonzero(np.ones(len(shaped)) if targets is None else targets > 0.5)
    truth = {name: rows[holds] for name, rows in shaped.truth().items()}
    answers = shaped.answers.numpy()[holds]
    observed = {name: rows[holds] for name, rows in shaped.observed.items()}
    if all((rows != UNKNOWN).all() for rows in truth.values()):
        basis = "examples' true symbols" if shaped.examples.places else "drawn examples"
        return _Combinations({**truth, **observed}, answers), basis
    seen = {
        (answer, *(int(v) for name in observed for v in observed[name][row]))
        for row, answer in enumerate(answers.tolist())
    }
    values = {name: np.asarray(rows) for name, rows in support.values.items()}
    possible = np.asarray(support.answers)
    kept = np.array(
        [
            (answer, *(int(v) for name in observed for v in values[name][row])) in seen
            for row, answer in enumerate(possible.tolist())
        ],
        dtype=bool,
    )
    allowed = {name: rows[kept] for name, rows in values.items()}
    return _Combinations(allowed, possible[kept]), "symbols that the observed answers allow"


def learnt(
    task: Task, found: Identification, assessed: Mapping[str, NetworkAssessment]
) -> LearntMap | None:
    """Names the map that the predictions follow, ``None`` without true labels."""
    labels, predictions = {}, {}
    for name, domain in found.domains.items():
        group = members(name)
        if group[0] not in assessed:
            labels[name] = predictions[name] = np.arange(len(domain))
            continue
        truths = [assessed[network].images.labels for network in group]
        guesses = [assessed[network].probs.argmax(1) for network in group]
        if any(truth is None or len(truth) != len(guesses[0]) for truth in truths):
            return None
        known = np.all([truth != UNKNOWN for truth in truths], axis=0)
        if not known.any():
            return None
        sizes = [len(task.domains[network]) for network in group]
        shape = tuple(sizes)
        labels[name] = np.ravel_multi_index([t[known] for t in truths if t is not None], shape)
        predictions[name] = np.ravel_multi_index([g[known] for g in guesses], shape)
    return learnt_map(found, labels, predictions)
