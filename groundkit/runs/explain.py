"""Why a run gives an answer: its best proofs with the images in them; and why not."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import torch

from groundkit.circuit.cache import cache_folder
from groundkit.circuit.explore import Explorer
from groundkit.circuit.prepare import prepare
from groundkit.circuit.proofs import Proof, best_proofs
from groundkit.data.examples import input_of
from groundkit.data.features import INPUT_SUFFIXES
from groundkit.errors import NoSolutionError, ProgramError
from groundkit.files import write_atomically
from groundkit.program.engine import Shape
from groundkit.program.failures import Failure, why_not
from groundkit.program.goal import parse_goal
from groundkit.program.ground import NO_HEAD, NeuralSource
from groundkit.program.limits import Limits
from groundkit.program.query import Question, pose
from groundkit.report.proofs import Diagram, DiagramNode, draw_explanation
from groundkit.report.words import chance
from groundkit.runs.answers import Answers, ImageReading, words_of
from groundkit.runs.cases import Case
from groundkit.runs.session import Session

_MOST_NODES = 40
_LIMITS = Limits(seconds=30.0)


@dataclass(frozen=True)
class ExplainedProof:
    """One proof of an answer.

    Attributes:
        probability: That everything in it holds.
        symbols: Image or variable -> the symbol that the proof takes it for.
        facts: Probabilistic facts that it uses.
    """

    probability: float
    symbols: dict[str, str]
    facts: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{name} = {symbol}" for name, symbol in self.symbols.items()]
        return ", ".join([*parts, *self.facts]) or "holds without any symbol"


@dataclass(frozen=True)
class Explanation:
    """An explained answer, or the reason why there is none.

    Attributes:
        question: The question.
        answer: The most probable answer, ``None`` without one.
        probability: Its probability.
        proofs: Its best proofs, the most probable first.
        images: Path -> how it was read.
        failure: Where the proof ends, for a question without solution.
        diagram: The circuit's part that the proofs use.
        note: What the probability is an average over; empty where the symbols have one meaning.
    """

    question: str
    answer: str | None
    probability: float
    proofs: tuple[ExplainedProof, ...] = ()
    images: dict[str, ImageReading] = field(default_factory=dict)
    failure: Failure | None = None
    diagram: Diagram | None = field(default=None, repr=False)
    note: str = ""

    def disagreements(self) -> list[str]:
        """Words the images that the best proof takes for another symbol than they look like."""
        words = []
        for name, symbol in self.proofs[0].symbols.items() if self.proofs else ():
            reading = self.images.get(name)
            if reading is not None and reading.symbol != symbol:
                share = reading.probabilities[reading.symbols.index(symbol)]
                words.append(
                    f"{name} would have to be {symbol} ({share:.1%}), it looks like "
                    f"{reading.symbol} ({reading.probabilities.max():.1%})"
                )
        return words

    def to_dict(self) -> dict[str, Any]:
        """Returns everything but the picture as JSON-able values."""
        failure = self.failure
        return {
            "query": self.question,
            "answer": self.answer,
            "probability": self.probability,
            "proofs": [
                {"probability": p.probability, "symbols": p.symbols, "facts": list(p.facts)}
                for p in self.proofs
            ],
            "disagreements": [] if self.note else self.disagreements(),
            "note": self.note,
            "images": {path: reading.to_dict() for path, reading in self.images.items()},
            "failed": None
            if failure is None
            else {
                "goal": failure.failed,
                "before": list(failure.before),
                "clause": failure.clause,
                "at": None if failure.at is None else str(failure.at),
            },
        }

    def __str__(self) -> str:
        if self.failure is not None:
            return f"{self.question} has no proof\n{self.failure}"
        lines = [f"{self.answer}: {chance(self.probability)}"]
        for number, proof in enumerate(self.proofs, start=1):
            lines.append(f"  proof {number}, {chance(proof.probability)}: {proof}")
        rest = self.probability - sum(proof.probability for proof in self.proofs)
        if rest > 1e-6 and not self.note:
            lines.append(f"  other proofs, {rest:.4f}")
        if self.note:
            lines.append(f"  {self.note}")
            return "\n".join(lines + words_of(self.images))
        lines += [f"  {words}" for words in self.disagreements()]
        return "\n".join(lines + words_of(self.images))

    def picture(self) -> bytes:
        """Draws proofs and circuit, with the images in them, as a PNG.

        Raises:
            ProgramError: There is no proof to draw.
        """
        if self.diagram is None or self.answer is None:
            raise ProgramError(f"'{self.question}' has no proof, so there is nothing to draw")
        return draw_explanation(
            f"{self.answer}: {chance(self.probability)}",
            [(proof.probability, proof.symbols, proof.facts) for proof in self.proofs],
            {path: reading.pixels for path, reading in self.images.items()},
            self.diagram,
        )

    def draw(self, path: Path | str) -> Path:
        """Writes :meth:`picture` to a file and returns it.

        Raises:
            ProgramError: There is no proof to draw.
            RunError: The file cannot be written.
        """
        path = Path(path)
        write_atomically(path, self.picture())
        return path

    def _repr_html_(self) -> str:
        words = f"<pre>{escape(str(self))}</pre>"
        if self.diagram is None:
            return words
        uri = base64.b64encode(self.picture()).decode()
        return f'{words}<img alt="proofs and circuit" src="data:image/png;base64,{uri}">'


def explain(session: Session, question: str, count: int = 5) -> Explanation:
    """Explains the most probable answer of a question.

    Args:
        session: A finished run.
        question: A question, for instance ``addition('a.png', 'b.png', Z)``.
        count: How many proofs to tell.

    Returns:
        The best proofs, or the goal that fails where there is none.

    Raises:
        InputError: The question cannot be read, or an image is missing.
    """
    try:
        case = session.questions.case(question)
        found = session.questions.answer(case)
        case = session.questions.explained(case, found.best)
    except NoSolutionError:
        return _unprovable(session, question)
    return explain_case(case, found, count)


def explain_case(case: Case, found: Answers, count: int = 5) -> Explanation:
    """Explains the most probable of the answers that a case has.

    Args:
        case: A question made ready.
        found: Its answers.
        count: How many proofs to tell.
    """
    best = found.best
    combination, answer = best.place
    one = {name: tensor[combination : combination + 1] for name, tensor in case.rows.items()}
    with torch.no_grad():
        rows = case.reasoner.input_rows(one)[:, 0].numpy()
    explorer = case.reasoner.explorer()
    roots = case.reasoner.compiled.circuit.roots
    proofs = best_proofs(explorer, rows, int(roots[answer]), count)
    # Every root holds together with the evidence, whose own root, if any, is the last.
    given = explorer.values(rows)[roots[-1]] if len(roots) > len(case.reasoner.answers) else 0.0
    return Explanation(
        question=found.question,
        answer=best.text,
        probability=best.probability,
        proofs=tuple(_told(case, proof, best.values, given) for proof in proofs),
        images=found.images,
        diagram=_diagram(case, explorer, int(roots[answer]), proofs),
        note=found.note
        and f"{found.note}; the proofs are told in the likeliest one for this answer",
    )


def _told(case: Case, proof: Proof, values: Mapping[str, str], given: float) -> ExplainedProof:
    """Words a proof: what the images show, and the facts in it; ``given`` is log P(evidence)."""
    symbols: dict[str, str] = {}
    facts = []
    for choice_number, outcome in sorted(proof.choices.items()):
        choice = case.reasoner.ground_program.choices[choice_number]
        if not isinstance(choice.source, NeuralSource):
            name = choice.outcomes[outcome]
            facts.append(name if name != NO_HEAD else f"none of {', '.join(choice.outcomes[:-1])}")
            continue
        network = choice.source.network
        name = input_of(case.reasoner.slots[network][choice.source.slot])
        if (network, name) in case.readings or name in values:
            symbols[case.label(network, name)] = choice.outcomes[outcome]
    return ExplainedProof(math.exp(proof.log_probability - given), symbols, tuple(facts))


def _diagram(case: Case, explorer: Explorer, root: int, proofs: list[Proof]) -> Diagram:
    """Lays out the circuit: all of it when small, otherwise what the best proofs use."""
    below = set(explorer.below(root))
    whole = len(below) <= _MOST_NODES
    shown = set(below)
    if not whole:
        shown = set(proofs[0].nodes)
        for proof in proofs[1:]:
            if len(shown | proof.nodes) <= _MOST_NODES:
                shown |= proof.nodes
    nodes = {}
    for index in sorted(shown):
        kind, items = explorer.nodes[index]
        inner = kind in ("and", "or")
        nodes[index] = DiagramNode(
            label=_label(case, kind, items),
            kind=kind,
            children=tuple(item for item in items if item in shown) if inner else (),
            best=bool(proofs) and index in proofs[0].nodes,
        )
    return Diagram(nodes, root, left_out=len(below) - len(shown))


def _label(case: Case, kind: str, items: tuple[int, ...]) -> str:
    """Words a node of the circuit."""
    if kind != "leaf":
        return {"and": "and", "or": "or"}.get(kind, kind)
    choice = case.reasoner.ground_program.choices[items[0]]
    outcomes = " or ".join(choice.outcomes[o] for o in items[1:4])
    if len(items) > 4:
        outcomes += f" or {len(items) - 4} more"
    if not isinstance(choice.source, NeuralSource):
        return outcomes
    network = choice.source.network
    name = input_of(case.reasoner.slots[network][choice.source.slot])
    return f"{case.label(network, name)}\n= {outcomes}"


def _unprovable(session: Session, question: str) -> Explanation:
    """Finds the goal that fails."""
    posed = pose(question, INPUT_SUFFIXES)

    def holds(text: str) -> bool:
        goal = parse_goal(text)
        images = tuple(name for name in posed.images if name in goal.variables)
        try:
            prepare(Shape(session.program, goal, images), cache_folder(), _LIMITS)
        except NoSolutionError:
            return False
        except ProgramError:
            pass  # any other complaint, such as an image that no network looks at yet
        return True

    failure = why_not(session.program, posed.goal, holds)
    return Explanation(posed.text, None, 0.0, failure=_named(failure, posed))


def _named(failure: Failure, posed: Question) -> Failure:
    """Puts the images' files back into a failure."""

    def name(text: str) -> str:
        for variable, path in posed.images.items():
            text = text.replace(variable, f"'{path}'")
        return text

    return Failure(
        name(failure.failed), tuple(map(name, failure.before)), failure.clause, failure.at
    )
