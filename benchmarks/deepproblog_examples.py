"""DeepProbLog's own example programs, unchanged, through this engine and through its own.

``python -m benchmarks.deepproblog_examples`` reads the ``.pl`` files that DeepProbLog's package
carries, asks each a small goal, and compares probabilities and gradients of random network outputs.
It writes ``results/deepproblog_examples.json`` and ``.md``; rows that are there are kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepproblog
import torch

from benchmarks.machine import circumstances, commit
from benchmarks.rows import RESULTS, keep, read
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.deepproblog.engine import build_deepproblog_reasoner
from groundkit.errors import GroundkitError
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import load_program

EXAMPLES = Path(deepproblog.__file__).parent / "examples"
LIMITS = Limits(120.0)


@dataclass(frozen=True)
class Example:
    """A program with a goal of it.

    Attributes:
        file: The program, below DeepProbLog's folder of examples.
        goal: The goal.
        images: Which of its variables are inputs.
    """

    file: str
    goal: str
    images: tuple[str, ...]


ASKED = (
    Example("minimal/addition.pl", "addition(X,Y,Z)", ("X", "Y")),
    Example("MNIST/models/addition.pl", "addition(X,Y,Z)", ("X", "Y")),
    Example("MNIST/models/addition.pl", "multi_addition([X],[Y],Z)", ("X", "Y")),
    Example("MNIST/models/all_digit_addition.pl", "addition(X,Y,Z)", ("X", "Y", "Z")),
    Example("MNIST/models/any_sum.pl", "anysum([[A,B],[C,D]],R)", ("A", "B", "C", "D")),
    Example("MNIST/models/noisy_addition.pl", "addition_noisy(X,Y,Z)", ("X", "Y")),
    Example("Coins/model.pl", "game(X,R)", ("X",)),
    Example("HWF/model.pl", "expression([A,O,B],R)", ("A", "O", "B")),
    Example("Poker/model.pl", "game([A,B,C,D],R)", ("A", "B", "C", "D")),
    Example("Forth/Add/choose.pl", "add([A],[B],C,R)", ("A", "B", "C")),
    Example("Forth/Sort/compare.pl", "forth_sort([A,B,C],L)", ("A", "B", "C")),
    Example("Forth/Sort/quicksort.pl", "forth_sort([A,B,C],L)", ("A", "B", "C")),
    Example("Forth/WAP/wap.pl", "wap(T,3,2,1,R)", ("T",)),
    Example("CLUTRR/model.pl", "clutrr_text(T,X,R,Y)", ("T",)),
    Example("CLUTRR/model_forward.pl", "clutrr_text(E,T,X,R,Y)", ("T",)),
)


def difference(ours: Reasoner, theirs: Any) -> float:
    """Returns the largest difference of a log-probability or of one of its derivatives."""
    generator = torch.Generator().manual_seed(0)
    count = min(8, len(ours.answers))
    logits = {
        name: torch.randn(
            count, len(calls), ours.sizes[name], generator=generator, dtype=torch.float64
        ).requires_grad_()
        for name, calls in ours.slots.items()
        if calls
    }
    answers = torch.randperm(len(ours.answers), generator=generator)[:count]
    found = []
    for reasoner in (ours, theirs):
        log_probs = {name: tensor.log_softmax(-1) for name, tensor in logits.items()}
        likelihood = reasoner.log_likelihood(log_probs, answers)
        wanted = [*logits.values(), *reasoner.parameters()]
        if likelihood.requires_grad:
            slopes = torch.autograd.grad(likelihood.sum(), wanted)
        else:  # certain whatever the networks say
            slopes = tuple(torch.zeros_like(one) for one in wanted)
        found.append([likelihood, *slopes])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def judge(example: Example) -> dict[str, Any]:
    """Asks one example of both engines."""
    row: dict[str, Any] = {"file": example.file, "goal": example.goal}
    try:
        program = load_program(EXAMPLES / example.file)
        goal = parse_goal(example.goal)
        ours = build_reasoner(program, goal, example.images, limits=LIMITS)
        row |= {"answers": len(ours.answers), "nodes": len(ours.compiled.circuit)}
    except GroundkitError as error:
        told = str(error).replace(str(EXAMPLES), "")
        return row | {"verdict": "refused", "reason": told}
    try:
        theirs = build_deepproblog_reasoner(program, goal, example.images)
        row["difference"] = difference(ours, theirs)
    except GroundkitError as error:
        return row | {"verdict": "answered; DeepProbLog's engine is not", "reason": str(error)}
    return row | {"verdict": "equal" if row["difference"] < 1e-9 else "differs"}


def main() -> None:
    """Asks all examples and writes the table."""
    file = RESULTS / "deepproblog_examples.json"
    rows = read(file)
    known = {(row["file"], row["goal"]) for row in rows}
    for example in ASKED:
        if (example.file, example.goal) not in known:
            here = {"commit": commit(), "where": circumstances("deepproblog", "problog")}
            rows.append(judge(example) | here)
            keep(rows[-1], file, "file", "goal")
            print(json.dumps(rows[-1]), flush=True)
    where = rows[-1]["where"]
    lines = [
        f"| {row['file']} | `{row['goal']}` | {row['verdict']} | {row.get('answers', '')} | "
        f"{row.get('nodes', '')} | {_detail(row)} |"
        for row in rows
    ]
    newline = "\n"
    (RESULTS / "deepproblog_examples.md").write_text(f"""# DeepProbLog's example programs

`python -m benchmarks.deepproblog_examples`, {where}. The files of DeepProbLog's package, unchanged.
Equal: log-probabilities and their derivatives differ from those of DeepProbLog's own engine by less
than 1e-9, on random network outputs and up to eight answers.

| program | goal | verdict | answers | nodes | detail |
|---|---|---|--:|--:|---|
{newline.join(lines)}
""")


def _detail(row: dict[str, Any]) -> str:
    if "difference" in row:
        return f"differs by {row['difference']:.0e}"
    return " ".join(row["reason"].split()).replace("|", "/")


if __name__ == "__main__":
    main()
