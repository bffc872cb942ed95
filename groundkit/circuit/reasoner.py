"""The facade of the reasoning engine: from a program and a goal to batched log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from groundkit.circuit.compile import Compiled, compile_conjunction
from groundkit.circuit.explore import Explorer, Support, Worlds
from groundkit.circuit.layer import CircuitLayer
from groundkit.circuit.learnable import LearnableGroups, log, name_of
from groundkit.errors import (
    DataError,
    NetworkError,
    NoSolutionError,
    ProgramError,
    choose_from,
)
from groundkit.program.goal import Goal
from groundkit.program.ground import (
    FALSE,
    FixedSource,
    GroundProgram,
    LearnedSource,
    NeuralSource,
)
from groundkit.program.source import Program
from groundkit.symbols import Values

_NORMALISED = 1e-3


class Reasoner(nn.Module):
    """A compiled query shape, evaluated for a batch of symbol log-probabilities.

    Attributes:
        slots: For every network, the input variables' names of each of its ground calls.
        observed: Names of the goal's observed logical variables, in goal order.
        answers: Values of :attr:`observed`, printed so that they read back, one tuple per root;
            ``((),)`` when none is observed.
        ground_program: The ground program.
        compiled: The circuit with the stage that made it.
    """

    constants: Tensor
    mode = "exact"
    """Or ``bounds`` or ``sample``, where the numbers are not exact: see :meth:`gap`."""

    def __init__(
        self, program: Program, goal: Goal, ground_program: GroundProgram, compiled: Compiled
    ) -> None:
        super().__init__()
        self.program = program
        self.goal = goal
        self.ground_program = ground_program
        self.compiled = compiled
        self.slots = ground_program.slots
        self.observed = ground_program.observed
        self.answers = ground_program.answers
        self._values = Values(self.answers)
        self._has_evidence = len(compiled.circuit.roots) > len(self.answers)
        self.sizes = {name: len(p.domain) for name, p in program.networks.items()}
        used = {
            c.source: name_of(c.source)
            for c in ground_program.choices
            if isinstance(c.source, LearnedSource)
        }
        ordered = sorted(used, key=lambda source: (source.group, source.keys))
        self.learnable = LearnableGroups(
            {used[source]: program.learnable[source.group] for source in ordered},
            {used[source]: source.keys for source in ordered if source.keys},
        )
        self._lay_out()
        self._checked = False

    def _lay_out(self) -> None:
        """Assigns input rows: networks first, then constants, then learnable groups."""
        rows: dict[str, int] = {}
        total = 0
        for name, calls in self.slots.items():
            rows[name] = total
            total += len(calls) * self.sizes[name]
        constants: list[float] = []
        row_of: list[int] = []
        for choice in self.ground_program.choices:
            if isinstance(choice.source, NeuralSource):
                name = choice.source.network
                row_of.append(rows[name] + choice.source.slot * self.sizes[name])
            elif isinstance(choice.source, FixedSource):
                row_of.append(total + len(constants))
                constants.extend(log(p) for p in choice.source.probabilities)
            else:
                row_of.append(-1)
        total += len(constants)
        starts: dict[str, int] = {}
        for name, group in self.learnable.groups.items():
            starts[name] = total
            total += len(group.heads) + 1 + len(group.others)
        for index, choice in enumerate(self.ground_program.choices):
            if isinstance(choice.source, LearnedSource):
                row_of[index] = starts[name_of(choice.source)]
        self.row_of = tuple(row_of)
        self.register_buffer(
            "constants", torch.tensor(constants, dtype=torch.float64), persistent=False
        )
        self.layer = CircuitLayer(self.compiled.circuit, row_of, total)

    def forward(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Evaluates every answer.

        Args:
            log_probs: For every network ``(B, S, K)`` normalised log-probabilities, ``S`` ground
                calls in the order of :attr:`slots`, ``K`` values in the order of the domain.

        Returns:
            ``(B, R)``: log P(answer | evidence).

        Raises:
            NetworkError: A network is missing, has a wrong shape, or gives no log-probabilities.
        """
        self._check(log_probs)
        roots = self.layer(*self.input_parts(log_probs))
        if self._has_evidence:
            lowest = torch.finfo(roots.dtype).min
            roots = roots[:-1] - roots[-1:].clamp_min(lowest)
        return cast(Tensor, roots.transpose(0, 1))

    def gap(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(B, R)``: how far probabilities may be off, or their standard error; 0 here."""
        with torch.no_grad():
            return torch.zeros_like(self(log_probs))

    def reasoning(self) -> dict[str, str | float]:
        """Returns the mode, and the widest gap of an answer where networks know nothing."""
        gap = float(self.gap(self._uniform()).max()) if self.mode != "exact" else 0.0
        return {"mode": self.mode, "gap": gap, "reason": self.compiled.reason}

    def log_likelihood(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        """Returns ``(B,)`` log P(answer | evidence) for ``(B,)`` root indices ``answers``."""
        # A goal that reads nothing has one row for all examples.
        roots = self(log_probs).expand(len(answers), -1)
        return cast(Tensor, roots.gather(1, answers.view(-1, 1).to(roots.device)).squeeze(1))

    def answer_index(self, values: Sequence[str], *, possible: bool = False) -> int:
        """Finds the root of some observed values.

        Args:
            values: Values of :attr:`observed`, exactly as printed or as a user writes them: without
                quotes, ``07`` for ``7``.
            possible: Refuse an answer that has a proof but no world, such as an odd sum of a digit
                and itself.

        Raises:
            DataError: The program has no such answer, or several are written alike.
        """
        written = [str(value).strip() for value in values]
        found = self._values.find(*written)
        roots = self.ground_program.roots
        if found is None or (possible and roots[found] == FALSE):
            given = ", ".join(f"{n} = {v}" for n, v in zip(self.observed, written, strict=False))
            listed = [
                ", ".join(answer)
                for answer, root in zip(self.answers, roots, strict=True)
                if root != FALSE
            ]
            raise DataError(
                f"the goal '{self.goal.text}' has no solution with {given}",
                remedy=choose_from(", ".join(written), listed),
            )
        return found

    def input_parts(self, log_probs: Mapping[str, Tensor]) -> list[Tensor]:
        """Arranges all log-probabilities as the circuit's inputs, ``(B, n)`` or ``(1, n)`` each."""
        parts = [log_probs[name].flatten(1) for name, calls in self.slots.items() if calls]
        like = parts[0] if parts else self._parameter_like()
        if len(self.constants):
            parts.append(self.constants.to(like).unsqueeze(0))
        parts += [self.learnable.log_rows(n).to(like).unsqueeze(0) for n in self.learnable.groups]
        return parts

    def input_rows(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Arranges all log-probabilities as ``(inputs, B)`` rows of one tensor."""
        parts = self.input_parts(log_probs)
        batch = max((len(part) for part in parts), default=1)
        rows = [part.expand(batch, -1) for part in parts]
        return (
            torch.cat(rows, 1).transpose(0, 1) if rows else self._parameter_like().new_zeros((0, 1))
        )

    def _parameter_like(self) -> Tensor:
        """Returns a tensor with the type to compute in where no network gives one."""
        return next(iter(self.parameters()), self.constants).detach()

    def learned_probabilities(self) -> dict[str, float]:
        """Returns the present value of every learnable probability, by its head."""
        return self.learnable.probabilities()

    def _check(self, log_probs: Mapping[str, Tensor]) -> None:
        """Checks names and shapes always, and once that the numbers are log-probabilities."""
        batch = None
        for name, calls in self.slots.items():
            if not calls:
                continue
            if name not in log_probs:
                raise NetworkError(
                    f"no outputs of network '{name}' were given",
                    remedy=choose_from(name, log_probs),
                )
            tensor = log_probs[name]
            expected = (len(calls), self.sizes[name])
            if tensor.dim() != 3 or tuple(tensor.shape[1:]) != expected:
                raise NetworkError(
                    f"the outputs of network '{name}' have shape {tuple(tensor.shape)}",
                    expected=f"(batch, {expected[0]}, {expected[1]}): {expected[0]} calls of the "
                    f"goal, {expected[1]} values in the program's domain",
                    remedy="give the network one output per value of its domain",
                    at=self.program.networks[name].location,
                )
            if batch is not None and tensor.shape[0] != batch:
                raise NetworkError(
                    f"network '{name}' gives {tensor.shape[0]} examples, others {batch}",
                    expected="one batch size for all networks",
                )
            batch = tensor.shape[0]
            if not self._checked:
                self._check_normalised(name, tensor.detach())
        self._checked = True

    def _check_normalised(self, name: str, tensor: Tensor) -> None:
        """Tells logits and probabilities from log-probabilities."""
        if tensor.isnan().any():
            raise NetworkError(f"the outputs of network '{name}' contain NaN")
        sums = torch.logsumexp(tensor, -1)
        if tensor.numel() and float(sums.abs().max()) > _NORMALISED:
            raise NetworkError(
                f"the outputs of network '{name}' are not log-probabilities: their exponentials "
                f"sum to {float(sums.flatten()[sums.abs().argmax()].exp()):g}, not to 1",
                remedy="apply log_softmax over the last axis to the logits",
                at=self.program.networks[name].location,
            )

    def explorer(self) -> Explorer:
        """Returns the tool for sampling and listing worlds of this circuit."""
        return Explorer(self.ground_program, self.compiled.circuit, self.row_of, self.sizes)

    def _uniform(self) -> dict[str, Tensor]:
        """Returns log-probabilities of networks that know nothing, for one example."""
        return {
            name: torch.full(
                (1, len(calls), self.sizes[name]), -math.log(self.sizes[name])
            ).double()
            for name, calls in self.slots.items()
        }

    def _single(self, log_probs: Mapping[str, Tensor]) -> np.ndarray:
        """Returns the ``(inputs,)`` rows of one example as an array."""
        with torch.no_grad():
            rows = self.input_rows({name: t.detach().double() for name, t in log_probs.items()})
        return rows[:, 0].cpu().numpy()

    def sample(self, count: int, rng: np.random.Generator) -> Worlds:
        """Draws worlds in which some answer holds.

        Neural choices are uniform, other choices have their probabilities.

        Args:
            count: Number of worlds.
            rng: Source of randomness.
        """
        return self.explorer().sample(self._single(self._uniform()), count, rng, len(self.answers))

    def support(self, limit: int = 200_000) -> Support:
        """Lists all combinations of neural values with positive probability, with their answers.

        Args:
            limit: Most combinations to list.

        Raises:
            LimitError: There are more.
        """
        return self.explorer().support(self._single(self._uniform()), len(self.answers), limit)

    def refuse_impossible(self, only_evidence: bool = False) -> None:
        """Raises a ProgramError when evidence or goal have probability 0 whatever is seen."""
        with torch.no_grad():
            roots = self.layer(*self.input_parts(self._uniform()))[:, 0]
        if self._has_evidence and roots[-1] == -math.inf:
            raise self._contradiction()
        if not only_evidence and float(roots[: len(self.answers)].max()) == -math.inf:
            given = " under the evidence" if self._has_evidence else ""
            among = " or what the evidence rules out" if self._has_evidence else ""
            raise NoSolutionError(
                f"the goal '{self.goal.text}' has no solution of positive probability{given}",
                remedy=f"look for facts of probability 0{among} among its clauses",
                at=self.goal.at,
            )

    def _contradiction(self) -> ProgramError:
        """Words which evidence and constraints can never hold together."""
        conflict = self._conflict()
        remedy = "remove one of these facts, or correct the clauses that contradict it"
        for constraint in self.program.constraints:
            if any(name.startswith(constraint.text) for name in conflict):
                if len(constraint.inputs) > 1:
                    names = " \\= ".join(name for name, _ in constraint.inputs[:2])
                    remedy += f"; where the inputs of a constraint have to differ, write {names}"
                at = constraint.location
                break
        else:
            at = self.program.places.at(max(self.program.text.find("evidence"), 0))
        return ProgramError(
            f"the evidence can never hold together: {'; '.join(conflict)}", remedy=remedy, at=at
        )

    def _conflict(self) -> list[str]:
        """Finds a smallest set of evidence that is impossible, by leaving out one at a time."""
        kept = list(self.ground_program.evidence_parts)
        for part in list(kept):
            rest = [other for other in kept if other is not part]
            compiled = compile_conjunction(self.ground_program, [ref for _, ref in rest])
            layer = CircuitLayer(compiled.circuit, self.row_of, self.layer.inputs)
            with torch.no_grad():
                if layer(*self.input_parts(self._uniform()))[0, 0] == -math.inf:
                    kept = rest
        return [name for name, _ in kept]
