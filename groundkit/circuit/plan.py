"""What a query shape will cost, found out under limits before anything is trained."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from groundkit.circuit.answer import reasoner_of_queries
from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.program.limits import Limits
from groundkit.program.query import Goal
from groundkit.program.source import Program


@dataclass(frozen=True, slots=True)
class Plan:
    """The size and cost of one query shape.

    Attributes:
        worlds: Joint outcomes of all choices, which enumeration would have to visit.
        choices: Random variables, neural calls included.
        calls: Outputs that every network gives per example.
        answers: Answers that share the circuit.
        ground_nodes: Nodes of the ground program.
        circuit_nodes: Nodes of the circuit.
        circuit_edges: Edges of the circuit.
        stage: ``a``: the ground program is a circuit; ``b``: compiled whole; ``c``: in parts.
        reason: Why this stage.
        ground_seconds: Time of grounding (when it was done, if it comes from the cache).
        compile_seconds: Time of compiling.
        peak_megabytes: Peak memory of the process that grounded and compiled; ``None`` where it
            came from the cache.
        queries_per_second: Examples per second, forward and backward, on this machine's CPU with
            torch's present number of threads.
        batch: Batch size of that measurement.
    """

    worlds: int
    choices: int
    calls: dict[str, int]
    answers: int
    ground_nodes: int
    circuit_nodes: int
    circuit_edges: int
    stage: str
    reason: str
    ground_seconds: float
    compile_seconds: float
    peak_megabytes: float | None
    queries_per_second: float
    batch: int


def plan(
    program: Program,
    goal: Goal,
    images: Sequence[str],
    *,
    observed_values: Mapping[str, Sequence[str]] | None = None,
    cache: Path | None = None,
    limits: Limits | None = None,
    batch: int = 64,
) -> Plan:
    """Grounds, compiles and times one query shape.

    Args:
        program: The program.
        goal: The goal.
        images: Names of the goal's variables that are images.
        observed_values: Values of observed variables, for a program that cannot enumerate them.
        cache: Folder of compiled shapes.
        limits: Time and memory; by default ten minutes and 4 GiB.
        batch: Examples per timed batch.

    Raises:
        ProgramError: The goal cannot be grounded.
        LimitError: Grounding or compiling passes the limits; the message names the predicate.
    """
    return _measured(
        lambda: build_reasoner(
            program,
            goal,
            images,
            observed_values=observed_values,
            cache=cache,
            limits=limits or Limits(),
        ),
        batch,
    )


def plan_queries(
    program: Program, *, cache: Path | None = None, limits: Limits | None = None, batch: int = 64
) -> Plan:
    """Grounds, compiles and times a program's own ``query/1`` facts; see :func:`plan`."""
    return _measured(lambda: reasoner_of_queries(program, cache, limits or Limits()), batch)


def _measured(build: Callable[[], Reasoner], batch: int) -> Plan:
    """Builds a reasoner and tells what that took and what it weighs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    reasoner = build()
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found, compiled = reasoner.ground_program, reasoner.compiled
    return Plan(
        worlds=found.worlds(),
        choices=len(found.choices),
        calls={name: len(calls) for name, calls in found.slots.items()},
        answers=len(found.answers),
        ground_nodes=len(found.nodes),
        circuit_nodes=len(compiled.circuit),
        circuit_edges=compiled.circuit.edges,
        stage=compiled.stage,
        reason=compiled.reason,
        ground_seconds=found.seconds,
        compile_seconds=compiled.seconds,
        peak_megabytes=_megabytes(after) if after > before else None,
        queries_per_second=batch / seconds_per_batch(reasoner, batch),
        batch=batch,
    )


def _megabytes(peak: int) -> float:
    """Converts ``ru_maxrss``, which counts KiB on Linux and bytes on macOS."""
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def seconds_per_batch(reasoner: Reasoner, batch: int, least: float = 0.3) -> float:
    """Times forward and backward of a batch of random log-probabilities, the best of several.

    Args:
        reasoner: The compiled shape.
        batch: Examples per batch.
        least: Seconds to spend at least.
    """
    logits = {
        name: torch.randn(batch, len(calls), reasoner.sizes[name], requires_grad=True)
        for name, calls in reasoner.slots.items()
    }
    log_probs = {
        name: tensor.log_softmax(-1).detach().requires_grad_() for name, tensor in logits.items()
    }
    best = float("inf")
    spent = 0.0
    while spent < least:
        start = time.perf_counter()
        out = reasoner(log_probs)
        if out.requires_grad:
            out.sum().backward()
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best
