"""A compiled goal as a torch module: log-probabilities of symbols in, of answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from groundkit.circuit.cache import cache_folder
from groundkit.circuit.learnable import LearnableGroups
from groundkit.errors import DataError, choose_from
from groundkit.layer.batch import (
    AnswerTable,
    Given,
    Part,
    by_derived,
    entropy,
    join,
    join_symbols,
    make_part,
    posterior,
)
from groundkit.layer.columns import entries, read_columns
from groundkit.layer.descend import MostProbable, Samples, draw, most_probable
from groundkit.layer.eager import eager
from groundkit.layer.evidence import EvidenceReader
from groundkit.layer.rows import LogProbs, as_batch, check_rows
from groundkit.layer.shapes import CompiledShape, Evidence, Lengths, Shapes, expand, read_program
from groundkit.program.goal import Goal, check_goal, parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program


class ProgramLayer(nn.Module):
    """A goal of a ProbLog program as a differentiable layer over log-probabilities of symbols.

    ::

        layer = ProgramLayer("programs/sum.pl", "sum(X, Y, Z)", inputs=["X", "Y"])
        log_probs = {"mnist_net": logits.log_softmax(-1)}          # (B, 2, 10)
        loss = -layer.log_prob(log_probs, Z=[7, 3]).mean()

    The learnable probabilities ``t(...)`` of the program are the layer's parameters, and its
    ``state_dict`` holds nothing else; circuits are made from the program. A goal without observed
    variables is a constraint: ``-layer.log_prob(log_probs)`` is its semantic loss.

    For goals over lists, every method takes ``lengths={"Xs": 3}``, or one length per example: each
    combination of lengths is compiled when it first occurs, and a batch is grouped by them. The
    elements of ``Xs`` are called ``Xs_0``, ``Xs_1``, ... in :attr:`slots` and in evidence; rows of
    ``log_probs`` beyond an example's calls are not read.

    ``evidence={"digit(X)": 3, "noisy": False}`` conditions on atoms: each has a symbol or truth
    value for all examples, or a list with one per example, where ``None`` means that nothing is
    known. An atom that a single choice decides (a neural predicate or a probabilistic fact, without
    a body or second clause) only masks the outcomes of that choice. Other atoms follow from several
    choices: they make a circuit of their own, compiled once for each set of such atoms and their
    truth values. Impossible evidence makes every answer impossible.

    Args:
        program: A ``.pl`` file, the text of a program (anything with ``::``, ``:-`` or several
            lines), or a program that has been read.
        goal: The goal.
        inputs: Names of its variables that networks read; by default they are found by grounding.
        lists: Names of its variables that are lists, of inputs or of symbols.
        values: Values of observed variables, for a program that cannot enumerate them.
        trust: Whether the program may load Python code and touch files.
        cache: Folder of compiled circuits: the user's own, another one, or none.
        limits: Time and memory of grounding and compiling; ``None`` for neither.

    Raises:
        ProgramError: The program or the goal is wrong, or the goal has no solution.
        DataError: A name is not a variable of the goal.
        LimitError: Grounding or compiling took too long or too much memory.

    Example:
        >>> import groundkit
        >>> import torch
        >>> layer = groundkit.ProgramLayer("programs/sum.pl", "sum(X, Y, Z)", inputs=["X", "Y"])
        >>> log_probs = {"mnist_net": torch.zeros(1, 2, 10).log_softmax(-1)}
        >>> round(layer.log_prob(log_probs, Z=[0]).exp().item(), 4)
        0.01
    """

    def __init__(
        self,
        program: str | Path | Program,
        goal: str | Goal,
        inputs: Sequence[str] | None = None,
        *,
        lists: Sequence[str] = (),
        values: Mapping[str, Sequence[Any]] | None = None,
        trust: bool = False,
        cache: Path | Literal["user"] | None = "user",
        limits: Limits | None = Limits(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.program = read_program(program, trust)
        self.goal = parse_goal(goal) if isinstance(goal, str) else goal
        check_goal(self.program, self.goal)
        self.inputs = tuple(inputs or ())
        self.lists = tuple(lists)
        self.check_variables((*self.inputs, *self.lists))
        self.learnable = LearnableGroups(
            {f"group{index}": group for index, group in enumerate(self.program.learnable)}
        )
        self._shapes = Shapes(
            self.program,
            self.goal,
            self.learnable,
            values={n: [str(one) for one in entries(v)] for n, v in (values or {}).items()},
            cache=cache_folder() if cache == "user" else cache,
            limits=limits,
        )
        self._evidence = EvidenceReader(self.program)
        self._unchecked = True
        if not self.lists and inputs is not None:
            self.shape()

    def check_variables(self, names: Iterable[str]) -> None:
        """Raises a DataError at a name that is no variable of the goal."""
        for name in names:
            if name not in self.goal.variables:
                raise DataError(
                    f"the goal '{self.goal.text}' has no variable '{name}'",
                    remedy=choose_from(name, self.goal.variables),
                )

    def shape(self, **lengths: int) -> CompiledShape:
        """Returns the circuit for some lengths of the goal's lists: its ``slots``, ``answers``."""
        return self._shape(tuple((name, lengths[name]) for name in sorted(lengths)))

    def _shape(self, lengths: Lengths, evidence: Evidence = ()) -> CompiledShape:
        given = {name for name, _ in lengths}
        missing = [name for name in self.lists if name not in given]
        if missing:
            raise DataError(
                f"the length of the list {missing[0]} is not known",
                remedy=f'pass lengths={{"{missing[0]}": 3}}, or one length an example',
            )
        return self._shapes.get(self.inputs, lengths, evidence)

    @property
    def slots(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """For every network the inputs of each of its calls, in the order of ``log_probs``."""
        return self.shape().slots

    @property
    def observed(self) -> tuple[str, ...]:
        """The goal's variables whose values are answers."""
        return self.shape().observed

    @property
    def answers(self) -> tuple[tuple[Any, ...], ...]:
        """Values of :attr:`observed`, an entry a column of what the layer returns."""
        return self.shape().answers

    def learned_probabilities(self) -> dict[str, float]:
        """Returns the present value of every learnable probability, by its head."""
        return self.learnable.probabilities()

    @eager
    def forward(
        self,
        log_probs: LogProbs,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, int] | None = None,
    ) -> Tensor:
        """Evaluates every answer.

        Args:
            log_probs: For every network ``(B, S, K)`` log-probabilities, ``S`` calls in the order
                of :attr:`slots`, ``K`` symbols in the order of its domain (true, false for nn/2).
            evidence: What is known besides.
            lengths: One length for all examples of every list.

        Returns:
            ``(B, R)``: log P(answer | evidence), columns in the order of :attr:`answers`.

        Raises:
            NetworkError: A network is missing, has a wrong shape, or gives no log-probabilities.
            DataError: The evidence or the lengths do not fit the goal.
        """
        parts = self._parts(log_probs, {}, evidence, lengths)
        if len({part.shape.answers for part in parts}) > 1:
            raise DataError(
                "the lists of this batch have different lengths, and so different answers",
                remedy="ask one length at a time, or ask tables or log_prob",
            )
        return join(parts, [self._touch(part, part.conditional().T) for part in parts])

    @eager
    def tables(
        self,
        log_probs: LogProbs,
        /,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> list[AnswerTable]:
        """Evaluates every answer of a batch whose lists may differ in length.

        Arguments and errors are those of :meth:`log_prob`; only symbols that networks read are
        needed.
        """
        parts = self._parts(log_probs, values, evidence, lengths)
        return [
            AnswerTable(
                part.index, part.shape.reasoner.answers, self._touch(part, part.conditional().T)
            )
            for part in parts
        ]

    @eager
    def log_prob(
        self,
        log_probs: LogProbs,
        /,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Tensor:
        """Returns ``(B,)`` log P(observed values | evidence).

        Args:
            log_probs: As for :meth:`forward`; also a list of ``B`` tensors ``(S, K)`` a network.
            evidence: What is known besides.
            lengths: Lengths of the goal's lists, for all examples or one an example.
            values: For every observed variable ``B`` values, or one for all examples.

        Raises:
            NetworkError: A network is missing, has a wrong shape, or gives no log-probabilities.
            DataError: A variable has no value, or one that is no answer.
        """
        parts = self._parts(log_probs, values, evidence, lengths, complete=True)
        found = []
        for part in parts:
            answers = cast(Tensor, part.answers)
            picked = part.conditional().gather(0, answers.unsqueeze(0))[0]
            found.append(self._touch(part, picked))
        return join(parts, found)

    @eager
    def posterior(
        self,
        log_probs: LogProbs,
        /,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> dict[str, Tensor]:
        """Returns for every network ``(B, S, K)`` log P(symbol | observed values, evidence).

        It is the derivative of log P(values) with respect to the log-probabilities, and has no
        gradient itself: abduction and expectation-maximisation take it as a target. Where the
        values are impossible, nothing is learnt from them and the symbols keep their
        probabilities. Arguments and errors are those of :meth:`log_prob`.
        """
        parts = self._parts(log_probs, values, evidence, lengths, complete=True)
        return join_symbols(parts, [part.back(posterior(part)) for part in parts], 0.0)

    @eager
    @torch.no_grad()
    def mpe(
        self,
        log_probs: LogProbs,
        /,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> MostProbable:
        """Finds the most probable explanation: the best world in which the observed values hold.

        A world fixes every symbol and every probabilistic fact that the goal asks; the heads of
        an annotated disjunction that it does not ask count together. Arguments and errors are
        those of :meth:`log_prob`.
        """
        parts = self._parts(log_probs, values, evidence, lengths, complete=True)
        symbols, log_prob = [], []
        for part in parts:
            answers = cast(Tensor, part.answers)
            found = most_probable(part.shape.reasoner, part.inputs, part.batch, answers)
            _, told = part.roots()
            low = torch.finfo(found.log_prob.dtype).min
            best = found.log_prob - (0.0 if told is None else told[0].clamp_min(low))
            best = best if part.dtype is None else best.to(part.dtype)
            if part.impossible is not None:
                best = best.masked_fill(part.impossible, -torch.inf)
            log_prob.append(best)
            symbols.append(part.back(part.possible(found.symbols)))
        return MostProbable(join_symbols(parts, symbols, -1), join(parts, log_prob))

    @eager
    @torch.no_grad()
    def sample(
        self,
        log_probs: LogProbs,
        count: int,
        /,
        *,
        generator: torch.Generator | None = None,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Samples:
        """Draws ``count`` worlds an example.

        With observed values, they are drawn given those; without, given that some answer holds (a
        world in which several hold counts once for each). Other arguments and errors are those of
        :meth:`log_prob`.

        Args:
            log_probs: As for :meth:`log_prob`.
            count: Worlds an example.
            generator: Source of randomness, on the device of the log-probabilities.
            evidence: What is known besides.
            lengths: Lengths of the goal's lists.
            values: Observed values.
        """
        if count < 0:
            raise DataError(f"{count} worlds cannot be drawn", expected="a number from 0 on")
        parts = self._parts(log_probs, values, evidence, lengths, complete=bool(values))
        found = [
            draw(p.shape.reasoner, p.inputs, p.batch, count, p.answers, generator=generator)
            for p in parts
        ]
        symbols = [
            part.back(part.possible(one.symbols)) for part, one in zip(parts, found, strict=True)
        ]
        return Samples(
            join_symbols(parts, symbols, -1), join(parts, [one.answers for one in found])
        )

    @eager
    def entropy(
        self,
        log_probs: LogProbs,
        /,
        *,
        evidence: Mapping[str, Any] | None = None,
        lengths: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Returns ``(B,)`` the entropy, in nats, of the answers given that one of them holds.

        It treats answers as excluding each other, as the values of a function do; 0 where all
        answers are impossible. Arguments and errors are those of :meth:`log_prob`.
        """
        parts = self._parts(log_probs, {}, evidence, lengths)
        return join(parts, [self._touch(part, entropy(part.conditional())) for part in parts])

    def _parts(
        self,
        log_probs: LogProbs,
        values: Mapping[str, Any],
        evidence: Mapping[str, Any] | None,
        lengths: Mapping[str, Any] | None,
        *,
        complete: bool = False,
    ) -> list[Part]:
        """Groups a batch by circuit and arranges the inputs of each.

        Args:
            log_probs: What the networks say.
            values: Observed values.
            evidence: What is known besides.
            lengths: Lengths of lists.
            complete: Whether every observed variable needs a value.
        """
        rows, batch = as_batch(self.program, log_probs, check=self._unchecked)
        told = {"values": values, "evidence": evidence or {}, "lengths": lengths or {}}
        columns = read_columns(self.goal, self.lists, batch, **told)
        like = next(iter(rows.values()), next(iter(self.parameters()), torch.zeros(1)))
        given = Given(rows, columns, like, complete)
        with torch.autocast(like.device.type, enabled=False):
            parts = [
                part
                for sizes, index in columns.by_lengths()
                for part in self._of_lengths(sizes, index, given)
            ]
        self._unchecked = False
        return parts

    def _of_lengths(self, sizes: Lengths, index: Sequence[int], given: Given) -> Iterator[Part]:
        """Yields the parts of the examples whose lists have some lengths."""
        plain = self._shape(sizes)
        looked_at = index if self._unchecked else None
        names = given.columns.given()
        check_rows(plain, given.rows, names, exact=not sizes, index=looked_at)
        goal = expand(self.goal, dict(sizes))
        read = self._evidence.read
        told = given.columns.told(index, lambda k, v: read(k, v, goal).within(plain))
        for derived, some, entry in by_derived(index, told):
            shape = self._shape(sizes, derived)
            shape.move(given.like.device)
            yield make_part(plain, shape, some, entry, given)

    def _touch(self, part: Part, result: Tensor) -> Tensor:
        """Lets every parameter take part, with gradient 0 where the circuit does not read it.

        Processes that train together may meet different shapes; all have the same gradients to
        exchange.
        """
        if not part.shape.unused or not torch.is_grad_enabled():
            return result
        nothing = sum(self.learnable[name].sum() for name in part.shape.unused)
        return result + 0.0 * cast(Tensor, nothing).to(result)
