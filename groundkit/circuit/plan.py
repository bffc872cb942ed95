"""What a query shape will cost, found out under limits before anything is trained."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from groundkit.circuit.reasoner import Reasoner


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
        ground_seconds: Time of grounding and of starting its process (when it was done, if it
            comes from the cache).
        compile_seconds: Time of compiling.
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
    queries_per_second: float
    batch: int


def plan(reasoner: Reasoner, batch: int = 64) -> Plan:
    """Times a compiled goal.

    Args:
        reasoner: The goal.
        batch: Examples per timed batch.
    """
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
        queries_per_second=batch / seconds_per_batch(reasoner, batch),
        batch=batch,
    )


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
