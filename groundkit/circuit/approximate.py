"""Reasoners for where exact reasoning does not fit its limits, and never without being asked for.

:class:`BoundedReasoner` answers with a lower bound, through which networks train, and knows the
upper one; :class:`SampledReasoner` answers with an estimate and knows its standard error. Both say
so by :attr:`~groundkit.circuit.reasoner.Reasoner.mode`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from groundkit.circuit.bounds import parts_of
from groundkit.circuit.compile import Compiled, with_evidence
from groundkit.circuit.explore import Support, Worlds
from groundkit.circuit.quotient import conditional, less
from groundkit.circuit.reasoner import Reasoner
from groundkit.circuit.sampling import Sampler
from groundkit.errors import LimitError
from groundkit.program.goal import Goal
from groundkit.program.ground import TRUE, FixedSource, GroundProgram
from groundkit.program.source import Program

_MOST_AVERAGED = 64
"""Choices with constant probabilities that are averaged out, of those that matter."""


def reasoner_of(program: Program, goal: Goal, found: GroundProgram, compiled: Compiled) -> Reasoner:
    """Returns the reasoner for what was compiled: a circuit, bounds, or nothing but a program."""
    kinds = {"bounds": BoundedReasoner, "sample": SampledReasoner}
    return kinds.get(compiled.stage, Reasoner)(program, goal, found, compiled)


class BoundedReasoner(Reasoner):
    """Answers with lower bounds; networks train through them."""

    mode = "bounds"

    def forward(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(B, R)`` lower bounds of log P(answer | evidence)."""
        return self.bounds(log_probs)[0]

    def bounds(self, log_probs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns lower and upper bounds of log P(answer | evidence), ``(B, R)`` each."""
        self._check(log_probs)
        roots = self.layer(*self.input_parts(log_probs)).transpose(0, 1)
        if self.ground_program.evidence == TRUE:
            lower, contrary = roots.chunk(2, 1)
            upper = less(torch, torch.zeros_like(contrary), contrary)
        else:
            lower, upper = conditional(torch, parts_of(roots, len(self.answers)))
        return lower, torch.maximum(lower, upper)

    def gap(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(B, R)``: upper less lower bound of the probability."""
        with torch.no_grad():
            lower, upper = self.bounds(log_probs)
        return upper.exp() - lower.exp()

    def refuse_impossible(self, only_evidence: bool = False) -> None:
        """Raises a ProgramError at evidence of which a part is proved to be impossible."""
        if self.ground_program.evidence == TRUE:
            return
        with torch.no_grad():
            known = self.layer(*self.input_parts(self._uniform()))[-1, 0]
        if float(known) == -math.inf:
            raise self._contradiction()

    def support(self, limit: int = 200_000) -> Support:
        """Refuses: proofs that were left out may permit other symbols."""
        raise _only_exact("listing all combinations of symbols")


class SampledReasoner(Reasoner):
    """Answers with estimates from random worlds.

    The estimated probabilities and their derivatives are unbiased; the logarithm of an estimate is
    not, by about half its relative variance.

    Attributes:
        worlds: Random worlds for an example.
        rng: Source of randomness.
    """

    mode = "sample"

    def __init__(
        self, program: Program, goal: Goal, ground_program: GroundProgram, compiled: Compiled
    ) -> None:
        super().__init__(program, goal, ground_program, compiled)
        extended, references = with_evidence(ground_program)
        self.sampler = Sampler(extended, references)
        self.worlds = 1000 if any(self.slots.values()) else 10_000
        self.rng = np.random.default_rng(0)
        fixed = [c for c in self.sampler.choices if self._is_fixed(c)]
        learnt = [c for c in self.sampler.choices if not self._is_fixed(c)]
        step = -(-len(fixed) // _MOST_AVERAGED) or 1
        self._averaged = [*learnt, *fixed[::step]]

    def _is_fixed(self, choice: int) -> bool:
        return isinstance(self.ground_program.choices[choice].source, FixedSource)

    def forward(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(B, R)`` logarithms of estimates of P(answer | evidence)."""
        self._check(log_probs)
        found = cast(Tensor, _Sample.apply(self, self.input_rows(log_probs)))
        if self.ground_program.evidence == TRUE:
            return found.log()
        told = found[:, -1:].clamp_min(torch.finfo(found.dtype).tiny)
        return found[:, :-1].log() - told.log()

    def gap(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(B, R)``: the standard error of the estimated probabilities."""
        with torch.no_grad():
            rows = self.input_rows(log_probs)
        return torch.from_numpy(np.stack([self._error(row) for row in rows.T.exp().numpy()]))

    def _error(self, row: np.ndarray) -> np.ndarray:
        """Standard errors for one example; of a quotient by its linear approximation."""
        found = self.estimate(row)
        variance = np.diag(found.covariance)
        # What all worlds agree on may still fail in about one of as many.
        variance = np.where(variance > 0.0, variance, 1.0 / self.worlds**2)
        if self.ground_program.evidence == TRUE:
            plain: np.ndarray = np.sqrt(variance)
            return plain
        told = float(found.mean[-1])
        if told == 0.0:
            return np.ones(len(self.answers))  # the evidence was met in no world
        share = found.mean[:-1] / told
        mixed = variance[:-1] - 2 * share * found.covariance[:-1, -1] + share**2 * variance[-1]
        errors: np.ndarray = np.sqrt(np.maximum(mixed, 1.0 / self.worlds**2)) / told
        return errors.clip(max=1.0)

    def estimate(self, row: np.ndarray) -> Any:
        """Draws worlds for one example.

        Args:
            row: ``(inputs,)`` probabilities in the order of the input rows.
        """
        probabilities = []
        for choice, first in zip(self.ground_program.choices, self.row_of, strict=True):
            part = row[first : first + choice.size].astype(np.float64)
            probabilities.append(part / part.sum())
        return self.sampler.estimate(probabilities, self.worlds, self.rng, self._averaged)

    def refuse_impossible(self, only_evidence: bool = False) -> None:
        """Raises a LimitError where no random world satisfies the evidence: nothing is known then.

        That an answer was not met is no proof that it is impossible.
        """
        if self.ground_program.evidence == TRUE:
            return
        told = self.estimate(np.exp(self._single(self._uniform()))).mean[-1]
        if told == 0.0:
            raise LimitError(
                f"none of {self.worlds:,} random worlds satisfies the evidence, so nothing can be "
                "estimated",
                remedy='set mode = "bounds" under [reasoning], or raise --limit-seconds and '
                "--limit-memory until exact reasoning fits",
            )

    def support(self, limit: int = 200_000) -> Support:
        """Refuses: worlds that were not met may permit other symbols."""
        raise _only_exact("listing all combinations of symbols")

    def sample(self, count: int, rng: np.random.Generator) -> Worlds:
        """Refuses: worlds in which a rare goal holds cannot be drawn without a circuit."""
        raise _only_exact("drawing examples through the goal")


class _Sample(torch.autograd.Function):
    """Estimates for a batch, with the derivatives that come with them."""

    @staticmethod
    def forward(ctx: Any, reasoner: SampledReasoner, rows: Tensor) -> Tensor:
        columns = rows.detach().double().exp().cpu().numpy().T
        means, slopes = [], []
        for column in columns:
            found = reasoner.estimate(column)
            means.append(found.mean)
            slope = np.zeros((len(found.mean), len(column)))
            for choice, derivative in found.derivative.items():
                first = reasoner.row_of[choice]
                slope[:, first : first + len(derivative)] += derivative.T
            slopes.append(slope * column)  # with respect to the logarithms
        ctx.save_for_backward(torch.from_numpy(np.stack(slopes)).to(rows))
        return torch.from_numpy(np.stack(means)).to(rows)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[None, Tensor]:
        (slopes,) = ctx.saved_tensors
        outer = torch.nan_to_num(outer, 0.0, 0.0, 0.0)
        return None, torch.einsum("br,bri->ib", outer, slopes)


def _only_exact(what: str) -> LimitError:
    return LimitError(
        f"{what} needs exact reasoning, which did not fit its limits",
        remedy="raise --limit-seconds and --limit-memory, give examples in a file, or ask for a "
        "smaller shape of the goal",
    )
