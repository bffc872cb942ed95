"""What a program costs inside a training loop of one's own, beside DeepProbLog and DeepLog.

``python -m benchmarks.layer`` prints the tables and writes ``benchmarks/results/layer.json`` and
``.md``. ``--deeplog PYTHON`` names an interpreter in which pydeeplog 5 is installed; it asks for a
klaycircuits that cannot be installed beside ours. With ``--reasoning`` as well, only the table of
reasoning beside DeepLog is made anew. One thread, timed by the processor time of the
process, which other load on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import re
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.carry import CARRY
from benchmarks.machine import circumstances
from benchmarks.reasoning import NAIVE, RESULTS, table
from groundkit.layer.neural_program import NeuralProgram
from groundkit.layer.program_layer import ProgramLayer
from groundkit.perception.backbones import convnet

BATCHES = (64, 512)
LIMIT = 300
DEEPLOG = Path(__file__).parent / "layer_deeplog.py"


class Convnet(nn.Module):
    """The package's small convolutional network with ten outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = convnet((1, 28, 28), width=16)
        self.head = nn.Linear(self.body.features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, 1, 28, 28)`` images to ``(N, 10)`` logits."""
        return self.head(self.body(x))


def median(action: Callable[[], Any], least: float, warm: int = 2, fewest: int = 3) -> float:
    """Returns the median processor time of an action, repeated for ``least`` seconds."""
    for _ in range(warm):
        action()
    times: list[float] = []
    while sum(times) < least or len(times) < fewest:
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


def alternate(
    first: Callable[[], Any], second: Callable[[], Any], rounds: int
) -> tuple[float, float]:
    """Returns the median processor times of two actions that take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for action, found in zip((first, second), times, strict=True):
            start = time.process_time()
            action()
            if number:
                found.append(time.process_time() - start)
    return sorted(times[0])[rounds // 2], sorted(times[1])[rounds // 2]


def program_of(digits: int, net: nn.Module) -> NeuralProgram:
    """Returns N-digit addition with a network; from four digits on by carry."""
    networks = {"mnist_net": net}
    if digits >= 4:
        return NeuralProgram(CARRY, "addition(Xs, Ys, Zs)", networks, lists=["Zs"])
    names = [",".join(f"{letter}{i}" for i in range(digits)) for letter in "XY"]
    return NeuralProgram(NAIVE, f"addition([{names[0]}],[{names[1]}],Z)", networks)


def columns_of(digits: int, images: Tensor, totals: list[int]) -> dict[str, Any]:
    """Arranges ``(B, 2 N, ...)`` images and ``B`` sums as the goal's variables."""
    if digits >= 4:
        return {
            "Xs": list(images[:, :digits]),
            "Ys": list(images[:, digits:]),
            "Zs": [[int(d) for d in f"{total:0{digits + 1}d}"] for total in totals],
        }
    found: dict[str, Any] = {
        f"{letter}{i}": images[:, i + digits * (letter == "Y")].contiguous()
        for letter in "XY"
        for i in range(digits)
    }
    return {**found, "Z": totals}


def draw(digits: int, batch: int, different: int | None = None) -> tuple[Tensor, list[int]]:
    """Draws images of noise and possible sums, ``different`` ones at most."""
    generator = torch.Generator().manual_seed(digits)
    images = torch.randn(batch, 2 * digits, 1, 28, 28, generator=generator)
    highest = 2 * (10**digits - 1)
    pool = torch.randint(highest + 1, (different or batch,), generator=generator)
    return images, [int(pool[i % len(pool)]) for i in range(batch)]


def overhead(digits: int, batch: int) -> dict[str, float]:
    """Times a training step with the program's loss, and with a loss on the digits themselves."""
    torch.manual_seed(0)
    net = Convnet()
    model = program_of(digits, net)
    images, totals = draw(digits, batch)
    columns, flat = columns_of(digits, images, totals), images.flatten(0, 1)
    labels = torch.randint(10, (len(flat),))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train(loss: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return step

    with_program = train(lambda: -model.log_prob(**columns).mean())
    alone = train(lambda: nn.functional.cross_entropy(net(flat), labels))
    # Steps that alternate see the same machine.
    ours, bare = alternate(with_program, alone, rounds=max(5, 1200 // batch))
    return {
        "N": digits,
        "batch": batch,
        "steps_per_s": 1 / ours,
        "network_alone": 1 / bare,
        "overhead_%": 100 * (ours / bare - 1),
    }


def deepproblog_model(
    digits: int, net: nn.Module, images: Tensor
) -> tuple[Any, Callable[..., Any]]:
    """Returns DeepProbLog's model on some images, and what makes its queries.

    The program by carry has the observed digits of the sum as constants there.
    """
    from deepproblog.engines import ExactEngine
    from deepproblog.model import Model
    from deepproblog.network import Network
    from deepproblog.query import Query
    from problog.logic import Constant, Term, list2term

    module = nn.Sequential(net, nn.Softmax(1))
    network = Network(
        module, "mnist_net", torch.optim.Adam(module.parameters(), 1e-4), batching=True
    )
    by_carry = re.sub(r"nn\(given.*", "given(Z, Z).", CARRY.read_text())
    with contextlib.redirect_stdout(io.StringIO()):
        model = Model(by_carry if digits >= 4 else NAIVE, [network], load=False)
        model.set_engine(ExactEngine(model), cache=True)
    flat = images.flatten(0, 1)
    model.add_tensor_source("train", {(Constant(i),): image for i, image in enumerate(flat)})
    places = [Term(f"p{i}") for i in range(2 * digits)]

    def query(example: int, total: int) -> Any:
        given = [
            Term("tensor", Term("train", Constant(example * 2 * digits + i)))
            for i in range(2 * digits)
        ]
        numbers = list2term(places[:digits]), list2term(places[digits:])
        whole = [Constant(int(d)) for d in f"{total:0{digits + 1}d}"]
        answer = list2term(whole) if digits >= 4 else Constant(total)
        goal = Term("addition", *numbers, answer)
        return Query(goal, dict(zip(places, given, strict=True)))

    return model, query


def against_deepproblog(digits: int, batch: int) -> dict[str, float]:
    """Times whole training steps of both, the same network, few different sums."""
    from deepproblog.train import TrainObject

    torch.manual_seed(0)
    images, totals = draw(digits, batch, different=19 if digits == 1 else 6)
    model, query = deepproblog_model(digits, Convnet(), images)
    queries = [query(example, total) for example, total in enumerate(totals)]
    trainer, loss = TrainObject(model), model.solver.semiring.cross_entropy

    def theirs() -> None:
        model.optimizer.zero_grad()
        trainer.get_loss(queries, loss)
        model.optimizer.step()

    step = training_step(digits, images, totals)
    slow = median(theirs, 0.0, warm=1, fewest=1)
    return {
        "N": digits,
        "batch": batch,
        "deepproblog_steps_per_s": 1 / slow,
        "groundkit_steps_per_s": 1 / (fast := median(step, 1.0)),
        "ratio": slow / fast,
        "difference": difference(digits),
    }


def within(seconds: int, function: Callable[..., dict[str, Any]], n: int, b: int) -> dict[str, Any]:
    """Returns the row of N digits and a batch size, or that it took longer than so many seconds."""
    with multiprocessing.get_context("spawn").Pool(1, torch.set_num_threads, (1,)) as alone:
        try:
            return alone.apply_async(function, (n, b)).get(seconds)
        except multiprocessing.TimeoutError:
            return {"N": n, "batch": b, "failed": f"no step within {seconds} s"}


def difference(digits: int) -> float:
    """Returns the largest difference of probabilities, the same network in float64."""
    torch.manual_seed(1)
    net = Convnet().double()
    images, totals = draw(digits, 8, different=4)
    images = images.double()
    model, query = deepproblog_model(digits, net, images)
    queries = [query(example, total) for example, total in enumerate(totals)]
    theirs = [float(next(iter(r.result.values()))) for r in model.solve(queries)]
    ours = program_of(digits, net)
    with torch.no_grad():
        found = ours.log_prob(**columns_of(digits, images, totals)).exp()
    return float((found - torch.tensor(theirs, dtype=torch.float64)).abs().max())


def training_step(digits: int, images: Tensor, totals: list[int]) -> Callable[[], None]:
    """Returns a training step with the network."""
    model = program_of(digits, Convnet())
    columns = columns_of(digits, images, totals)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        (-model.log_prob(**columns).mean()).backward()
        optimizer.step()

    return step


def reasoning_step(digits: int, chances: Tensor, totals: list[int]) -> Callable[[], None]:
    """Returns a step forward and backward from a table of log-probabilities in float32.

    By carry the digits of the sum are a table of their own, as for DeepLog.
    """
    by_carry = digits >= 4
    names = [f"{letter}{i}" for letter in "XY" for i in range(digits)]
    whole = [f"Z{i}" for i in range(digits + 1)] if by_carry else []
    numbers = [f"[{','.join(part)}]" for part in (names[:digits], names[digits:], whole)]
    goal = f"addition({numbers[0]},{numbers[1]},{numbers[2] if by_carry else 'Z'})"
    layer = ProgramLayer(CARRY if by_carry else NAIVE, goal, inputs=[*names, *whole])
    places = [names.index(name) for (name,) in layer.slots["mnist_net"]]
    beliefs = chances[:, places].float().log().requires_grad_()
    tables = {"mnist_net": beliefs}
    if by_carry:
        shown = torch.tensor([[int(d) for d in f"{total:0{digits + 1}d}"] for total in totals])
        order = [whole.index(name) for (name,) in layer.slots["given"]]
        tables["given"] = nn.functional.one_hot(shown[:, order], 10).float().log()
    observed: dict[str, Any] = {} if by_carry else {"Z": totals}

    def step() -> None:
        beliefs.grad = None
        (-layer.log_prob(tables, **observed).mean()).backward()

    return step


def against_deeplog(
    python: str, digits: int, batch: int, *, reasoning: bool = False
) -> dict[str, Any]:
    """Times a step in DeepLog's own interpreter, and compares probabilities of all sums.

    With ``reasoning`` there is no network, and the first step is timed too, by the clock on the
    wall, for it starts processes.
    """
    torch.manual_seed(0)
    images, totals = draw(digits, batch)
    chances = torch.softmax(torch.randn(batch, 2 * digits, 10, dtype=torch.float64), -1)
    with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, GROUNDKIT_CACHE=empty):
        start = time.perf_counter()
        step = (
            reasoning_step(digits, chances, totals)
            if reasoning
            else training_step(digits, images, totals)
        )
        step()
        cold = time.perf_counter() - start
    ours_s = median(step, 1.0)
    reader = program_of(digits, nn.Identity())
    ours = reader.log_prob(**columns_of(digits, chances.log(), totals)).exp()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.json"
        given = {"digits": digits, "batch": batch, "totals": totals, "chances": chances.tolist()}
        given["reasoning"] = reasoning
        file.write_text(json.dumps(given))
        done = subprocess.run(
            [python, str(DEEPLOG), str(file)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        return {"N": digits, "batch": batch, "failed": done.stderr.strip().splitlines()[-1]}
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    gap = (ours - torch.tensor(theirs["probabilities"], dtype=torch.float64)).abs().max()
    first = {"deeplog_first_s": theirs["cold_s"], "groundkit_first_s": cold} if reasoning else {}
    return {
        "N": digits,
        "batch": batch,
        "deeplog_steps_per_s": 1 / theirs["step_s"],
        "groundkit_steps_per_s": 1 / ours_s,
        "ratio": theirs["step_s"] / ours_s,
        **first,
        "difference": float(gap),
    }


def report(results: dict[str, Any]) -> str:
    """Words the results as a page."""
    deeplog = ""
    if results.get("deeplog"):
        deeplog = f"""
## Against DeepLog

pydeeplog {results["deeplog_version"]} in an interpreter of its own, same network and sizes;
N = 4 adds with a carry on both sides. `difference` is the largest one between the probabilities of
the batch's sums, from the same log-probabilities in float64.

{table(results["deeplog"])}

### Reasoning alone

The same without a network: forward and backward from a table of probabilities, in float32.
`first` is the first step, with nothing compiled before, by the clock on the wall.
{results["reasoning_where"]}.

{table(results["deeplog_reasoning"])}
"""
    return f"""# A program in one's own training loop

Made by `python -m benchmarks.layer`. {results["where"]}. All times are processor time of one
thread. The network is the package's small convnet at width 16 on 28 x 28 images, trained with Adam.

## What the loss adds

`steps_per_s` is a training step with `NeuralProgram`, `network_alone` the same network on the same
images with cross-entropy on its own outputs; single steps of both alternate. N = 1 and 2 are naive
numbers, N = 4 adds with a carry and gives the digits of the sum.

{table(results["overhead"])}

## Against DeepProbLog

Whole training steps with the same network; DeepProbLog's is the second one on the batch, with its
cache warm (19 different sums at N = 1, 6 from N = 2 on, where it compiles each for seconds).
`difference` is the largest one between probabilities in float64.

{table(results["deepproblog"])}
{deeplog}"""


def reasoning_alone(python: str, batches: Sequence[int]) -> dict[str, Any]:
    """Compares reasoning with DeepLog's."""
    sizes = [(n, b) for n in (1, 2, 4, 15) for b in batches]
    rows = [against_deeplog(python, *size, reasoning=True) for size in sizes]
    print(table(rows), flush=True)
    return {"deeplog_reasoning": rows, "reasoning_where": circumstances("torch", "problog")}


def write(results: dict[str, Any]) -> None:
    """Writes rows and page."""
    (RESULTS / "layer.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "layer.md").write_text(report(results))


def main() -> None:
    """Runs everything and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deeplog", metavar="PYTHON", help="interpreter that has pydeeplog 5")
    parser.add_argument("--quick", action="store_true", help="batches of 64 only")
    parser.add_argument("--reasoning", action="store_true", help="that table with DeepLog only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    batches = BATCHES[:1] if given.quick else BATCHES
    results: dict[str, Any]
    if given.reasoning:
        results = json.loads((RESULTS / "layer.json").read_text())
        write(results | reasoning_alone(given.deeplog, batches))
        return
    where = circumstances("torch", "problog", "deepproblog", "PySDD", "klaycircuits")
    results = {"where": where}
    results["overhead"] = [overhead(n, b) for n in (1, 2, 4) for b in batches]
    print(table(results["overhead"]), flush=True)
    results["deepproblog"] = [
        within(LIMIT, against_deepproblog, n, b) for n in (1, 2, 4) for b in batches
    ]
    print(table(results["deepproblog"]), flush=True)
    if given.deeplog:
        command = "from importlib.metadata import version; print(version('pydeeplog'))"
        named = subprocess.run(
            [given.deeplog, "-c", command], capture_output=True, text=True, check=True
        )
        results["deeplog_version"] = named.stdout.strip()
        sizes = [(n, b) for n in (1, 2, 4) for b in batches]
        results["deeplog"] = [against_deeplog(given.deeplog, *size) for size in sizes]
        print(table(results["deeplog"]), flush=True)
        results |= reasoning_alone(given.deeplog, batches)
    write(results)


if __name__ == "__main__":
    main()
