"""Lower and upper bounds from the most probable proofs, where a whole circuit is not to be had.

A proof is a restriction of some choices under which a reference holds. The probability that one of
some proofs holds is a lower bound; so is that of some refutations for the contrary, and one minus
it is an upper bound. More proofs bring the two together: the number grows as long as time allows.
Under evidence, :mod:`groundkit.circuit.quotient` puts the bounds together.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundkit.circuit.attempts import Attempts
from groundkit.circuit.choose import compile_parts, graft
from groundkit.circuit.condition import known_part
from groundkit.circuit.evaluate import evaluate
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.circuit.quotient import Parts, conditional
from groundkit.errors import LimitError
from groundkit.program.ground import TRUE, FixedSource, GraphBuilder, GroundProgram, bits

Proof = tuple[float, dict[int, int]]
"""Probability, and from choices to the bit masks of permitted outcomes."""

_NUMBERS = (1, 4, 16, 64, 256, 1024)
"""Proofs of a node that are kept, in the rounds of the search."""
_CLOSE = 1e-6
"""A gap that nobody needs to close."""
_SHARE = 0.6
"""Part of the time left after which no further round begins."""


@dataclass(frozen=True)
class _Wanted:
    """What is bounded: references of a program, and a condition that is compiled exactly."""

    program: GroundProgram
    references: tuple[int, ...]
    condition: Circuit | None


def compile_bounds(
    program: GroundProgram, attempts: Attempts, seconds: float | None, widest: float = _CLOSE
) -> tuple[Circuit, str, float]:
    """Compiles lower bounds of the answers and of their contraries, as tight as time allows.

    Networks and learnable groups count as uniform while proofs are chosen.

    Args:
        program: The ground program.
        attempts: Where compilers are run.
        seconds: Time; ``None`` for all rounds.
        widest: A gap between the bounds of an answer at which to stop.

    Returns:
        A circuit with the roots that :func:`parts_of` reads, and what was done, in words, with the
        widest gap of an answer under the evidence.

    Raises:
        LimitError: Not even one proof for each could be had in time.
    """
    start = time.monotonic()
    weights = [probabilities(program, choice) for choice in range(len(program.choices))]
    wanted = _wanted(program, None if seconds is None else 0.2 * seconds)
    best: tuple[Circuit, str, float] | None = None
    for number in _NUMBERS:
        left = None if seconds is None else seconds - (time.monotonic() - start)
        if best is not None and left is not None and seconds and left < (1 - _SHARE) * seconds:
            break
        try:
            circuit, complete = _round(wanted, weights, number, attempts=attempts, seconds=left)
        except (LimitError, _Late):
            break
        gap = _gap(circuit, weights, len(program.roots))
        best = circuit, f"at most {number} proofs of everything, a gap of {gap:.2g}", gap
        if complete or gap <= widest:
            break
    if best is None:
        raise LimitError("not even bounds could be found in time")
    return best


def _wanted(program: GroundProgram, seconds: float | None) -> _Wanted:
    """Lists what :func:`parts_of` reads; without evidence, the answers and their contraries."""
    roots, told = program.roots, program.evidence
    graph = GraphBuilder.of(program)
    if told == TRUE:
        references = (*roots, *map(graph.negate, roots))
        return _Wanted(program.with_nodes(graph.nodes), references, None)
    condition, circuit = known_part(program, graph, seconds)
    holds = [graph.conjoin((root, told)) for root in roots]
    fails = [graph.conjoin((graph.negate(root), told)) for root in roots]
    never = [graph.conjoin((condition, graph.negate(r))) for r in (*holds, *fails, told)]
    references = (*holds, *fails, *never[:-1], told, never[-1])
    return _Wanted(program.with_nodes(graph.nodes), references, circuit)


def parts_of(roots: Any, answers: int) -> Parts[Any]:
    """Names the roots of a circuit of bounds under evidence.

    Args:
        roots: ``(..., 4 answers + 3)`` values.
        answers: How many answers there are.
    """
    holds, fails, never_holds, never_fails = (
        roots[..., i * answers : (i + 1) * answers] for i in range(4)
    )
    told, untold, known = (roots[..., 4 * answers + i, None] for i in range(3))
    return Parts(holds, fails, never_holds, never_fails, told, untold, known)


def _gap(circuit: Circuit, weights: Sequence[Sequence[float]], answers: int) -> float:
    """Returns the widest gap between the bounds of an answer under the evidence."""
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.array(evaluate(circuit, weights))
        if len(roots) > 2 * answers:
            lower, upper = np.exp(conditional(np, parts_of(roots, answers)))
        else:
            lower, upper = np.exp(roots[:answers]), 1.0 - np.exp(roots[answers:])
    return float(np.max(upper - lower, initial=0.0))


class _Late(Exception):  # noqa: N818 - it never leaves this module
    """Raised when a round takes too long."""


def _round(
    wanted: _Wanted,
    weights: Sequence[Sequence[float]],
    number: int,
    *,
    attempts: Attempts,
    seconds: float | None,
) -> tuple[Circuit, bool]:
    """Compiles bounds of one number of proofs; also tells whether these are all there are."""
    deadline = None if seconds is None else time.monotonic() + seconds / 2
    distinct = list(dict.fromkeys(wanted.references))
    found, complete = best_proofs(wanted.program, distinct, weights, number, deadline)
    graph = GraphBuilder(list(wanted.program.choices))
    references = [
        graph.disjoin(
            [graph.conjoin([graph.leaf(c, m) for c, m in proof.items()]) for _, proof in proofs]
        )
        for proofs in found
    ]
    nodes = tuple(graph.nodes)
    extended = replace(wanted.program, nodes=nodes, roots=(), answers=(), evidence=TRUE)
    builder = CircuitBuilder()
    left = None if deadline is None else max(deadline - time.monotonic(), 0.1) * 2
    compiled, _ = compile_parts(extended, references, builder, attempts, left)
    node_of = dict(zip(distinct, compiled, strict=True))
    roots = [node_of[reference] for reference in wanted.references]
    if wanted.condition is not None:
        roots += graft(wanted.condition, builder)
    return builder.finish(roots), complete


def best_proofs(
    program: GroundProgram,
    references: Sequence[int],
    weights: Sequence[Sequence[float]],
    number: int,
    deadline: float | None = None,
) -> tuple[list[list[Proof]], bool]:
    """Finds probable proofs of references, keeping a number of them for every node.

    Args:
        program: The ground program.
        references: What is to be proved.
        weights: Probabilities of every choice's outcomes.
        number: How many to keep.
        deadline: When to give up, by the monotonic clock.

    Returns:
        The proofs of every reference, best first, and whether none was left out anywhere.
    """
    done: dict[int, list[Proof]] = {}
    complete = True

    def literals(reference: int) -> list[int]:
        children = program.nodes[max(reference, ~reference)].children
        return list(children) if reference >= 0 else [~child for child in children]

    def mask_proof(choice: int, mask: int) -> list[Proof]:
        weight = sum(weights[choice][outcome] for outcome in bits(mask))
        return [(weight, {choice: mask})] if weight > 0.0 else []

    def prove(reference: int) -> list[Proof]:
        nonlocal complete
        node = program.nodes[max(reference, ~reference)]
        if node.kind == "true":
            return [(1.0, {})] if reference == TRUE else []
        if node.kind == "leaf":
            full = program.choices[node.choice].full
            return mask_proof(node.choice, node.mask if reference >= 0 else full & ~node.mask)
        parts = [done[child] for child in literals(reference)]
        if (node.kind == "and") != (reference >= 0):
            found = _distinct(proof for part in parts for proof in part)
        else:
            found = [(1.0, {})]
            for part in parts:
                complete = complete and len(found) * len(part) <= 2 * number
                found = _pairs(found, part, weights, number)
                if len(found) > number:
                    complete = False
                    del found[number:]
        complete = complete and len(found) <= number
        return found[:number]

    for reference in references:
        stack = [reference]
        while stack:
            current = stack[-1]
            below = [r for r in literals(current) if r not in done]
            if below and current not in done:
                stack.extend(below)
                continue
            stack.pop()
            if current not in done:
                if deadline is not None and time.monotonic() > deadline:
                    raise _Late
                done[current] = prove(current)
    return [done[reference] for reference in references], complete


def _pairs(
    left: Sequence[Proof], right: Sequence[Proof], weights: Sequence[Sequence[float]], number: int
) -> list[Proof]:
    """Joins proofs of two children; of two lists sorted by weight, the promising pairs only."""
    found = []
    for i, (weight, first) in enumerate(left):
        for other, second in right[: max(1, 2 * number // (i + 1))]:
            joined = _join(weight, first, other, second, weights)
            if joined is not None:
                found.append(joined)
    return _distinct(found)


def _join(
    weight: float,
    first: dict[int, int],
    other: float,
    second: dict[int, int],
    weights: Sequence[Sequence[float]],
) -> Proof | None:
    """Joins two restrictions; ``None`` when they exclude each other."""
    shared = first.keys() & second.keys()
    joined = {**first, **second}
    total = weight * other
    for choice in shared:
        mask = joined[choice] = first[choice] & second[choice]
        mass = _mass(weights[choice], mask)
        if mass <= 0.0:
            return None
        total *= mass / (
            _mass(weights[choice], first[choice]) * _mass(weights[choice], second[choice])
        )
    return total, joined


def _mass(weights: Sequence[float], mask: int) -> float:
    return sum(weights[outcome] for outcome in bits(mask))


def _distinct(proofs: Iterable[Proof]) -> list[Proof]:
    """Sorts proofs, best first, each once."""
    found = {tuple(sorted(proof.items())): (weight, proof) for weight, proof in proofs}
    return sorted(found.values(), key=lambda proof: -proof[0])


def probabilities(program: GroundProgram, choice: int) -> list[float]:
    """Returns a choice's probabilities, uniform where they are not fixed."""
    source = program.choices[choice].source
    if isinstance(source, FixedSource):
        return list(source.probabilities)
    size = program.choices[choice].size
    return [1.0 / size] * size
