"""The second engine: the same program, evaluated by DeepProbLog query by query.

DeepProbLog's own Model, Network and ExactEngine ground, compile and evaluate; only the networks are
replaced by ones that look up log-probabilities that were computed before. Use it to compare and to
check: it evaluates one example at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from problog.logic import And, Constant, Not, Or, Term
from torch import Tensor, nn

from groundkit.circuit.learnable import LearnableGroups
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import Location, ProgramError, RunError
from groundkit.program.engine import Shape, refuse_tensors
from groundkit.program.goal import Binding, Goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program
from groundkit.program.terms import printed
from groundkit.program.trust import Engine, GuardedEngine

_SOURCE = "input"
# What DeepProbLog's engine defines for tensors; a program's predicate of that name never runs.
_TENSOR_PREDICATES = frozenset(
    {"embed/2", "rbf/3", "add/3", "mul/3", "dot/3", "max/2", "sigmoid/2", "mean/2", "stack/2",
     "cat/2", "one_hot/3", "list_to_tensor/2", "tensor_index/3", "less_than/2"}
)  # fmt: skip


def build_deepproblog_reasoner(
    program: Program,
    goal: Goal,
    images: Sequence[str],
    *,
    observed_values: Mapping[str, Sequence[str]] | None = None,
    cache: Path | None = None,
    limits: Limits | None = None,
) -> DeepProbLogReasoner:
    """Makes a reasoner that asks DeepProbLog; the arguments are those of ``build_reasoner``.

    Raises:
        ProgramError: DeepProbLog would ignore a part of the program, or the program has nn/3.
        RunError: DeepProbLog's installation is damaged.
    """
    refuse_ignored(program)
    refuse_tensors(program)
    refuse_compound(goal)
    shape = Shape(program, goal, tuple(images), dict(observed_values or {}))
    found, compiled = prepare(shape, cache, limits)
    for call in found.shared:
        raise ProgramError(
            f"DeepProbLog draws a symbol for each predicate that reads {call}; here an input shows "
            "a network one symbol",
            remedy="use --engine circuit, or give each predicate a network of its own",
            at=goal.at,
        )
    return DeepProbLogReasoner(program, goal, found, compiled)


def refuse_ignored(program: Program) -> None:
    """Raises a ProgramError at what DeepProbLog would ignore without a word."""
    if program.evidence:
        raise ProgramError(
            "DeepProbLog ignores evidence/2",
            remedy="use --engine circuit, which honours it",
            at=program.places.at(max(program.text.find("evidence"), 0)),
        )
    _refuse_other_meanings(program)
    shadowed = sorted(_TENSOR_PREDICATES.intersection(program.predicates))
    if shadowed:
        raise ProgramError(
            f"DeepProbLog has a tensor operation {shadowed[0]} that hides the program's own",
            remedy="rename the predicate, or use --engine circuit",
            at=Location(program.file),
        )


def _refuse_other_meanings(program: Program) -> None:
    """Raises a ProgramError at what DeepProbLog would read in another way."""
    found: tuple[str, Location] | None = None
    if program.constraints:
        found = (
            f"DeepProbLog ignores the constraint '{program.constraints[0].text}'",
            (program.constraints[0].location),
        )
    for group in program.learnable:
        if group.keys:
            found = "DeepProbLog has no t(P, C)", group.location
    if found is not None:
        raise ProgramError(found[0], remedy="use --engine circuit", at=found[1])


def refuse_compound(goal: Goal) -> None:
    """Raises a ProgramError at a goal that is no call of one predicate."""
    if isinstance(goal.term, And | Or | Not):
        raise ProgramError(
            f"DeepProbLog asks for one predicate, '{goal.text}' joins or negates goals",
            remedy="put it into a clause of the program, and ask for its head",
            at=goal.at,
        )


def make_model(
    program: Program,
    networks: Mapping[str, nn.Module],
    *,
    embeddings: Any = None,
    cache: bool = True,
) -> Any:
    """Makes DeepProbLog's model of a program; ``model.parameters`` is to be set before solving.

    Args:
        program: The program.
        networks: Modules by name, which DeepProbLog calls with one example at a time.
        embeddings: What ``embed/2`` asks for the tensor of a term.
        cache: Whether circuits are kept by query; impossible where grounding computes tensors.

    Raises:
        RunError: DeepProbLog's installation is damaged.
    """
    try:
        from deepproblog.engines import ExactEngine
        from deepproblog.model import Model
        from deepproblog.network import Network
        from deepproblog.semiring.graph_semiring import GraphSemiring
    except ImportError as error:
        raise RunError(
            f"DeepProbLog cannot be imported: {error}",
            remedy="pip install --force-reinstall --no-deps deepproblog",
        ) from error

    class LearnedSemiring(GraphSemiring):  # type: ignore[misc]
        """Takes t(...) from our parameters, with their gradients."""

        def value(self, a: Any, key: Any = None) -> Any:
            if type(a) is Term and a.functor == "t":
                return self.model.parameters[int(a.args[0])]
            return super().value(a, key)

    class GuardableEngine(ExactEngine):  # type: ignore[misc]
        """Grounds as DeepProbLog does, with no more predicates than the program may use."""

        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.engine = Engine() if program.trust else GuardedEngine()

    wrapped = [Network(module, name) for name, module in networks.items()]
    model = Model(program.text, wrapped, embeddings, load=False)
    model.set_engine(GuardableEngine(model), cache=cache, semiring=LearnedSemiring)
    return model


def parameters_in_order(program: Program, learnable: LearnableGroups) -> list[Tensor]:
    """Lists all t(...) probabilities as DeepProbLog numbers them."""
    found: list[Tensor] = []
    for index, group in enumerate(program.learnable):
        name = f"group{index}"
        if name in learnable.groups:
            found.extend(learnable.log_rows(name).exp()[: len(group.heads)])
        else:
            found.extend(torch.tensor(group.initial))
    return found


class _Inputs(Mapping[Any, Tensor]):
    """DeepProbLog's tensor source: instead of an image, the numbers of example and variable."""

    def __init__(self, examples: int, variables: int) -> None:
        self.shape = (examples, variables)

    def __getitem__(self, key: Any) -> Tensor:
        return torch.tensor([int(part) for part in key])

    def __iter__(self) -> Iterator[Any]:
        examples, variables = self.shape
        return ((i, j) for i in range(examples) for j in range(variables))

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]


class _Lookup(nn.Module):
    """Stands for a network: returns rows of log-probabilities that were computed before."""

    def __init__(self, calls: Sequence[tuple[str, ...]], variables: Sequence[str]) -> None:
        super().__init__()
        self.slot = {call: index for index, call in enumerate(calls)}
        self.variables = tuple(variables)
        self.log_probs = torch.empty(0)

    def forward(self, *inputs: Any) -> Tensor:
        """Returns the ``(K,)`` probabilities of one call."""
        example, names = 0, []
        for value in inputs:
            if isinstance(value, Tensor) and value.numel() == 2:
                example = int(value[0])
                names.append(self.variables[int(value[1])])
            else:
                names.append(printed(value))
        return self.log_probs[example, self.slot[tuple(names)]].exp()


class DeepProbLogReasoner(Reasoner):
    """A :class:`Reasoner` whose likelihoods come from DeepProbLog.

    Drawing, listing and explaining worlds still use the compiled circuit.
    """

    def __init__(self, program: Program, goal: Goal, *compiled: Any) -> None:
        super().__init__(program, goal, *compiled)
        self.inputs = tuple(name for name in goal.variables if name not in self.observed)
        self.networks = {name: _Lookup(calls, self.inputs) for name, calls in self.slots.items()}
        self.model = make_model(program, self.networks)

    def forward(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Evaluates every answer of every example, one after the other: ``(B, R)``."""
        batch = self._load(log_probs)
        every = range(len(self.answers))
        rows = [self._ask([(i, answer) for answer in every]) for i in range(batch)]
        return torch.stack(rows)

    def log_likelihood(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        """Returns ``(B,)`` log P(answer) for ``(B,)`` root indices."""
        self._load(log_probs)
        return self._ask(list(enumerate(answers.tolist())))

    def _load(self, log_probs: Mapping[str, Tensor]) -> int:
        """Hands the log-probabilities to the lookup networks; returns the batch size."""
        self._check(log_probs)
        batch = 1
        for name, network in self.networks.items():
            if network.slot:
                network.log_probs = log_probs[name]
                batch = log_probs[name].shape[0]
        self.model.parameters = parameters_in_order(self.program, self.learnable)
        self.model.add_tensor_source(_SOURCE, _Inputs(batch, len(self.inputs)))
        return batch

    def _ask(self, wanted: Sequence[tuple[int, int]]) -> Tensor:
        """Solves one query per (example, answer) pair."""
        from deepproblog.query import Query

        names = [Term(f"input_{index}") for index in range(len(self.inputs))]
        queries = []
        for example, answer in wanted:
            bound = dict(zip(self.inputs, names, strict=True))
            for name, value in zip(self.observed, self.answers[answer], strict=True):
                bound[name] = Term.from_string(value)
            substitution = {
                name: Term("tensor", Term(_SOURCE, Constant(example), Constant(index)))
                for index, name in enumerate(names)
            }
            queries.append(Query(self.goal.term.apply(Binding(bound)), substitution))
        results = [list(result.result.values()) for result in self.model.solve(queries)]
        values = [torch.as_tensor(found[0] if found else 0.0) for found in results]
        return torch.stack([value.double() for value in values]).log()
