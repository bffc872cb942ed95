"""Goals as identification sees them."""

from __future__ import annotations

from groundkit.circuit.reasoner import Reasoner
from groundkit.identifiability.identify import Observable
from groundkit.identifiability.relations import SupportLike
from groundkit.program.ground import NeuralSource


def observable(
    reasoner: Reasoner, support: SupportLike, examples: SupportLike | None = None
) -> Observable:
    """Returns a goal with its combinations of symbols.

    Args:
        reasoner: Its circuit.
        support: All combinations with a proof.
        examples: Those that the examples hold.
    """
    return Observable(
        support,
        examples,
        slots=reasoner.slots,
        answers=reasoner.answers,
        log_likelihood=reasoner.log_likelihood if has_probabilities(reasoner) else None,
    )


def has_probabilities(reasoner: Reasoner) -> bool:
    """Whether the program has random facts of its own beside the networks' outputs."""
    choices = reasoner.ground_program.choices
    return any(not isinstance(choice.source, NeuralSource) for choice in choices)
