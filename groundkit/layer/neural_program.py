"""A goal of a program together with the user's networks: images in, log-probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from groundkit.errors import (
    DataError,
    NetworkError,
    NoSolutionError,
    UnreadError,
    choose_from,
)
from groundkit.layer.batch import AnswerTable
from groundkit.layer.eager import eager
from groundkit.layer.inputs import (
    Inputs,
    gather_inputs,
    is_input,
    is_list_of_inputs,
    run_network,
)
from groundkit.layer.program_layer import ProgramLayer
from groundkit.program.goal import Goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program


@dataclass(frozen=True)
class Prediction:
    """The answers of a batch.

    Attributes:
        variables: The goal's variables that are answered.
        answers: The most probable answer of each example: a value where one variable is answered,
            else a tuple of values, printed as the program prints them.
        probabilities: ``(B,)`` their probabilities.
        tables: The log-probabilities of all answers.
    """

    variables: tuple[str, ...]
    answers: list[Any]
    probabilities: Tensor
    tables: list[AnswerTable]

    def top(self, count: int) -> list[list[tuple[Any, float]]]:
        """Returns for every example its ``count`` most probable answers with probabilities."""
        found: dict[int, list[tuple[Any, float]]] = {}
        for table in self.tables:
            values, order = table.log_probs.exp().topk(min(count, len(table.answers)))
            index = range(len(values)) if table.index is None else table.index.tolist()
            for example, probabilities, columns in zip(
                index, values.tolist(), order.tolist(), strict=True
            ):
                printed = [_printed(table.answers[column]) for column in columns]
                found[example] = list(zip(printed, probabilities, strict=True))
        return [found[example] for example in sorted(found)]


class NeuralProgram(nn.Module):
    """A goal of a ProbLog program whose neural predicates are torch modules.

    ::

        model = NeuralProgram("programs/sum.pl", "sum(X, Y, Z)", networks={"mnist_net": net})
        loss = -model.log_prob(X=first, Y=second, Z=sums).mean()
        model.predict(X=first, Y=second).answers

    A variable that a network reads is given as a batch ``(B, ...)``. A list of inputs is given as a
    Python list with one entry per example, a stack ``(L, ...)`` or a list of tensors, of any
    length. All other variables are observed: ``B`` values, or one for all. Each network runs once
    per call, on all distinct inputs; a tensor that is given for two variables is one input. Calling
    the module is the same as :meth:`log_prob`, so that it can be wrapped for training on several
    devices.

    The parameters are those of the networks and the program's ``t(...)``. A circuit is compiled
    when its shape first occurs.

    Args:
        program: A ``.pl`` file, the text of a program, or a program that has been read.
        goal: The goal.
        networks: A module for every network of the program. It maps a batch of each input to
            ``(N, K)`` logits, one per value of its domain; for nn/2 to ``(N,)`` or ``(N, 1)``
            logits of true. A network that reads nothing but observed symbols needs no module.
        inputs: Names of the goal's variables that networks read; by default those that are given as
            batches or lists of arrays.
        lists: Names of the goal's variables that are lists; by default those that are given as
            lists of arrays.
        values: Values of observed variables, for a program that cannot enumerate them.
        trust: Whether the program may load Python code and touch files.
        cache: Folder of compiled circuits: the user's own, another one, or none.
        limits: Time and memory of grounding and compiling; ``None`` for neither.

    Raises:
        ProgramError: The program or the goal is wrong.
        NetworkError: A network is unknown, or is not a module.

    Example:
        >>> import groundkit
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> goal, networks = "sum(X, Y, Z)", {"mnist_net": net}
        >>> model = groundkit.NeuralProgram("programs/sum.pl", goal, networks=networks)
        >>> images = torch.rand(3, 1, 8, 8)
        >>> model.log_prob(X=images, Y=images, Z=[3, 4, 5]).shape
        torch.Size([3])
    """

    def __init__(
        self,
        program: str | Path | Program,
        goal: str | Goal,
        networks: Mapping[str, nn.Module],
        *,
        inputs: Sequence[str] | None = None,
        lists: Sequence[str] = (),
        values: Mapping[str, Sequence[Any]] | None = None,
        trust: bool = False,
        cache: Path | Literal["user"] | None = "user",
        limits: Limits | None = Limits(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.layer = ProgramLayer(
            program,
            goal,
            lists=lists,
            values=values,
            trust=trust,
            cache=cache,
            limits=limits,
        )
        self.layer.check_variables(inputs or ())
        self._inputs = None if inputs is None else tuple(inputs)
        known = self.layer.program.networks
        if not isinstance(networks, Mapping):
            raise NetworkError(
                f"the networks are a {type(networks).__name__}",
                expected="a mapping from the program's networks to modules",
                remedy=f'pass networks={{"{next(iter(known), "net")}": module}}',
            )
        for name, module in networks.items():
            if name not in known:
                raise NetworkError(
                    f"the program has no network '{name}'", remedy=choose_from(name, known)
                )
            if not isinstance(module, nn.Module):
                raise NetworkError(
                    f"network '{name}' is a {type(module).__name__}",
                    expected="an nn.Module",
                    remedy="call the class, or wrap the function in a module",
                    at=known[name].location,
                )
        if known and not networks:
            raise NetworkError(
                "no network is given", remedy=f"pass networks={{'{next(iter(known))}': module}}"
            )
        self.networks = nn.ModuleDict({_key(name): module for name, module in networks.items()})
        self._modules_of = {name: _key(name) for name in networks}
        self._unchecked = True

    def forward(self, *, evidence: Mapping[str, Any] | None = None, **columns: Any) -> Tensor:
        """Returns ``(B,)`` log P(observed values | evidence), as :meth:`log_prob`."""
        return self.log_prob(evidence=evidence, **columns)

    @eager
    def log_prob(self, *, evidence: Mapping[str, Any] | None = None, **columns: Any) -> Tensor:
        """Returns ``(B,)`` log P(observed values | inputs, evidence).

        Args:
            evidence: What is known besides, as :class:`ProgramLayer` takes it.
            columns: Inputs and observed values of every variable of the goal.

        Raises:
            NetworkError: A network is missing, or its outputs are not logits of its domain.
            DataError: A variable is missing, or has a value that is no answer.
        """
        log_probs, values, lengths = self._read(columns)
        return self.layer.log_prob(log_probs, evidence=evidence, lengths=lengths, **values)

    @eager
    def posterior(
        self, *, evidence: Mapping[str, Any] | None = None, **columns: Any
    ) -> dict[str, Tensor]:
        """Returns for every network ``(B, S, K)`` log P(symbol | observed values, evidence).

        Arguments and errors are those of :meth:`log_prob`; slots are those of
        ``model.layer.slots``.
        """
        log_probs, values, lengths = self._read(columns)
        return self.layer.posterior(log_probs, evidence=evidence, lengths=lengths, **values)

    @eager
    @torch.no_grad()
    def predict(self, *, evidence: Mapping[str, Any] | None = None, **columns: Any) -> Prediction:
        """Finds the most probable answers, with the networks in evaluation mode.

        Args:
            evidence: What is known besides.
            columns: The inputs, and observed symbols that a network reads.

        Raises:
            NetworkError: A network is missing, or its outputs are not logits of its domain.
            DataError: An input is missing, or a variable is given that is to be answered.
        """
        with _evaluating(self):
            log_probs, values, lengths = self._read(columns)
            tables = self.layer.tables(log_probs, evidence=evidence, lengths=lengths, **values)
        sizes = {name: counts[0] for name, counts in lengths.items() if counts}
        variables = tuple(n for n in self.layer.goal.variables if n not in self.layer.inputs)
        if len(sizes) == len(lengths):
            variables = self.layer.shape(**sizes).observed
        told = [name for name in variables if name in values]
        if told:
            raise DataError(
                f"predict finds the values of {told[0]}",
                remedy=f"leave {told[0]} out, or ask log_prob how probable it is",
            )
        answers: dict[int, tuple[Any, Tensor]] = {}
        for table in tables:
            best, column = table.log_probs.max(1)
            index = range(len(best)) if table.index is None else table.index.tolist()
            for position, example in enumerate(index):
                chosen = table.answers[int(column[position])]
                answers[example] = (_printed(chosen), best[position].exp())
        ordered = [answers[example] for example in sorted(answers)]
        found = [probability for _, probability in ordered]
        probabilities = torch.stack(found) if found else torch.zeros(0)
        return Prediction(variables, [answer for answer, _ in ordered], probabilities, tables)

    def log_probs(self, **columns: Any) -> dict[str, Tensor]:
        """Returns what the networks say: ``(B, S, K)`` log-probabilities for ``model.layer``."""
        return self._read(columns)[0]

    def _read(
        self, columns: Mapping[str, Any]
    ) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, list[int]]]:
        """Runs the networks; returns their outputs, the observed values and lists' lengths."""
        self.layer.check_variables(columns)
        before = self._inputs, self.layer.inputs, self.layer.lists
        self._settle(columns)
        try:
            return self._run(columns)
        except Exception:
            # What a call that failed took the variables for does not bind the next one.
            self._inputs, self.layer.inputs, self.layer.lists = before
            raise

    def _run(
        self, columns: Mapping[str, Any]
    ) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, list[int]]]:
        """Does what :meth:`_read` does, once it is settled what the variables are."""
        given = {name: columns[name] for name in self.layer.inputs if name in columns}
        missing = [name for name in self.layer.inputs if name not in given]
        if missing:
            raise DataError(
                f"the input {missing[0]} of the goal '{self.layer.goal.text}' is missing",
                remedy=f"pass {missing[0]}=, a batch of what its network reads",
            )
        if not given:
            raise DataError(
                f"no input of the goal '{self.layer.goal.text}' is given",
                remedy="pass what the networks read as batches; without inputs, use "
                "groundkit.ProgramLayer",
            )
        values = {name: value for name, value in columns.items() if name not in given}
        inputs = gather_inputs(self.layer.goal, given, self.layer.lists)
        for name in self.layer.lists:
            if name in values:
                inputs.lengths[name] = [len(one) for one in values[name]]
        groups = self._groups(inputs)
        found = {
            name: run_network(
                self.networks[self._modules_of[name]],
                self.layer.program.networks[name],
                groups,
                inputs,
                check=self._unchecked,
            )
            for name in self._called(groups, inputs, values)
        }
        self._unchecked = False
        return found, values, inputs.lengths

    def _groups(self, inputs: Inputs) -> list[tuple[Mapping[str, Any], Sequence[int]]]:
        """Returns the calls of every shape of a batch, with the examples that have it."""
        sizes = inputs.by_lengths()
        if not inputs.batch and not self.layer.lists:
            sizes = {(): []}
        try:
            return [(self.layer.shape(**dict(one)).slots, index) for one, index in sizes.items()]
        except (NoSolutionError, UnreadError) as error:
            taken = [n for n in self.layer.inputs if n in self.layer.lists]
            raise DataError(
                f"{error.found}, taking {' and '.join(taken or self.layer.inputs)} as "
                + ("lists of inputs" if taken else "single inputs"),
                expected="a batch of single inputs as one tensor (batch, ...); lists of inputs as "
                "a Python list with an entry an example",
                remedy=f"pass {taken[0]}=torch.stack(images) if an example has one input there"
                if taken
                else "correct the clauses, or give the variable that is a list as one",
                at=error.at,
            ) from error

    def _settle(self, columns: Mapping[str, Any]) -> None:
        """Decides at the first call which variables are inputs and lists."""
        layer = self.layer
        if self._inputs is None:
            self._inputs = tuple(n for n, value in columns.items() if is_input(value))
        layer.inputs = self._inputs
        layer.lists += tuple(
            name
            for name in self._inputs
            if name not in layer.lists and is_list_of_inputs(columns.get(name))
        )

    def _called(
        self,
        groups: Sequence[tuple[Mapping[str, Any], Sequence[int]]],
        inputs: Inputs,
        values: Mapping[str, Any],
    ) -> Iterator[str]:
        """Yields the networks that have to run; checks that their inputs are there."""
        for name, predicate in self.layer.program.networks.items():
            calls = [call for slots, _ in groups for call in slots[name]]
            unread = [v for call in calls for v in call if v not in inputs.places]
            if name in self._modules_of and calls:
                if unread:
                    raise NetworkError(
                        f"network '{name}' is to read '{unread[0]}', of which no batch is given",
                        expected="a variable of the goal that is given as a batch",
                        remedy="pass it as a batch of arrays, or evaluate the network yourself and "
                        "use groundkit.ProgramLayer",
                        at=predicate.location,
                    )
                yield name
            elif calls and len(unread) < sum(len(call) for call in calls):
                raise NetworkError(
                    f"the program's network '{name}' is missing",
                    remedy=f"pass networks={{..., '{name}': module}}",
                    at=predicate.location,
                )


def _printed(answer: tuple[Any, ...]) -> Any:
    """Prints an answer: the value of a single variable, or a tuple."""
    printed = tuple(str(value) for value in answer)
    return printed[0] if len(printed) == 1 else printed


def _key(name: str) -> str:
    """Names a network inside a ModuleDict, which refuses dots and its own attributes."""
    plain = name.replace(".", "_")
    return f"{plain}_" if hasattr(nn.ModuleDict, plain) or not plain else plain


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode for a while."""
    training = [one for one in module.modules() if one.training]
    module.eval()
    try:
        yield
    finally:
        for one in training:
            one.training = True
