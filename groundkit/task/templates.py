"""The shapes of a goal: what is grounded once and serves every example of that shape.

Two examples have one shape when their lists have the same lengths, when the same places of them
hold the same image, and when the same facts hold for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from problog.logic import Var, list2term

from groundkit.program.facts import with_facts
from groundkit.program.goal import Binding as Substitution
from groundkit.program.goal import Goal, variables_of
from groundkit.program.source import Program
from groundkit.report.words import counted


@dataclass(frozen=True)
class Template:
    """One shape of a query's goal.

    Attributes:
        query: Position of the query in the spec.
        lengths: Variables that are lists, with their lengths.
        same: Flat variable -> the earlier one that holds the same image.
        facts: Printed facts that hold beside the program.
    """

    query: int
    lengths: tuple[tuple[str, int], ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    facts: tuple[str, ...] = ()

    def merged(self, same: Mapping[str, str]) -> Template:
        """Returns the shape in which some variables hold the same image as others."""
        return replace(self, same=tuple(sorted({**dict(self.same), **same}.items())))

    def words(self) -> str:
        """Names the shape for a person: ``Xs of length 3, X and Y the same image``."""
        parts = [f"{name} of length {length}" for name, length in self.lengths]
        parts += [f"{other} and {name} the same image" for name, other in self.same]
        if self.facts:
            parts.append(f"{counted(len(self.facts), 'fact')} of its own")
        return ", ".join(parts)


def flat_names(variable: str, length: int, taken: Collection[str]) -> tuple[str, ...]:
    """Names the elements of a list variable: ``Xs_1``, ``Xs_2``, apart from other variables."""
    stem = f"{variable}_"
    while any(f"{stem}{place}" in taken for place in range(1, length + 1)):
        stem += "_"
    return tuple(f"{stem}{place}" for place in range(1, length + 1))


@dataclass(frozen=True)
class Flat:
    """A goal whose list variables are written out.

    Attributes:
        goal: The flat goal.
        names: Variable of the query's goal -> its flat variables, one where it is no list, after
            equal images have become one variable.
    """

    goal: Goal
    names: dict[str, tuple[str, ...]]

    def of(self, variables: Sequence[str]) -> tuple[str, ...]:
        """Returns the flat variables of some variables, each once, in order."""
        return tuple(dict.fromkeys(flat for name in variables for flat in self.names[name]))


def flatten(goal: Goal, template: Template) -> Flat:
    """Writes a goal out in one shape."""
    lengths, same = dict(template.lengths), dict(template.same)
    names: dict[str, tuple[str, ...]] = {}
    bound = Substitution()
    for variable in goal.variables:
        if variable in lengths:
            flat = flat_names(variable, lengths[variable], goal.variables)
            names[variable] = tuple(same.get(name, name) for name in flat)
            bound[variable] = list2term([Var(name) for name in names[variable]])
        else:
            names[variable] = (same.get(variable, variable),)
            bound[variable] = Var(names[variable][0])
    if not lengths and not same:
        return Flat(goal, names)
    term = goal.term.apply(bound)
    text = str(term)
    return Flat(replace(goal, text=text, term=term, variables=variables_of(text, term)), names)


def shaped_program(program: Program, template: Template, declared: Collection[str]) -> Program:
    """Returns the program with a shape's facts.

    Args:
        program: The program.
        template: The shape.
        declared: Names and arities of all predicates that some example gives facts of: those
            without a fact in this shape have none, rather than being unknown.
    """
    if not declared:
        return program
    return with_facts(program, template.facts, declared)
