"""Grounds a program with ProbLog's engine and turns the result into plain data."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from problog.clausedb import ClauseDB
from problog.cycles import break_cycles
from problog.engine import DefaultEngine, NonGroundProbabilisticClause
from problog.engine_builtin import CallModeError
from problog.errors import GroundingError, ProbLogError
from problog.formula import LogicDAG, LogicFormula
from problog.logic import ArithmeticError as ProbLogArithmeticError
from problog.logic import Clause, InstantiationError, Term, Var, is_ground, term2list
from problog.program import LogicProgram, PrologString

from groundkit.errors import Location, ProgramError
from groundkit.program.blame import explain_failure, explain_limit
from groundkit.program.ground import (
    FALSE,
    TRUE,
    Choice,
    FixedSource,
    GraphBuilder,
    GroundProgram,
    LearnedSource,
    NeuralSource,
)
from groundkit.program.limits import OutOfTimeError
from groundkit.program.query import Binding, Goal, check_goal
from groundkit.program.source import Program
from groundkit.program.terms import text_of
from groundkit.program.trust import GuardedDatabase

_GOAL = "$goal"
_ROOT = "$root"
_CERTAIN = 1e-12


class _Engine(DefaultEngine):  # type: ignore[misc]
    """ProbLog's engine; on request it goes on where a random variable is not ground."""

    tolerant = False

    def prepare(self, db: Any) -> Any:
        """Leaves a database that :func:`_run` has prepared as it is, instead of copying it."""
        return db if isinstance(db, ClauseDB) else super().prepare(db)

    def handle_nonground(self, result: Any = None, **kwargs: Any) -> Any:
        """Returns the open result when tolerant, otherwise raises as ProbLog does."""
        return result if self.tolerant else super().handle_nonground(result=result, **kwargs)


class _Statements(LogicProgram):  # type: ignore[misc]
    """A program's rewritten statements, with the positions of its text."""

    def __init__(self, program: Program, extra: Sequence[Any]) -> None:
        lines = PrologString(program.text).line_info
        root = str(program.file.parent) if program.file is not None else "."
        super().__init__(source_root=root, source_files=[None], line_info=lines)
        self._statements = [*program.statements, *extra]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._statements)


@dataclass
class _Grounding:
    """What ProbLog found: a formula, the goal's results and the evidence nodes."""

    formula: LogicFormula
    results: list[tuple[tuple[Any, ...], Any]]
    evidence: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    """What is grounded once: a goal of a program, and which of its variables are images.

    Attributes:
        program: The program.
        goal: The goal.
        images: Names of the goal's variables that are images.
        observed_values: Values of observed variables, for a program that cannot enumerate them.
        facts: Whether the program's own ``query/1`` facts are answered instead of the goal; their
            printed instances are then the answers.
    """

    program: Program
    goal: Goal
    images: tuple[str, ...] = ()
    observed_values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    facts: bool = False


def ground(shape: Shape) -> GroundProgram:
    """Grounds one goal, once for all answers.

    Image variables become placeholders. So do observed variables that only networks look at (a
    predicate such as ``given(Z, D)``): their symbols arrive as one-hot rows. The other observed
    variables stay free, and every answer that ProbLog finds gets a root.

    Raises:
        ProgramError: The goal is unknown, has no solution, or grounding fails.
    """
    start = time.perf_counter()
    program, goal = shape.program, shape.goal
    if not shape.facts:
        check_goal(program, goal)
    _check_images(goal, shape.images)
    _check_kinds(program)
    placeholders = dict.fromkeys(shape.images)
    try:
        found = _run_or_list(shape, placeholders)
    except NonGroundProbabilisticClause as error:
        opened = _open_variables(shape, placeholders)
        if not opened:
            raise explain_failure(program, goal, error) from error
        placeholders.update(dict.fromkeys(opened))
        try:
            found = _run_or_list(shape, placeholders)
        except ProbLogError as again:
            raise explain_failure(program, goal, again) from again
    except ProbLogError as error:
        raise explain_failure(program, goal, error) from error
    observed = tuple(name for name in goal.variables if name not in placeholders)
    ground_program = _Converter(program, placeholders).convert(found, observed)
    if not shape.facts:
        _check_result(shape, ground_program)
    return replace(ground_program, seconds=time.perf_counter() - start)


def _run_or_list(shape: Shape, placeholders: Mapping[str, None]) -> _Grounding:
    """Grounds with free observed variables, or with listed values where that is impossible."""
    try:
        return _run(shape, placeholders, {})
    except (InstantiationError, CallModeError, ProbLogArithmeticError):
        if not shape.observed_values:
            raise
        return _run_each(shape, placeholders)


def _check_images(goal: Goal, images: Sequence[str]) -> None:
    """Every image must be a variable of the goal."""
    for name in images:
        if name not in goal.variables:
            raise ProgramError(
                f"the image variable {name} does not occur in the goal '{goal.text}'",
                expected=f"one of {', '.join(goal.variables) or '(the goal has no variables)'}",
                remedy="name the goal's variables in [examples] images",
                at=goal.at,
            )


def _check_kinds(program: Program) -> None:
    """Networks that return tensors cannot become circuits."""
    for predicate in program.neural:
        if predicate.kind == "deterministic":
            raise ProgramError(
                f"nn/3 of network '{predicate.network}' returns a tensor, which the circuit "
                "engine cannot compile",
                expected="nn/4 (categorical) or nn/2 (a probability)",
                remedy="run it with --engine deepproblog",
                at=predicate.location,
            )


def _run(
    shape: Shape,
    placeholders: Mapping[str, None],
    values: Mapping[str, Term],
    formula: LogicFormula | None = None,
    tolerant: bool = False,
) -> _Grounding:
    """Grounds the goal and the evidence with ProbLog's engine."""
    program, goal = shape.program, shape.goal
    engine = _Engine()
    engine.tolerant = tolerant
    free = [name for name in goal.variables if name not in placeholders]
    bound: dict[str, Any] = {name: Term(placeholder(name)) for name in placeholders}
    bound.update(values)
    head = Term(_GOAL, *(bound.get(name, Var(name)) for name in free))
    database = _database(engine, program, Clause(head, goal.term.apply(Binding(bound))))
    grounding = _Grounding(LogicFormula() if formula is None else formula, [])
    try:
        if shape.facts:
            _ground_facts(engine, database, grounding)
        else:
            query = Term(_GOAL, *(bound.get(name) for name in free))
            _, results = engine._ground(database, query, grounding.formula, silent_fail=False)
            grounding.results = [(tuple(args), node) for args, node in results]
        if not tolerant:
            _ground_evidence(engine, database, grounding)
    except (OutOfTimeError, MemoryError, RecursionError) as error:
        raise explain_limit(program, goal, error, engine.stack) from None
    return grounding


def _database(engine: _Engine, program: Program, goal_clause: Clause) -> Any:
    """Loads the program, ProbLog's list library and the goal's clause."""
    lists = Clause(Term("_directive"), Term("use_module", Term("library", Term("lists"))))
    statements = _Statements(program, [lists, goal_clause])
    kind = ClauseDB if program.trust else GuardedDatabase
    database = kind.createFrom(statements, builtins=engine.get_builtins())
    database.engine = engine
    engine._process_directives(database)
    return database


def _ground_facts(engine: _Engine, database: Any, grounding: _Grounding) -> None:
    """Grounds the program's own queries; an answer is a printed instance."""
    formula = grounding.formula
    for (query,) in engine.query(database, Term("query", None)):
        if not isinstance(query, Term) or isinstance(query, Var):
            raise GroundingError(f"the query '{query}' is not a goal")
        engine.ground(database, query, formula, label=formula.LABEL_QUERY)
    for name, node in formula.queries():
        grounding.results.append(((Term(str(name)),), node))


def _ground_evidence(engine: _Engine, database: Any, grounding: _Grounding) -> None:
    """Adds the program's evidence to a grounding."""
    told = engine.query(database, Term("evidence", None, None))
    told = told + engine.query(database, Term("evidence", None))
    formula = grounding.formula
    engine.ground_evidence(database, formula, told)
    names = formula.get_names_with_label()
    for name, node, label in names:
        if label == formula.LABEL_EVIDENCE_POS:
            grounding.evidence.append((str(name), node))
        elif label == formula.LABEL_EVIDENCE_NEG:
            grounding.evidence.append((f"\\+{name}", formula.negate(node)))


def _run_each(shape: Shape, placeholders: Mapping[str, None]) -> _Grounding:
    """Grounds the goal once per combination of given values, into one formula."""
    goal, listed = shape.goal, shape.observed_values
    free = [name for name in goal.variables if name not in placeholders]
    missing = [name for name in free if name not in listed]
    if missing:
        raise ProgramError(
            f"the goal '{goal.text}' cannot enumerate the values of {', '.join(missing)}",
            remedy=f"list them in the spec: [query.answers] {missing[0]} = [...]",
            at=goal.at,
        )
    grounding = _Grounding(LogicFormula(), [])
    for values in itertools.product(*(listed[name] for name in free)):
        terms = {name: Term.from_string(str(v)) for name, v in zip(free, values, strict=True)}
        one = _run(shape, placeholders, terms, grounding.formula)
        grounding.results.extend(one.results)
        grounding.evidence = one.evidence
    return grounding


def _open_variables(shape: Shape, placeholders: Mapping[str, None]) -> tuple[str, ...]:
    """Finds observed variables that the program leaves open: only networks look at them."""
    free = [name for name in shape.goal.variables if name not in placeholders]
    try:
        found = _run(shape, placeholders, {}, tolerant=True)
    except ProbLogError:
        return ()
    return tuple(
        name
        for index, name in enumerate(free)
        if any(not is_ground(args[index]) for args, _ in found.results)
    )


def placeholder(name: str) -> str:
    """Names the constant that stands for an input variable while grounding."""
    return f"'${name}'"


class _Converter:
    """Turns ProbLog's formula into a :class:`GroundProgram`."""

    def __init__(self, program: Program, placeholders: Mapping[str, None]) -> None:
        self.program = program
        self.names = {f"${name}": name for name in placeholders}
        self.builder = GraphBuilder()
        self.slots: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in program.networks}
        self.outcome_of: dict[int, tuple[int, int]] = {}

    def convert(self, found: _Grounding, observed: tuple[str, ...]) -> GroundProgram:
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
            roots.setdefault(tuple(text_of(arg) for arg in args), []).append(ref)
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
            evidence_parts=tuple(
                (name, ref) for (name, _), ref in zip(found.evidence, told, strict=True)
            ),
        )

    @staticmethod
    def _acyclic(found: _Grounding) -> tuple[LogicFormula, list[Any]]:
        """Breaks cycles where there are any; returns the formula and the wanted nodes in it."""
        wanted = [node for _, node in found.results] + [node for _, node in found.evidence]
        if not _has_cycle(found.formula, wanted):
            return found.formula, wanted
        source = found.formula
        source.clear_queries()
        source.clear_evidence()
        for index, node in enumerate(wanted):
            source.add_name(Term(_ROOT, Term(str(index))), node, source.LABEL_QUERY)
        target = LogicDAG()
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
            number = len(self.builder.choices)
            choice, outcomes = self._choice(nodes)
            self.builder.choices.append(choice)
            for index, outcome in zip(members, outcomes, strict=True):
                self.outcome_of[index] = (number, outcome)

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
        names = tuple(self._input(term) for term in _list(inputs))
        slot = calls.setdefault(names, len(calls))
        source = NeuralSource(predicate.network, slot)
        name = predicate.predicate.partition("/")[0]
        label = f"{name}({','.join(names)})"
        outcomes = [int(node.probability.args[2]) for node in nodes]
        return Choice(label, predicate.domain, source), outcomes

    def _learned(self, nodes: Sequence[Any]) -> tuple[Choice, list[int]]:
        learned = [node.probability for node in nodes if _functor(node.probability) == "$t"]
        number = int(learned[0].args[0])
        group = self.program.learnable[number]
        heads = (*group.heads, "none", *group.others)
        outcomes = []
        for node in nodes:
            if _functor(node.probability) == "$t":
                outcomes.append(int(node.probability.args[1]))
            else:
                position = node.identifier[2]
                outcomes.append(len(group.heads) + 1 + group.other_positions.index(position))
        return Choice(_label(nodes[0]), heads, LearnedSource(number)), outcomes

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
            values, outcomes = [*values, max(rest, 0.0)], (*outcomes, "none")
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
        text = text_of(term)
        return self.names.get(text, text)

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


def _check_result(shape: Shape, found: GroundProgram) -> None:
    """Refuses goals without a solution and images that nothing reads."""
    program, goal, images = shape.program, shape.goal, shape.images
    if not found.roots or all(root == FALSE for root in found.roots):
        raise explain_failure(program, goal, None)
    read = {name for calls in found.slots.values() for call in calls for name in call}
    for name in images:
        if name not in read:
            raise ProgramError(
                f"no network looks at the image {name} of the goal '{goal.text}'",
                remedy=f"leave {name} out of [examples] images, or pass it to a neural predicate",
                at=goal.at,
            )


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
            keys.append((0, float(text), ""))
        except ValueError:
            keys.append((1, 0.0, text))
    return tuple(keys)
