"""An ensemble in the manner of BEARS, unsure by chance, and plain training, its first member.

Marconato et al., "BEARS Make Neuro-Symbolic Models Aware of their Reasoning Shortcuts" (UAI 2024):
networks are trained one after the other, each to answer the examples and to give its images other
symbols than those before it do. Answers and symbols are the members' averages. The first member
has nothing to differ from: it is what training by the program's likelihood alone gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundkit.perception.model import SymbolModel, log_probs
from groundkit.perception.pixels import to_model
from groundkit.task.networks import build_model
from groundkit.task.shaped import ShapedExamples
from groundkit.task.task import Task

Member = dict[str, SymbolModel]

RATE = 2e-3
APART = 1.0
"""Weight of the divergence from the members before, in nats."""
UNSURE = 0.1
"""Weight of the symbols' entropy, as a share of the largest."""


@dataclass(frozen=True)
class Ensemble:
    """Trained members.

    Attributes:
        task: What they were trained for.
        members: Network -> model, of each.
    """

    task: Task
    members: Sequence[Member]

    def first(self) -> Ensemble:
        """Returns plain training: the first member alone."""
        return Ensemble(self.task, self.members[:1])

    def symbols(self, network: str, pixels: Tensor) -> Tensor:
        """Returns ``(N, K)`` probabilities of a network's symbols."""
        return torch.stack([_read(one[network], pixels) for one in self.members]).mean(0)

    def right(self, examples: Sequence[ShapedExamples]) -> float:
        """Returns the share of examples whose likeliest answer is the observed one."""
        found = []
        for shaped in examples:
            total = sum(
                shaped.goal.reasoner(_rows(one, shaped, np.arange(len(shaped))))
                .expand(len(shaped), -1)
                .exp()
                for one in self.members
            )
            assert isinstance(total, Tensor)
            found.append(total.argmax(1) == shaped.answers)
        return float(torch.cat(found).double().mean())


def train(task: Task, seed: int, *, members: int, steps: int, batch: int = 64) -> Ensemble:
    """Trains members one after the other.

    Args:
        task: Examples of goals that are to hold.
        seed: Of weights and batches.
        members: How many.
        steps: Steps of each.
        batch: Examples of a step.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    done: list[Member] = []
    for _ in range(members):
        own = {
            name: build_model(
                task.spec.network(name), tuple(task.pool(name).shape[1:]), len(task.domains[name])
            )
            for name in task.neural
        }
        parameters = [p for model in own.values() for p in model.parameters()]
        optimiser = torch.optim.AdamW(parameters, RATE)
        sizes = np.array([len(shaped) for shaped in task.examples], dtype=float)
        for _ in range(steps):
            shaped = task.examples[rng.choice(len(sizes), p=sizes / sizes.sum())]
            loss = _loss(own, done, shaped, rng.integers(len(shaped), size=batch))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        done.append({name: model.eval() for name, model in own.items()})
    return Ensemble(task, done)


def _loss(
    own: Member, done: Sequence[Member], shaped: ShapedExamples, chosen: np.ndarray
) -> Tensor:
    """Returns what a member minimises on some examples."""
    rows = _rows(own, shaped, chosen)
    answers = shaped.answers[torch.from_numpy(chosen)]
    loss = -shaped.goal.reasoner.log_likelihood(rows, answers).mean()
    if not done:
        return loss
    with torch.no_grad():
        before = [_rows(one, shaped, chosen) for one in done]
    for name in shaped.slots:
        logs = rows[name]
        mean = torch.stack([logs.exp(), *(one[name].exp() for one in before)]).mean(0)
        apart = (logs.exp() * (logs - mean.clamp_min(1e-12).log())).sum(-1).mean()
        entropy = -(logs.exp() * logs).sum(-1).mean() / math.log(logs.shape[-1])
        loss = loss - APART * apart - UNSURE * entropy
    return loss


def _rows(member: Member, shaped: ShapedExamples, chosen: np.ndarray) -> Mapping[str, Tensor]:
    """Reads the images of some examples ``(n,)``: network -> ``(n, S, K)``."""
    rows = {name: one[chosen].double() for name, one in shaped.observed_log_probs().items()}
    for name, positions in shaped.slots.items():
        places = torch.from_numpy(positions[chosen])
        pixels = shaped.examples.banks[name].pixels[places.reshape(-1)]
        logs = log_probs(member[name](to_model(pixels)).double())
        rows[name] = logs.reshape(*places.shape, -1)
    return rows


@torch.no_grad()
def _read(model: SymbolModel, pixels: Tensor) -> Tensor:
    """Returns ``(N, K)`` probabilities."""
    return log_probs(model(to_model(pixels)).double()).exp()
