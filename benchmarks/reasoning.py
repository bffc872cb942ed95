"""Speed and exactness of the reasoning engine, beside DeepProbLog and programs written by hand.

``python -m benchmarks.reasoning`` prints the tables and writes ``benchmarks/results/reasoning.md``,
``.json`` and ``.png``. One thread, timed by the processor time of the process, which other load on
the machine disturbs least; ``--quick`` leaves out DeepProbLog at N=2, which takes minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.carry import (
    CARRY,
    by_einsum,
    by_gather,
    by_reasoner,
    carry_goal,
    draw,
    forward_backward,
)
from benchmarks.klay_export import to_klay
from benchmarks.machine import circumstances
from groundkit.circuit import cache
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.compile import compile_program
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.source import load_program, parse_program

RESULTS = Path(__file__).parent / "results"
NAIVE = """
nn(mnist_net,[X],Y,[0,1,2,3,4,5,6,7,8,9]) :: digit(X,Y).
number([],Result,Result).
number([H|T],Acc,Result) :- digit(H,Nr), Acc2 is Nr+10*Acc, number(T,Acc2,Result).
number(X,Y) :- number(X,0,Y).
addition(X,Y,Z) :- number(X,X2), number(Y,Y2), Z is X2+Y2.
"""
BATCH = 64
SUMS_AT_TWO_DIGITS = 16
"""DeepProbLog compiles every sum anew, seconds each; its cache is warmed for this many."""


def seconds_of(action: Callable[[], Any], least: float = 1.0, warm: int = 2) -> float:
    """Returns the median time of an action, repeated for at least ``least`` seconds."""
    for _ in range(warm):
        action()
    times: list[float] = []
    while sum(times) < least or len(times) < 3:
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Runs an action once; returns its seconds and its result."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


class Digits(nn.Module):
    """The network of DeepProbLog's MNIST example: two convolutions and three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2),
            nn.ReLU(), nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10), nn.Softmax(1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(B, 1, 28, 28)`` images to ``(B, 10)`` probabilities."""
        return self.layers(images)


class Beliefs(nn.Module):
    """Instead of a network: a table of fixed beliefs, so that reasoning is timed alone."""

    def __init__(self, count: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.logits = nn.Parameter(torch.randn(count, 10, generator=generator))

    def forward(self, index: Tensor) -> Tensor:
        """Maps ``(B, 1)`` image numbers to ``(B, 10)`` probabilities."""
        return self.logits[index.flatten().long()].softmax(1)


def addition_goal(digits: int) -> tuple[Goal, list[str]]:
    """Returns the naive program's goal and its images."""
    names = [[f"{letter}{i}" for i in range(digits)] for letter in "XY"]
    return parse_goal(f"addition([{','.join(names[0])}],[{','.join(names[1])}],Z)"), [
        *names[0],
        *names[1],
    ]


def draw_sums(digits: int) -> list[int]:
    """Draws the sums of one batch; few different ones where DeepProbLog compiles each for long."""
    generator = torch.Generator().manual_seed(digits)
    highest = 2 * (10**digits - 1)
    different = highest + 1 if digits == 1 else SUMS_AT_TWO_DIGITS
    pool = torch.randperm(highest + 1, generator=generator)[:different]
    return [int(pool[i]) for i in torch.randint(len(pool), (BATCH,), generator=generator)]


def deepproblog_step(digits: int, module: nn.Module, inputs: Tensor) -> Callable[[], Any]:
    """Returns one training step of DeepProbLog's own loop, its cache warm."""
    from deepproblog.engines import ExactEngine
    from deepproblog.model import Model
    from deepproblog.network import Network
    from deepproblog.query import Query
    from deepproblog.train import TrainObject
    from problog.logic import Constant, Term, list2term

    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    network = Network(module, "mnist_net", optimizer, batching=True)
    with contextlib.redirect_stdout(io.StringIO()):
        model = Model(NAIVE, [network], load=False)
        model.set_engine(ExactEngine(model), cache=True)
    model.add_tensor_source("train", {(Constant(i),): image for i, image in enumerate(inputs)})
    places = [Term(f"p{i}") for i in range(2 * digits)]
    queries = []
    for example, total in enumerate(draw_sums(digits)):
        tensors = [
            Term("tensor", Term("train", Constant(example * 2 * digits + i)))
            for i in range(2 * digits)
        ]
        goal = Term(
            "addition", list2term(places[:digits]), list2term(places[digits:]), Constant(total)
        )
        queries.append(Query(goal, dict(zip(places, tensors, strict=True))))
    trainer = TrainObject(model)
    loss = model.solver.semiring.cross_entropy

    def step() -> None:
        model.optimizer.zero_grad()
        trainer.get_loss(queries, loss)
        model.optimizer.step()

    return step


def our_step(
    reasoner: Reasoner, digits: int, module: nn.Module, inputs: Tensor
) -> Callable[[], Any]:
    """Returns the same training step with this engine."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    answers = torch.tensor([reasoner.answer_index([str(total)]) for total in draw_sums(digits)])

    def step() -> None:
        optimizer.zero_grad()
        log_probs = module(inputs).clamp_min(1e-30).log().view(BATCH, 2 * digits, 10)
        (-reasoner.log_likelihood({"mnist_net": log_probs}, answers).mean()).backward()
        optimizer.step()

    return step


def network_step(module: nn.Module, inputs: Tensor) -> Callable[[], Any]:
    """Returns what no engine can save of that step: the network, both ways, and its optimiser."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    upstream = torch.randn(len(inputs), 10)

    def step() -> None:
        optimizer.zero_grad()
        module(inputs).backward(upstream)
        optimizer.step()

    return step


def against_deepproblog(digits: int) -> dict[str, float]:
    """Times the whole step and reasoning alone, for both engines."""
    goal, images = addition_goal(digits)
    reasoner = build_reasoner(parse_program(NAIVE), goal, images)
    torch.manual_seed(0)
    pictures = torch.randn(BATCH * 2 * digits, 1, 28, 28)
    numbers = torch.arange(BATCH * 2 * digits).unsqueeze(1)
    row: dict[str, float] = {"N": digits, "roots": len(reasoner.answers)}
    for part, module, inputs in (
        ("whole", Digits, pictures),
        ("reasoning", lambda: Beliefs(len(numbers)), numbers),
    ):
        theirs = BATCH / seconds_of(deepproblog_step(digits, module(), inputs), 5.0, warm=1)
        ours = BATCH / seconds_of(our_step(reasoner, digits, module(), inputs))
        row |= {f"{part}_deepproblog": theirs, f"{part}_ours": ours, f"{part}_ratio": ours / theirs}
        if part == "whole":
            bare = BATCH / seconds_of(network_step(module(), inputs))
            row |= {"network_alone": bare, "network_ratio": bare / theirs}
    return row


def carry_row(digits: int) -> dict[str, float | str]:
    """Measures one length of the carry program."""
    goal, images = carry_goal(digits)
    program = load_program(CARRY)
    shape = Shape(program, goal, tuple(images))
    ground_s, found = timed(lambda: ground(shape))
    compile_s, compiled = timed(lambda: compile_program(found))
    with tempfile.TemporaryDirectory() as folder:
        cache.store(Path(folder), shape, found, compiled)
        cache_s, reasoner = timed(
            lambda: Reasoner(program, goal, *prepare(shape, Path(folder), None))
        )
    batch = draw(digits, BATCH, torch.float32)
    rows = {name: tensor.detach() for name, tensor in by_reasoner(reasoner, batch).items()}
    leaf = rows["mnist_net"].requires_grad_()
    took = seconds_of(forward_backward(lambda: reasoner(rows), leaf))
    exact = draw(digits, 16, torch.float64)
    ours = reasoner(by_reasoner(reasoner, exact))[:, 0]
    hand = by_gather(exact)
    error = float(((ours - hand).abs() / hand.abs()).max().detach())
    return {
        "N": digits,
        "ground_s": ground_s,
        "compile_s": compile_s,
        "cache_s": cache_s,
        "ground_nodes": len(found.nodes),
        "circuit_nodes": len(compiled.circuit),
        "stage": compiled.stage,
        "queries_per_s": BATCH / took,
        "ms_per_query": 1e3 * took / BATCH,
        "error": error,
    }


def hand_row(digits: int, batch_size: int = 256) -> dict[str, float]:
    """Compares with the rivals written by hand, and with KLay on the same circuit."""
    goal, images = carry_goal(digits)
    reasoner = build_reasoner(load_program(CARRY), goal, images)
    batch = draw(digits, batch_size, torch.float32)
    rows = {name: tensor.detach() for name, tensor in by_reasoner(reasoner, batch).items()}
    leaf = rows["mnist_net"].requires_grad_()
    ours = seconds_of(forward_backward(lambda: reasoner(rows), leaf))
    einsum = seconds_of(forward_backward(lambda: by_einsum(batch), batch.log_probs))
    gather = seconds_of(forward_backward(lambda: by_gather(batch), batch.log_probs))
    return {
        "N": digits,
        "ours": batch_size / ours,
        "klay": batch_size / klay_seconds(reasoner, rows),
        "einsum": batch_size / einsum,
        "gather": batch_size / gather,
        "ratio_einsum": ours / einsum,
        "ratio_gather": ours / gather,
    }


def klay_seconds(reasoner: Reasoner, log_probs: dict[str, Tensor]) -> float:
    """Times KLay's own module on the same circuit and inputs."""
    sizes = [choice.size for choice in reasoner.ground_program.choices]
    exported, variables = to_klay(reasoner.compiled.circuit, sizes)
    module = exported.to_torch_module(semiring="log", compile=False)
    order = [reasoner.row_of[choice] + outcome for choice, outcome in variables]
    weights = reasoner.input_rows(log_probs)[order].T.contiguous().detach().requires_grad_()
    negative = torch.zeros_like(weights)
    return seconds_of(forward_backward(lambda: module(weights, negative), weights))


def table(rows: list[dict[str, Any]]) -> str:
    """Prints rows as a markdown table; what a row has not is left empty."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(row.get(name, "")) for name in head) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    if 0 < abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws cost against the number of digits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    digits = [row["N"] for row in rows]
    left.plot(digits, [row["ms_per_query"] for row in rows], "o-")
    left.set(xlabel="digits per number", ylabel="ms per query, both passes", ylim=(0, None))
    right.plot(
        digits,
        [row["ground_s"] + row["compile_s"] for row in rows],
        "o-",
        label="ground and compile",
    )
    right.plot(digits, [row["cache_s"] for row in rows], "s-", label="from the cache")
    right.set(xlabel="digits per number", ylabel="seconds")
    right.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Runs everything and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    where = circumstances("torch", "problog", "deepproblog", "PySDD", "klaycircuits")
    print(where, flush=True)
    results: dict[str, Any] = {"where": where, "batch": BATCH}
    results["carry"] = [carry_row(n) for n in (1, 2, 4, 8, 15, 30)]
    print(table(results["carry"]), flush=True)
    results["by_hand"] = [hand_row(n) for n in (1, 4, 15)]
    print(table(results["by_hand"]), flush=True)
    results["deepproblog"] = [against_deepproblog(n) for n in ((1,) if quick else (1, 2))]
    print(table(results["deepproblog"]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reasoning.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "reasoning.md").write_text(report(results))
    plot(results["carry"], RESULTS / "reasoning.png")


def report(results: dict[str, Any]) -> str:
    """Words the results as a page."""
    return f"""# Reasoning: speed and exactness

Made by `python -m benchmarks.reasoning`. {results["where"]}. All times are processor
time of one thread.

## Against DeepProbLog

Queries per second of addition with naive numbers of N digits, forward and backward, batch
{BATCH}, caches warm on both sides, the same network. `whole` is a training step with DeepProbLog's
MNIST network and Adam, `reasoning` the same with a table of beliefs instead of the network. At N=2
DeepProbLog's cache is warmed for {SUMS_AT_TWO_DIGITS} different sums only, for it compiles each one
for seconds; this engine answers all sums from one circuit. `network_alone` is the same step without
any reasoning: forward and backward of the network and Adam, in one batch as here; `network_ratio`,
its speed over DeepProbLog's whole step, is the most that `whole_ratio` could be.

{table(results["deepproblog"])}

## Cost against the number of digits

Addition with a carry, the sum observed, float32, batch {BATCH}; `error` is the largest relative
difference of the log-likelihood in float64 from a dynamic program written by hand.

{table(results["carry"])}

![cost against digits](reasoning.png)

## Against programs written by hand

Queries per second, forward and backward, batch 256, float32. `einsum` contracts a table per digit,
`gather` uses the sum's digits as plain numbers, `klay` is KLay's module on the same circuit. A
ratio is this engine's time over the rival's.

{table(results["by_hand"])}
"""


if __name__ == "__main__":
    main()
