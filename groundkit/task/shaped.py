"""Examples of one shape beside the compiled goal that asks for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data.examples import Examples, Indices, input_of
from groundkit.errors import DataError
from groundkit.symbols import Values
from groundkit.task.binding import BoundGoal

# Log-probability of a symbol that an observation excludes: finite, so that gradients are.
EXCLUDED = -1e4


@dataclass(frozen=True)
class ShapedExamples:
    """Examples of one shape of one query.

    Attributes:
        goal: The compiled goal.
        examples: What its variables are bound to.
    """

    goal: BoundGoal
    examples: Examples

    def __len__(self) -> int:
        return len(self.examples)

    def subset(self, where: Indices) -> ShapedExamples:
        """Returns the examples at some positions."""
        return replace(self, examples=self.examples.subset(where))

    @cached_property
    def answers(self) -> Tensor:
        """Every example's root: ``(n,)`` long.

        Raises:
            DataError: The program has no such answer.
        """
        reasoner, examples = self.goal.reasoner, self.examples
        columns = [examples.symbols[name] for name in reasoner.observed]
        if not columns:
            return torch.zeros(len(examples), dtype=torch.long)
        rows = list(zip(*columns, strict=True))
        found: dict[tuple[str, ...], int] = {}
        for number, values in enumerate(rows):
            if values not in found:
                try:
                    found[values] = reasoner.answer_index(values, possible=True)
                except DataError as error:
                    error.at = examples.place(number)
                    raise
        return torch.tensor([found[values] for values in rows], dtype=torch.long)

    @torch.no_grad()
    def check_possible(self) -> None:
        """Refuses an example that no symbols of its images explain.

        Raises:
            DataError: There is one, such as an odd sum of an image and the same image.
        """
        reasoner, domains = self.goal.reasoner, self.goal.roles.domains
        if self.goal.roles.given:
            return  # what is observed of one example is not what is observed of another
        even = {
            network: torch.zeros((1, len(calls), len(domains[network])), dtype=torch.float64)
            for network, calls in reasoner.slots.items()
            if calls
        }
        never = reasoner({n: t.log_softmax(-1) for n, t in even.items()})[0].cpu().isneginf()
        wrong = never[self.answers].numpy()
        if self.examples.targets is not None:
            wrong = wrong & (self.examples.targets > 0)
        if not wrong.any():
            return
        first = int(wrong.argmax())
        answer = reasoner.answers[int(self.answers[first])]
        values = ", ".join(f"{n} = {v}" for n, v in zip(reasoner.observed, answer, strict=True))
        shape = self.goal.template.words()
        raise DataError(
            f"no symbols of the images give {values or 'the goal'}{f' ({shape})' if shape else ''}",
            expected="an example that some symbols of its images explain",
            remedy="correct the example, or leave it out",
            at=self.examples.place(first),
        )

    @cached_property
    def observed(self) -> dict[str, NDArray[np.int64]]:
        """Symbols of the observed networks' calls: network -> ``(n, S)`` places in the domain.

        Raises:
            DataError: An observed symbol is not in its network's domain.
        """
        found: dict[str, NDArray[np.int64]] = {}
        domains, given = self.goal.roles.domains, self.goal.roles.given
        for network, calls in self.goal.reasoner.slots.items():
            if not calls or network not in given.values():
                continue
            values, what = Values(domains[network]), f"symbol of network '{network}'"
            rows = np.empty((len(self), len(calls)), dtype=np.int64)
            for slot, call in enumerate(calls):
                for row, value in enumerate(self.examples.symbols[call[0]]):
                    at = self.examples.place(row)
                    rows[row, slot] = values.position(value, what, call[0], at)
            found[network] = rows
        return found

    def observed_log_probs(self) -> dict[str, Tensor]:
        """One-hot log-probabilities of the observed networks' calls: network -> ``(n, S, K)``."""
        found = {}
        for network, places in self.observed.items():
            size = len(self.goal.roles.domains[network])
            rows = torch.full((*places.shape, size), EXCLUDED)
            found[network] = rows.scatter_(2, torch.from_numpy(places)[..., None], 0.0)
        return found

    @cached_property
    def slots(self) -> dict[str, NDArray[np.int64]]:
        """Bank positions of every neural call's image: network -> ``(n, S)``."""
        images = self.examples.images
        return {
            network: np.stack([images[input_of(call)] for call in calls], axis=1)
            for network, calls in self.goal.reasoner.slots.items()
            if calls and input_of(calls[0]) in images
        }

    def truth(self) -> dict[str, NDArray[np.int64]]:
        """True symbols of every neural call: network -> ``(n, S)``, ``UNKNOWN`` where not known."""
        known = self.examples.truth
        return {
            network: np.stack([known[network, input_of(call)] for call in calls], axis=1)
            for network, calls in self.goal.reasoner.slots.items()
            if network in self.slots
        }
