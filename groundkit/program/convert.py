"""Turns the formula that ProbLog grounds into choices and an AND/OR graph over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from problog.cycles import break_cycles
from problog.errors import ProbLogError
from problog.formula import LogicDAG, LogicFormula
from problog.logic import Term, term2list

from groundkit.errors import Location, ProgramError
from groundkit.program.ground import (
    FALSE,
    NO_HEAD,
    TRUE,
    Choice,
    FixedSource,
    GraphBuilder,
    GroundProgram,
    LearnedSource,
    NeuralSource,
)
from groundkit.program.neural import is_proper_list
from groundkit.program.source import Program
from groundkit.program.terms import printed, text_of

_ROOT = "$root"
_CERTAIN = 1e-12


class _KeepsNames:
    """Lets an atom keep the name of the fact that it is.

    ProbLog names a node anew after whatever asks for it last: a fact becomes the evidence that it
    alone decides, or a query. Then nobody finds the fact.
    """

    def add_name(self, name: Any, key: Any, label: Any = None, keep_name: bool = False) -> None:
        """Names a node in the lists of queries and evidence."""
        mine: Any = self
        kept = mine.is_probabilistic(key) and mine.get_node(abs(key)).name is not None
        super().add_name(name, key, label, keep_name=keep_name or kept)  # type: ignore[misc]


class Formula(_KeepsNames, LogicFormula):  # type: ignore[misc]
    """What ProbLog's engine fills."""


class _Acyclic(_KeepsNames, LogicDAG):  # type: ignore[misc]
    """The same without cycles."""


@dataclass
class Grounding:
    """What ProbLog found: a formula, the goal's results and the evidence nodes."""

    formula: LogicFormula
    results: list[tuple[tuple[Any, ...], Any]]
    evidence: list[tuple[str, Any]] = field(default_factory=list)


def placeholder(name: str) -> str:
    """Names the constant that stands for an input variable while grounding."""
    return f"'${name}'"


class Converter:
    """Turns ProbLog's formula into a :class:`GroundProgram`."""

    def __init__(self, program: Program, placeholders: Mapping[str, None]) -> None:
        self.program = program
        self.names = {f"${name}": name for name in placeholders}
        self.builder = GraphBuilder()
        self.slots: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in program.networks}
        self.outcome_of: dict[int, tuple[int, int]] = {}
        self.neural_choice: dict[tuple[str, int], int] = {}
        self.readers: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}

    def convert(self, found: Grounding, observed: tuple[str, ...]) -> GroundProgram:
        """Converts everything that the answers and the evidence need."""
        formula, references = self._acyclic(found)
        order = _children_first(formula, references)
        self._make_choices(formula, [i for i in order if _kind(formula, i) == "atom"])
        mapping: dict[int, int] = {}
        for index in order:
            mapping[index] = self._node(formula, index, mapping)
        refs = [self._reference(node, mapping) for node in references]
        roots: dict[tuple[str, ...], list[int]] = {}
        for (args, _), ref in zip(found.results, refs, strict=False):
            roots.setdefault(tuple(map(printed, args)), []).append(ref)
        answers = sorted(roots, key=_answer_order)
        told = refs[len(found.results) :]
        disjoined = tuple(self.builder.disjoin(roots[answer]) for answer in answers)
        evidence = self.builder.conjoin(told)
        return GroundProgram(
            choices=tuple(self.builder.choices),
            nodes=tuple(self.builder.nodes),
            slots={name: tuple(calls) for name, calls in self.slots.items()},
            observed=observed,
            answers=tuple(answers),
            roots=disjoined,
            evidence=evidence,
            shared=tuple(
                f"{network}({','.join(names)}) by {', '.join(predicates)}"
                for (network, names), predicates in self.readers.items()
                if len(predicates) > 1
            ),
            evidence_parts=tuple(
                (name, ref) for (name, _), ref in zip(found.evidence, told, strict=True)
            ),
        )

    @staticmethod
    def _acyclic(found: Grounding) -> tuple[LogicFormula, list[Any]]:
        """Breaks cycles where there are any; returns the formula and the wanted nodes in it."""
        wanted = [node for _, node in found.results] + [node for _, node in found.evidence]
        if not _has_cycle(found.formula, wanted):
            return found.formula, wanted
        source = found.formula
        source.clear_queries()
        source.clear_evidence()
        for index, node in enumerate(wanted):
            source.add_name(Term(_ROOT, Term(str(index))), node, source.LABEL_QUERY)
        target = _Acyclic()
        break_cycles(source, target)
        nodes = {str(name): node for name, node in target.queries()}
        return target, [nodes[str(Term(_ROOT, Term(str(i))))] for i in range(len(wanted))]

    def _make_choices(self, formula: LogicFormula, atoms: Sequence[int]) -> None:
        """Groups atoms that exclude each other into choices, in the order of grounding."""
        groups: dict[Any, list[int]] = {}
        for index in sorted(atoms):
            node = formula.get_node(index)
            groups.setdefault(index if node.group is None else node.group, []).append(index)
        for members in groups.values():
            nodes = [formula.get_node(index) for index in members]
            choice, outcomes = self._choice(nodes)
            number = self._place(choice)
            for index, outcome in zip(members, outcomes, strict=True):
                self.outcome_of[index] = (number, outcome)

    def _place(self, choice: Choice) -> int:
        """Returns a choice's number; calls of one network on the same inputs are one choice."""
        number = len(self.builder.choices)
        if isinstance(choice.source, NeuralSource):
            place = (choice.source.network, choice.source.slot)
            number = self.neural_choice.setdefault(place, number)
        if number == len(self.builder.choices):
            self.builder.choices.append(choice)
        return number

    def _choice(self, nodes: Sequence[Any]) -> tuple[Choice, list[int]]:
        """Makes one choice; returns it with the outcome that each atom stands for."""
        functors = {_functor(node.probability) for node in nodes}
        if "$nn" in functors:
            return self._neural(nodes)
        if "$t" in functors:
            return self._learned(nodes)
        return self._fixed(nodes)

    def _neural(self, nodes: Sequence[Any]) -> tuple[Choice, list[int]]:
        number, inputs, _ = nodes[0].probability.args
        predicate = self.program.neural[int(number)]
        calls = self.slots[predicate.network]
        if not is_proper_list(inputs):
            raise ProgramError(
                f"network '{predicate.network}' is called with '{self._input(inputs)}', which is "
                "no list of inputs",
                remedy=f"call it with a list, such as {predicate.predicate.partition('/')[0]}"
                f"([X1,X2], Y), or write nn({predicate.network}, [X], ...) for a single input",
                at=predicate.location,
            )
        names = tuple(self._input(term) for term in _list(inputs))
        slot = calls.setdefault(names, len(calls))
        self.readers.setdefault((predicate.network, names), {})[predicate.predicate] = None
        source = NeuralSource(predicate.network, slot)
        name = predicate.predicate.partition("/")[0]
        label = f"{name}({','.join(names)})"
        outcomes = [int(node.probability.args[2]) for node in nodes]
        return Choice(label, predicate.domain, source), outcomes

    def _learned(self, nodes: Sequence[Any]) -> tuple[Choice, list[int]]:
        learned = [node.probability for node in nodes if _functor(node.probability) == "$t"]
        number = int(learned[0].args[0])
        group = self.program.learnable[number]
        heads = (*group.heads, NO_HEAD, *group.others)
        outcomes = []
        for node in nodes:
            if _functor(node.probability) == "$t":
                outcomes.append(int(node.probability.args[1]))
            else:
                position = node.identifier[2]
                outcomes.append(len(group.heads) + 1 + group.other_positions.index(position))
        keys = tuple(map(printed, _list(learned[0].args[2])))
        return Choice(_label(nodes[0]), heads, LearnedSource(number, keys)), outcomes

    def _fixed(self, nodes: Sequence[Any]) -> tuple[Choice, list[int]]:
        values = [self._probability(node) for node in nodes]
        rest = 1.0 - sum(values)
        if rest < -1e-9:
            raise ProgramError(
                f"the probabilities of {', '.join(_label(n) for n in nodes)} sum to {1 - rest:g}",
                expected="at most 1",
                at=self._location(nodes[0]),
            )
        outcomes = tuple(_label(node) for node in nodes)
        if rest > _CERTAIN or len(values) == 1:
            values, outcomes = [*values, max(rest, 0.0)], (*outcomes, NO_HEAD)
        choice = Choice(outcomes[0], outcomes, FixedSource(tuple(values)))
        return choice, list(range(len(nodes)))

    def _probability(self, node: Any) -> float:
        """Evaluates a fixed probability."""
        try:
            value = float(node.probability)
        except (ProbLogError, TypeError, ValueError) as error:
            raise ProgramError(
                f"the probability '{node.probability}' of {_label(node)} is not a number: {error}",
                remedy="its variables must be bound when the clause is used",
                at=self._location(node),
            ) from None
        if not 0.0 <= value <= 1.0 + 1e-9:
            raise ProgramError(
                f"{value:g} is not a probability, for {_label(node)}",
                expected="a number from 0 to 1",
                at=self._location(node),
            )
        return min(value, 1.0)

    def _location(self, node: Any) -> Location:
        return self.program.places.of(node.name)

    def _input(self, term: Any) -> str:
        """Prints one input of a network: the goal's variable, or the constant."""
        return self.names.get(text_of(term)) or printed(term)

    def _node(self, formula: LogicFormula, index: int, mapping: Mapping[int, int]) -> int:
        node = formula.get_node(index)
        if type(node).__name__ == "atom":
            choice, outcome = self.outcome_of[index]
            return self.builder.leaf(choice, 1 << outcome)
        children = [self._reference(child, mapping) for child in node.children]
        if type(node).__name__ == "conj":
            return self.builder.conjoin(children)
        return self.builder.disjoin(children)

    def _reference(self, key: Any, mapping: Mapping[int, int]) -> int:
        if key is None:
            return FALSE
        if key == 0:
            return TRUE
        return mapping[key] if key > 0 else self.builder.negate(mapping[-key])


def _children_first(formula: LogicFormula, keys: Sequence[Any]) -> list[int]:
    """Lists the nodes below some keys of an acyclic formula, children before parents."""
    done: set[int] = set()
    order: list[int] = []
    for key in keys:
        stack = [abs(key)] if key else []
        while stack:
            index = stack[-1]
            if index in done:
                stack.pop()
                continue
            below = [abs(c) for c in _below(formula, index) if abs(c) not in done]
            if below:
                stack.extend(reversed(below))
            else:
                stack.pop()
                done.add(index)
                order.append(index)
    return order


def _has_cycle(formula: LogicFormula, keys: Sequence[Any]) -> bool:
    """Tells whether a node below some keys reaches itself."""
    state: dict[int, int] = {}
    for key in keys:
        stack = [(abs(key), iter(_below(formula, abs(key))))] if key else []
        if key:
            state.setdefault(abs(key), 1)
        while stack:
            index, children = stack[-1]
            child = next(children, None)
            if child is None:
                state[index] = 2
                stack.pop()
            elif state.get(abs(child)) == 1:
                return True
            elif abs(child) not in state:
                state[abs(child)] = 1
                stack.append((abs(child), iter(_below(formula, abs(child)))))
    return False


def _below(formula: LogicFormula, index: int) -> list[int]:
    node = formula.get_node(index)
    return [] if type(node).__name__ == "atom" else [c for c in node.children if c]


def _kind(formula: LogicFormula, index: int) -> str:
    return type(formula.get_node(index)).__name__


def _functor(probability: Any) -> str:
    return str(getattr(probability, "functor", ""))


def _label(node: Any) -> str:
    """Prints the head that an atom stands for."""
    name = node.name
    if isinstance(name, Term) and name.functor == "choice" and name.arity >= 3:
        return str(name.args[2])
    return str(name)


def _list(term: Any) -> list[Any]:
    return list(term2list(term, False))


def _answer_order(answer: tuple[str, ...]) -> tuple[tuple[int, float, str], ...]:
    """Sorts numbers by value and before other texts."""
    keys = []
    for text in answer:
        try:
            keys.append((0, float(text), text))
        except ValueError:
            keys.append((1, 0.0, text))
    return tuple(keys)
