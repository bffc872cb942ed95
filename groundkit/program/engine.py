"""Grounds a program with ProbLog's engine and turns the result into plain data."""

from __future__ import annotations

import gc
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from problog.clausedb import ClauseDB
from problog.engine import NonGroundProbabilisticClause
from problog.engine_builtin import CallModeError
from problog.errors import GroundingError, ProbLogError
from problog.formula import LogicFormula
from problog.logic import ArithmeticError as ProbLogArithmeticError
from problog.logic import Clause, Constant, InstantiationError, Term, Var, is_ground, term2list
from problog.program import LogicProgram, PrologString

from groundkit.errors import ProgramError, UnreadError
from groundkit.program.blame import (
    explain_constraint,
    explain_failure,
    explain_limit,
    explain_nothing,
    explain_oddity,
    explain_unbound,
)
from groundkit.program.builtins import may_use_lists
from groundkit.program.constraints import CONSTRAINT
from groundkit.program.convert import Converter, Formula, Grounding, placeholder
from groundkit.program.goal import Binding, Goal, check_goal
from groundkit.program.ground import FALSE, GroundProgram
from groundkit.program.limits import OutOfTimeError
from groundkit.program.neural import is_proper_list
from groundkit.program.parser import ODD
from groundkit.program.source import Program
from groundkit.program.terms import term_of, text_of
from groundkit.program.trust import Engine, GuardedEngine

_GOAL = "$goal"
_kept: list[Any] = []


class _Engine(Engine):
    """ProbLog's engine; on request it goes on where a random variable is not ground."""

    tolerant = False

    def prepare(self, db: Any) -> Any:
        """Leaves a database that :func:`_run` has prepared as it is, instead of copying it."""
        return db if isinstance(db, ClauseDB) else super().prepare(db)

    def handle_nonground(self, result: Any = None, **kwargs: Any) -> Any:
        """Returns the open result when tolerant, otherwise raises as ProbLog does."""
        return result if self.tolerant else super().handle_nonground(result=result, **kwargs)


class _GuardedEngine(_Engine, GuardedEngine):
    """The same for a program that is not trusted."""


class _Statements(LogicProgram):  # type: ignore[misc]
    """A program's rewritten statements, with the positions of its text."""

    def __init__(self, program: Program, extra: Sequence[Any]) -> None:
        lines = PrologString(program.text).line_info
        root = str(program.file.parent) if program.file is not None else "."
        super().__init__(source_root=root, source_files=[None], line_info=lines)
        self._statements = [*program.statements, *extra]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._statements)


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
    refuse_tensors(program)
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
    except ODD as error:
        blamed = explain_oddity(program, goal, error)
        if blamed is None:
            raise
        raise blamed from error
    observed = tuple(name for name in goal.variables if name not in placeholders)
    if not shape.facts:
        _refuse_unbound(shape, found, observed)
    ground_program = Converter(program, placeholders).convert(found, observed)
    if not shape.facts:
        _check_result(shape, ground_program)
    return replace(ground_program, seconds=time.perf_counter() - start)


def _run_or_list(shape: Shape, placeholders: Mapping[str, None]) -> Grounding:
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


def refuse_tensors(program: Program) -> None:
    """Raises a ProgramError at the first nn/3: its tensors are no symbols to sum over."""
    for predicate in program.neural:
        if predicate.kind == "deterministic":
            raise ProgramError(
                f"nn/3 of network '{predicate.network}' returns a tensor; a circuit sums over "
                "symbols, and so does a run's training",
                expected="nn/4 (one of several symbols) or nn/2 (a probability)",
                remedy="ask and train it in Python with groundkit.TensorProgram, by DeepProbLog's "
                "own engine",
                at=predicate.location,
            )


def _run(
    shape: Shape,
    placeholders: Mapping[str, None],
    values: Mapping[str, Term],
    formula: LogicFormula | None = None,
    tolerant: bool = False,
) -> Grounding:
    """Grounds the goal and the evidence with ProbLog's engine."""
    program, goal = shape.program, shape.goal
    engine = _Engine() if program.trust else _GuardedEngine()
    engine.tolerant = tolerant
    free = [name for name in goal.variables if name not in placeholders]
    bound: dict[str, Any] = {name: Term(placeholder(name)) for name in placeholders}
    bound.update(values)
    head = Term(_GOAL, *(bound.get(name, Var(name)) for name in free))
    database = _database(engine, shape, Clause(head, goal.term.apply(Binding(bound))))
    grounding = Grounding(Formula() if formula is None else formula, [])
    try:
        if shape.facts:
            _ground_facts(engine, database, grounding)
        else:
            query = Term(_GOAL, *(bound.get(name) for name in free))
            _, results = engine._ground(database, query, grounding.formula, silent_fail=False)
            grounding.results = [(tuple(args), node) for args, node in results]
        if not tolerant:
            _ground_evidence(engine, database, grounding)
            _ground_constraints(engine, database, program, grounding)
    except (OutOfTimeError, MemoryError, RecursionError) as error:
        # Freeing millions of frames takes longer than a parent waits: they go with the process.
        gc.disable()
        _kept.append((engine, database))
        raise explain_limit(program, goal, error, engine.stack) from None
    return grounding


def _database(engine: _Engine, shape: Shape, goal_clause: Clause) -> Any:
    """Loads the program, the goal's clause, and ProbLog's list library where it may be called."""
    program, extra = shape.program, [goal_clause]
    if program.trust or any(map(may_use_lists, (program.text, shape.goal.text))):
        lists = Term("use_module", Term("library", Term("lists")))
        extra.insert(0, Clause(Term("_directive"), lists))
    return engine.prepare(_Statements(program, extra))


def _ground_facts(engine: _Engine, database: Any, grounding: Grounding) -> None:
    """Grounds the program's own queries; an answer is a printed instance."""
    formula = grounding.formula
    for (query,) in engine.query(database, Term("query", None)):
        if not isinstance(query, Term) or isinstance(query, Var):
            raise GroundingError(f"the query '{query}' is not a goal")
        engine.ground(database, query, formula, label=formula.LABEL_QUERY)
    for name, node in formula.queries():
        grounding.results.append(((name.apply(_Unbound(name)),), node))


class _Unbound:
    """Names what a certain answer leaves unbound; elsewhere ProbLog refuses it.

    Args:
        answer: A variable that occurs once in it is shown as ``_``.
    """

    def __init__(self, answer: Any) -> None:
        self._times = Counter(map(str, _variables(answer)))
        self._names: dict[str, str] = {}

    def __getitem__(self, name: Any) -> Any:
        if self._times[str(name)] < 2:
            return Var("_")
        return Var(self._names.setdefault(str(name), f"X{len(self._names) + 1}"))


def _variables(term: Any) -> Iterator[Any]:
    """Yields the variables of a term of ProbLog's engine, where they are numbers."""
    stack = [term]
    while stack:
        inner = stack.pop()
        if isinstance(inner, Term) and not isinstance(inner, Var | Constant):
            stack.extend(inner.args)
        elif inner is None or isinstance(inner, int | Var):
            yield inner


def _ground_evidence(engine: _Engine, database: Any, grounding: Grounding) -> None:
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


def _ground_constraints(
    engine: _Engine, database: Any, program: Program, grounding: Grounding
) -> None:
    """Adds "this constraint's body is false" for every choice of inputs that the question has."""
    if not program.constraints:
        return
    formula = grounding.formula
    read = _inputs_read(program, formula)
    for number, constraint in enumerate(program.constraints):
        names = [name for name, _ in constraint.inputs]
        ranges = [
            {str(term): term for network in sorted(networks) for term in read.get(network, ())}
            for _, networks in constraint.inputs
        ]
        for chosen in itertools.product(*(options.values() for options in ranges)):
            call = Term(CONSTRAINT, Constant(number), *chosen)
            try:
                _, results = engine._ground(database, call, formula, silent_fail=False)
            except ProbLogError as error:
                raise explain_constraint(program, constraint, error) from error
            label = constraint.with_inputs(dict(zip(names, map(text_of, chosen), strict=True)))
            for _, node in results:
                grounding.evidence.append((label, formula.negate(node)))


def _inputs_read(program: Program, formula: LogicFormula) -> dict[str, list[Any]]:
    """Lists the inputs that each network reads in a formula."""
    found: dict[str, dict[str, Any]] = {}
    for _, node, kind in formula:
        probability: Any = getattr(node, "probability", None)
        if kind == "atom" and getattr(probability, "functor", None) == "$nn":
            network = program.neural[int(probability.args[0])].network
            if is_proper_list(probability.args[1]):
                terms = term2list(probability.args[1], False)
                found.setdefault(network, {}).update({str(term): term for term in terms})
    return {network: list(terms.values()) for network, terms in found.items()}


def _run_each(shape: Shape, placeholders: Mapping[str, None]) -> Grounding:
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
    grounding = Grounding(Formula(), [])
    for values in itertools.product(*(listed[name] for name in free)):
        terms = {name: term_of(str(v)) for name, v in zip(free, values, strict=True)}
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


def _refuse_unbound(shape: Shape, found: Grounding, observed: Sequence[str]) -> None:
    """Raises a ProgramError at an answer that leaves a variable unbound, as ProbLog does."""
    for args, node in found.results:
        unbound = [n for n, arg in zip(observed, args, strict=True) if not is_ground(arg)]
        if unbound and node is not None:
            raise explain_unbound(shape.program, shape.goal, unbound)


def _check_result(shape: Shape, found: GroundProgram) -> None:
    """Refuses goals without a solution and images that nothing reads."""
    program, goal, images = shape.program, shape.goal, shape.images
    if not found.roots or all(root == FALSE for root in found.roots):
        raise explain_nothing(program, goal, images)
    read = {name for calls in found.slots.values() for call in calls for name in call}
    for name in images:
        if name not in read:
            raise UnreadError(
                f"no network looks at the image {name} of the goal '{goal.text}'",
                remedy=f"pass {name} to a neural predicate, or leave it out of the inputs if its "
                "values are observed",
                at=goal.at,
            )
