"""What to say where goals and examples do not fit: who is to blame for it."""

from __future__ import annotations

from groundkit.errors import DataError, Location, NoSolutionError, ProgramError, UnreadError
from groundkit.program.constraints import unread
from groundkit.program.definitions import definitions, reached
from groundkit.task.binding import Binding
from groundkit.task.templates import Template


def blame_example(
    binding: Binding, template: Template, error: NoSolutionError | UnreadError, at: Location
) -> ProgramError:
    """Words that an example in a file has a shape without a solution.

    Args:
        binding: Program and spec.
        template: The shape.
        error: What was found.
        at: Where the first example of the shape stands.
    """
    if template.lengths:
        remedy = (
            f'correct its lists; a single input is no list: "{template.lengths[0][0]}": "a.png"'
        )
    elif binding.declared:
        facts = ", ".join(template.facts) or "none"
        remedy = f"correct its facts ({facts}), or the clause at {error.at}"
    elif isinstance(error, NoSolutionError) and (name := _lost(binding, template)):
        remedy = (
            f'if {name} is a list, give it as one, in JSON Lines: "{name}": ["a.png", "b.png"]; if '
            "its values are observed, leave it out of inputs"
        )
    else:  # the other examples are of this shape, too: it is the program that has no solution
        return error
    return type(error)(error.found, remedy=remedy, at=at)


def blame_lengths(binding: Binding, template: Template, error: ProgramError) -> ProgramError:
    """Words that no examples of a shape can be drawn: the spec says how long their lists are.

    Args:
        binding: Program and spec.
        template: The shape.
        error: What was found.
    """
    if not isinstance(error, NoSolutionError | UnreadError):
        return error
    key = binding.queries[template.query].key
    table = ".".join(part for part in key if not part.isdigit())
    if template.lengths:
        names = " and ".join(name for name, _ in template.lengths)
        kind = "lengths" if binding.queries[template.query].examples.lengths else "held_out_lengths"
        remedy = f"leave {names} out of {kind} if it is no list, else correct the program"
        return type(error)(error.found, remedy=remedy, at=binding.at(*key, kind))
    name = _lost(binding, template)
    if name is None or isinstance(error, UnreadError):
        return error
    remedy = (
        f"if {name} is a list, say how long: lengths = {{{name} = [1, 2]}} under [{table}]; if its "
        "values are observed, leave it out of inputs"
    )
    return type(error)(error.found, remedy=remedy, at=binding.at(*key, "inputs"))


def _lost(binding: Binding, template: Template) -> str | None:
    """Names an input that no network reads as it stands, as one that is a list."""
    query, program = binding.queries[template.query], binding.program
    lost = unread(query.goal.term, query.inputs, program.statements, program.neural)
    return lost[0] if lost else None


def blame_network(binding: Binding, network: str) -> DataError:
    """Words that the examples have no input for a network.

    Args:
        binding: Program and spec.
        network: The network.
    """
    goals = [name for query in binding.queries for name in query.goal.predicates]
    called = reached(goals, definitions(binding.program)[0])
    if binding.program.networks[network].predicate in called:
        found = f"no example gives network '{network}' an input"
        remedy = "add examples whose lists are not empty"
    else:
        found = f"no query asks network '{network}', and the examples have no inputs for it"
        remedy = f"leave nn({network}, ...) out of the program, or ask a goal that calls it"
    return DataError(
        found,
        expected="at least one image a symbol",
        remedy=remedy,
        at=binding.at("networks", network),
    )
