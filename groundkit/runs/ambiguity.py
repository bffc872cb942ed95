"""What a trained run leaves open: the readings of its symbols, and the labels that settle them.

No true symbol is looked at: combinations of symbols are those that the networks predict, and the
data weighs a reading by how well the observed answers follow from the predictions under it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.errors import DataError, LimitError
from groundkit.identifiability.admitted import Knowledge
from groundkit.identifiability.factored import FactoredPosterior, Reading, weigh_parts
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.images import members, name_of
from groundkit.identifiability.relations import Relation
from groundkit.runs.observables import has_probabilities
from groundkit.runs.readings import joint_certainty, joint_symbols, mixed_likelihood, reread
from groundkit.task.shaped import ShapedExamples
from groundkit.task.task import Task

Predict = Callable[[str, Tensor], Tensor]
"""Maps a network and its images to (N, K) log-probabilities."""

MOST_EXAMPLES = 1000
"""Examples that weigh the readings: held-out ones first."""
FREQUENT = 0.9
"""Share of the examples, of training and held out, whose combinations a reading has to keep; the
rest may be misread."""
_AT_ONCE = 1000
"""Examples that a circuit evaluates together."""
LEAST_ERRORS, MOST_ERRORS = 0.01, 0.5


@dataclass(frozen=True)
class ReadExamples:
    """Examples of one shape with what the networks make of their images.

    Attributes:
        shaped: The examples.
        logs: Input -> name of the networks that read it, and their predictions.
    """

    shaped: ShapedExamples
    logs: dict[str, tuple[str, dict[str, Tensor]]]

    def rows(self, reading: Mapping[str, Sequence[int]] | None) -> dict[str, Tensor]:
        """Arranges the circuit's inputs, ``(n, S, K)``, under a reading; as they are without."""
        seen = {
            name: dict(logs) if reading is None else reread(logs, group, reading[group])
            for name, (group, logs) in self.logs.items()
        }
        rows = {name: one.double() for name, one in self.shaped.observed_log_probs().items()}
        for network, calls in self.shaped.goal.reasoner.slots.items():
            if network in self.shaped.slots:
                rows[network] = torch.stack([seen[",".join(c)][network] for c in calls], 1)
        return rows

    def part(self, start: int, stop: int) -> ReadExamples:
        """Returns some of the examples."""
        logs = {
            name: (group, {network: t[start:stop] for network, t in own.items()})
            for name, (group, own) in self.logs.items()
        }
        return ReadExamples(self.shaped.subset(np.arange(start, stop)), logs)

    def likelihood(self, reading: Mapping[str, Sequence[int]] | None) -> Tensor:
        """Returns ``(n,)`` log P(query), or of its opposite where it is not to hold."""
        count = len(self.shaped)
        parts = [
            self.part(start, min(start + _AT_ONCE, count))._likelihood(reading)
            for start in range(0, count, _AT_ONCE)
        ]
        return torch.cat([torch.zeros(0, dtype=torch.float64), *parts])

    @torch.no_grad()
    def _likelihood(self, reading: Mapping[str, Sequence[int]] | None) -> Tensor:
        reasoner = self.shaped.goal.reasoner
        device = reasoner.constants.device
        rows = {name: one.to(device) for name, one in self.rows(reading).items()}
        found = reasoner.log_likelihood(rows, self.shaped.answers.to(device)).double().cpu()
        if self.shaped.examples.targets is None:
            return found
        against = torch.from_numpy(self.shaped.examples.targets < 0.5)
        return torch.where(against, torch.log1p(-found.exp().clamp(max=1.0)), found)

    @property
    def answers(self) -> int:
        """Number of answers."""
        return len(self.shaped.goal.reasoner.answers)


def weigh_readings(
    task: Task,
    found: Identification | str | None,
    predict: Predict,
    shapes: Sequence[Sequence[ReadExamples]] | None = None,
) -> FactoredPosterior | str | None:
    """Weighs the readings of a run's symbols that program and data leave.

    Args:
        task: The run's task.
        found: What the program admits.
        predict: The trained networks.
        shapes: What :func:`read_examples` returned, where that is known.

    Returns:
        The readings; a text that says why there are none; ``None`` without a program.
    """
    if not isinstance(found, Identification) or found.maps is None:
        return found if isinstance(found, str) else None
    shapes = shapes or read_examples(task, predict)
    observed = []
    for number, target in zip(found.goals, found.maps.targets, strict=True):
        goal = shapes[0][number].shaped.goal
        asking = [one for split in shapes for one in split if one.shaped.goal is goal]
        observed.append(_frequent(asking, target, task))
    priors = {
        name: p
        for name in task.neural
        if (p := task.spec.network(name).perception.given_shares) is not None
        and name in found.maps.domains
    }
    known = Knowledge(tuple(observed), prior=priors)
    data = _Data(shapes[1], shapes[0])
    apart = found.maps.free if found.left_out else ()
    try:
        weighed = weigh_parts(found.maps, known, data.score, together=data.together, apart=apart)
    except LimitError as error:
        return f"the readings of the symbols are too many: {error.found}; the learnt one answers"
    return _with_labels(weighed, task, predict)


class _Data:
    """Examples that weigh readings, those of every part of the networks by themselves.

    Args:
        held_out: Examples that weigh first, and tell how often the networks are wrong.
        training: Further ones, which the networks have been fitted to.
    """

    def __init__(self, held_out: Sequence[ReadExamples], training: Sequence[ReadExamples]) -> None:
        unseen = [one for one in held_out if len(one.shaped)]
        self._shapes = (*unseen, *training)
        self._unseen = len(unseen)
        self._chosen: dict[frozenset[str], tuple[list[ReadExamples], float]] = {}

    @property
    def together(self) -> list[set[str]]:
        """Networks that the examples of a shape ask about together."""
        return [{group for group, _ in one.logs.values()} for one in self._shapes]

    def score(self, networks: Collection[str], reading: Reading) -> float:
        """Returns the log-likelihood of the examples of some networks under a reading of them."""
        weighing, errors = self._of(frozenset(networks))
        return sum(
            mixed_likelihood(one.likelihood(reading), errors, one.answers) for one in weighing
        )

    def _of(self, networks: frozenset[str]) -> tuple[list[ReadExamples], float]:
        """Returns the examples of some networks, and the share that is taken to be misread."""
        if networks not in self._chosen:
            asking = [bool(asked & networks) for asked in self.together]
            weighing = _few(list(itertools.compress(self._shapes, asking)))
            unseen = weighing[: sum(asking[: self._unseen])] or weighing
            wrong = [1 - one.likelihood(None).exp() for one in unseen]
            # Laplace's rule of succession: few examples do not show that few are misread.
            share = (sum(float(own.sum()) for own in wrong) + 1) / (sum(map(len, wrong)) + 2)
            errors = float(np.clip(share, LEAST_ERRORS, MOST_ERRORS))
            self._chosen[networks] = weighing, errors
        return self._chosen[networks]


def _few(shapes: Sequence[ReadExamples]) -> list[ReadExamples]:
    """Takes so many examples as weigh the readings."""
    left, found = MOST_EXAMPLES, []
    for one in shapes:
        count = min(left, len(one.shaped))
        if count:
            found.append(one.part(0, count))
            left -= count
    return found


def read_examples(task: Task, predict: Predict) -> tuple[list[ReadExamples], list[ReadExamples]]:
    """Reads the images of all examples, each once: those of training and those held out."""
    found: tuple[list[ReadExamples], list[ReadExamples]] = ([], [])
    for split, examples in enumerate((task.examples, task.held_out)):
        used: dict[str, set[int]] = {}
        for shaped in examples:
            for name, readers in shaped.goal.roles.images.items():
                for network in task.group_of(readers[0]):
                    used.setdefault(network, set()).update(shaped.examples.images[name].tolist())
        banks, places, seen = task.banks(split), {}, {}
        for network, own in used.items():
            places[network] = np.array(sorted(own))
            pixels = banks[network].pixels[torch.from_numpy(places[network])]
            seen[network] = predict(network, pixels).double().cpu()
        for shaped in examples:
            logs = {}
            for name, readers in shaped.goal.roles.images.items():
                group = task.group_of(readers[0])
                positions = shaped.examples.images[name]
                logs[name] = (
                    name_of(group),
                    {n: seen[n][np.searchsorted(places[n], positions)] for n in group},
                )
            found[split].append(ReadExamples(shaped, logs))
    return found


def _frequent(asking: Sequence[ReadExamples], target: Relation, task: Task) -> Relation:
    """Returns the rows that the networks' predictions are of, those aside that are rare.

    Args:
        asking: The examples of a goal.
        target: Its rows.
        task: The run's task.
    """
    rows = target.rows
    if not has_probabilities(asking[0].shaped.goal.reasoner):
        rows = np.column_stack([rows, target.answers])
    possible = {tuple(row) for row in rows.tolist()}
    seen = itertools.chain.from_iterable(_rows(one, target, task).tolist() for one in asking)
    counts = Counter(row for row in map(tuple, seen) if row in possible)
    kept: set[tuple[int, ...]] = set()
    total = 0
    for row, count in counts.most_common():
        if total >= FREQUENT * counts.total():
            break
        kept.add(row)
        total += count
    return target.select(np.array([tuple(row) in kept for row in rows.tolist()], dtype=np.bool_))


def _rows(read: ReadExamples, target: Relation, task: Task) -> NDArray[np.int64]:
    """Returns ``(n, ...)`` what is predicted, and the answer where the symbols decide it."""
    shaped = read.shaped
    columns: list[NDArray[np.int64]] = []
    for network, name in zip(target.columns, target.names, strict=True):
        if members(network)[0] in task.neural:
            group, logs = read.logs[name]
            columns.append(joint_symbols(logs, group).numpy())
        else:
            calls = [",".join(call) for call in shaped.goal.reasoner.slots[network]]
            columns.append(shaped.observed[network][:, calls.index(name)])
    if not has_probabilities(shaped.goal.reasoner):
        columns.append(shaped.answers.numpy())
    table = np.stack(columns, axis=1) if columns else np.zeros((len(shaped), 0), dtype=np.int64)
    return table if shaped.examples.targets is None else table[shaped.examples.targets > 0.5]


def _with_labels(found: FactoredPosterior, task: Task, predict: Predict) -> FactoredPosterior:
    """Takes up the labels that training has used, where the networks agree with them."""
    for name, known in task.labelled.items():
        group = task.group_of(name)
        logs = {n: predict(n, known.pixels).double().cpu() for n in group}
        certain = joint_certainty(logs, name_of(group))
        for symbol in known.symbols():
            mine = known.targets[:, symbol] == 1
            predicted = int(certain[mine].mean(0).argmax())
            meant = meanings_of(task.domains, name_of(group), {name: symbol})
            try:
                found = found.given(name_of(group), predicted, meant)
            except DataError:  # the network mistakes these images: they say nothing of its names
                continue
    return found


def meanings_of(
    domains: Mapping[str, Sequence[str]], group: str, known: Mapping[str, int]
) -> list[int]:
    """Lists the joint symbols of an image of which some networks' symbols are known."""
    networks = members(group)
    shape = tuple(len(domains[name]) for name in networks)
    table = np.arange(int(np.prod(shape))).reshape(shape)
    chosen = tuple(known.get(name, slice(None)) for name in networks)
    return [int(one) for one in np.ravel(table[chosen])]
