"""Programs with nn/3 and term embeddings, asked and trained through DeepProbLog's own engine.

A network of nn/3 returns a tensor, which other networks of the program read and tensor operations
such as ``dot/3`` and ``rbf/3`` compute with. Grounding has to run those networks, so every query is
grounded anew, one after the other; nothing of it can be compiled once for all examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from problog.errors import ProbLogError
from problog.logic import Clause, Constant, Term, Var
from torch import Tensor, nn

from groundkit.circuit.learnable import LearnableGroups
from groundkit.deepproblog.engine import (
    make_model,
    parameters_in_order,
    refuse_compound,
    refuse_ignored,
)
from groundkit.errors import DataError, NetworkError, ProgramError, choose_from
from groundkit.program.blame import explain_failure
from groundkit.program.goal import Binding, Goal, check_goal
from groundkit.program.neural import NeuralPredicate
from groundkit.program.source import Program
from groundkit.program.terms import text_of, walk

_SOURCE = "input"
_NORMALISED = 1e-3


class TermEmbeddings(nn.Module):
    """Learnable tensors of terms, for ``embed(Term, Tensor)`` in a program.

    Args:
        terms: Printed terms.
        size: Length of every tensor.
    """

    def __init__(self, terms: Sequence[str], size: int) -> None:
        super().__init__()
        self.place = {term: place for place, term in enumerate(terms)}
        self.table = nn.Embedding(len(terms), size)

    def get_embedding(self, term: Any) -> Tensor:
        """Returns the ``(1, size)`` tensor of a term; DeepProbLog calls it by this name.

        Raises:
            DataError: The term has none.
        """
        name = text_of(term)
        if name not in self.place:
            raise DataError(
                f"the term {name} has no embedding", remedy=choose_from(name, self.place)
            )
        found: Tensor = self.table(torch.tensor([self.place[name]]))
        return found


class TensorProgram(nn.Module):
    """A program whose networks may return tensors (nn/3), as a differentiable module.

    Its parameters are those of the networks, the embeddings and the program's ``t(...)``::

        program = TensorProgram(load_program("words.pl"), {"rnn": rnn, "classify": classifier})
        loss = -program(parse_goal("label(X, Y)"), {"X": images}, {"Y": labels}).mean()
        loss.backward()

    Args:
        program: The program.
        networks: A module for every network. It maps a batch of each input to ``(B, K)``
            probabilities (nn/4, one per value), ``(B, 1)`` (nn/2), or tensors (nn/3), as in
            DeepProbLog.
        embeddings: What ``embed/2`` looks up.

    Raises:
        ProgramError: DeepProbLog would ignore a part of the program.
        NetworkError: A network is missing or unknown.
        RunError: DeepProbLog's installation is damaged.

    Example:
        >>> import groundkit, torch
        >>> from groundkit.program.goal import parse_goal
        >>> from groundkit.program.source import load_program
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> networks = {"mnist_net": torch.nn.Sequential(net, torch.nn.Softmax(-1))}
        >>> program = groundkit.TensorProgram(load_program("programs/sum.pl"), networks)
        >>> images = {"X": torch.rand(2, 1, 8, 8), "Y": torch.rand(2, 1, 8, 8)}
        >>> program(parse_goal("sum(X, Y, Z)"), images, {"Z": [3, 4]}).shape
        torch.Size([2])
    """

    def __init__(
        self,
        program: Program,
        networks: Mapping[str, nn.Module],
        embeddings: TermEmbeddings | None = None,
    ) -> None:
        super().__init__()
        refuse_ignored(program)
        _check(program, networks, embeddings)
        self.program = program
        self.networks = nn.ModuleDict(
            {name: _Network(networks[name], p) for name, p in program.networks.items()}
        )
        self.embeddings = embeddings
        self.learnable = LearnableGroups(
            {f"group{index}": group for index, group in enumerate(program.learnable)}
        )
        modules = dict(self.networks.items())
        self._model = make_model(program, modules, embeddings=embeddings, cache=False)

    def forward(
        self,
        goal: Goal,
        inputs: Mapping[str, Tensor],
        values: Mapping[str, Sequence[Any]] | None = None,
    ) -> Tensor:
        """Returns ``(B,)`` log P(goal) of every example.

        Args:
            goal: The goal.
            inputs: Variables that networks read -> ``(B, ...)`` tensors.
            values: The other variables -> ``B`` values each.

        Raises:
            DataError: A variable is missing, or an example has no proof.
        """
        told = values or {}
        missing = [n for n in goal.variables if n not in inputs and n not in told]
        if missing:
            raise DataError(
                f"the variable {missing[0]} of the goal '{goal.text}' has no values",
                remedy="give its values, or ask answers() for their distribution",
            )
        found = []
        for example, result in enumerate(self._solve(goal, inputs, told)):
            chance = next(iter(result.values()), 0.0)
            if isinstance(chance, float) and chance == 0.0:
                given = ", ".join(f"{name} = {column[example]}" for name, column in told.items())
                raise DataError(
                    f"example {example} has no proof: '{goal.text}' with {given or 'its inputs'}"
                )
            found.append(torch.as_tensor(chance))
        return torch.stack(found).log()

    def answers(self, goal: Goal, inputs: Mapping[str, Tensor]) -> list[dict[str, float]]:
        """Returns for every example the printed instances of a goal with their probabilities.

        Args:
            goal: The goal; its variables that are no inputs stay free.
            inputs: Variables that networks read -> ``(B, ...)`` tensors.
        """
        with torch.no_grad():
            results = self._solve(goal, inputs, {})
        names = [name for name in goal.variables if name not in inputs]
        return [
            {_instance(goal, names, term): float(p) for term, p in result.items()}
            for result in results
        ]

    def _solve(
        self, goal: Goal, inputs: Mapping[str, Tensor], values: Mapping[str, Sequence[Any]]
    ) -> list[dict[Any, Any]]:
        """Asks DeepProbLog for every example; returns its results."""
        from deepproblog.query import Query

        check_goal(self.program, goal)
        refuse_compound(goal)
        columns = {**inputs, **values}
        counts = {name: len(column) for name, column in columns.items()}
        unknown = [name for name in columns if name not in goal.variables]
        if unknown or len(set(counts.values())) > 1:
            raise DataError(
                f"the goal has no variable '{unknown[0]}'"
                if unknown
                else f"the variables have {counts} examples",
                expected=f"one number of values for some of {', '.join(goal.variables)}",
            )
        self._model.parameters = parameters_in_order(self.program, self.learnable)
        places = {name: number for number, name in enumerate(inputs)}
        tensors = {
            (Constant(example), Constant(places[name])): tensor[example]
            for name, tensor in inputs.items()
            for example in range(len(tensor))
        }
        self._model.add_tensor_source(_SOURCE, tensors)
        queries = []
        for example in range(max(counts.values(), default=1)):
            bound: dict[str, Any] = {
                name: Term("tensor", Term(_SOURCE, Constant(example), Constant(place)))
                for name, place in places.items()
            }
            bound |= {
                name: Term.from_string(str(column[example])) for name, column in values.items()
            }
            queries.append(Query(goal.term.apply(Binding(bound))))
        try:
            return [result.result for result in self._model.solve(queries)]
        except ProbLogError as error:
            raise explain_failure(self.program, goal, error) from error


class _Network(nn.Module):
    """Hands a network one example as a batch of one, and checks what comes back."""

    def __init__(self, module: nn.Module, predicate: NeuralPredicate) -> None:
        super().__init__()
        self.module = module
        self.predicate = predicate

    def forward(self, *inputs: Any) -> Tensor:
        """Returns one example's output, ``(K,)`` or a tensor of nn/3."""
        batch = [i.unsqueeze(0) if isinstance(i, Tensor) else [text_of(i)] for i in inputs]
        out: Tensor = self.module(*batch)[0]
        predicate = self.predicate
        if predicate.kind == "deterministic":
            return out
        outputs = 1 if predicate.kind == "bernoulli" else len(predicate.domain)
        total = float(out.detach().sum())
        low = float(out.detach().min())
        normal = total <= 1 if outputs == 1 else abs(total - 1) <= _NORMALISED
        if out.shape != (outputs,) or low < 0 or not normal:
            raise NetworkError(
                f"network '{predicate.network}' gives {tuple(out.shape)} numbers from {low:g} that "
                f"sum to {total:g}",
                expected=f"{outputs} probabilities an example",
                remedy="end the network in a softmax, or in a sigmoid for nn/2",
                at=predicate.location,
            )
        return out


def _check(
    program: Program, networks: Mapping[str, nn.Module], embeddings: TermEmbeddings | None
) -> None:
    """Checks modules against the program, and the program against what DeepProbLog drops."""
    for name in program.networks:
        if name not in networks:
            raise NetworkError(
                f"the program's network '{name}' is missing",
                remedy=choose_from(name, networks),
                at=program.networks[name].location,
            )
    for name in networks:
        if name not in program.networks:
            raise NetworkError(
                f"the program has no network '{name}'", remedy=choose_from(name, program.networks)
            )
    for statement in program.statements:
        number = _neural_clause(statement)
        if number is not None and program.neural[number].kind == "deterministic":
            predicate = program.neural[number]
            raise ProgramError(
                f"DeepProbLog drops the body of the nn/3 clause of network '{predicate.network}'",
                expected="nn(Network, [X], Y) :: head. without a body",
                remedy="put the body into a clause that calls the predicate",
                at=predicate.location,
            )
    if embeddings is None:
        for statement in program.statements:
            if any(term.functor == "embed" and term.arity == 2 for term in walk(statement)):
                raise ProgramError(
                    "embed/2 asks for embeddings, and none are given",
                    remedy="pass embeddings=TermEmbeddings(terms, size)",
                    at=program.places.of(statement),
                )


def _neural_clause(statement: Any) -> int | None:
    """Returns which neural predicate a clause with a body defines, if it does."""
    probability = statement.head.probability if isinstance(statement, Clause) else None
    if isinstance(probability, Term) and probability.functor == "$nn":
        return int(probability.args[0])
    return None


def _instance(goal: Goal, free: Sequence[str], result: Any) -> str:
    """Prints a result with the goal's own names for the inputs."""
    bound: dict[str, Any] = {}
    pairs = [(goal.term, result)]
    while pairs:
        mine, theirs = pairs.pop()
        if isinstance(mine, Var):
            if str(mine) in free:
                bound[str(mine)] = theirs
        elif isinstance(mine, Term):
            pairs.extend(zip(mine.args, theirs.args, strict=True))
    return str(goal.term.apply(Binding(bound)))
