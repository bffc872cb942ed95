"""How fast and how reliably the relabelling search finds the right names.

    python benchmarks/reground.py --seeds 5

Noisy predictions of known symbols under shuffled names: 1,000 queries, the true program as the
scorer. "right" counts the seeds on which the names come back exactly; "likelier" those on which
the names found are at least as likely as the true ones, which noise makes possible. Sudoku treats
its symbols alike, so all of its namings tie. The table goes to benchmarks/results/reground.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.naming.relabelling import Regrounder
from groundkit.naming.scorers import Queries
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from groundkit.task.load import read_task

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / "programs"


@dataclass(frozen=True)
class Case:
    """A goal with the networks to rename."""

    name: str
    reasoner: Reasoner
    domains: dict[str, tuple[str, ...]]


def written(name: str) -> Case:
    """A program of programs/."""
    task = read_task(PROGRAMS / f"{name}.pl")
    reasoner = task.goals[0].reasoner
    return Case(name, reasoner, {n: task.domains[n] for n in reasoner.slots})


def wide(size: int, calls: int) -> Case:
    """Addition over a wide domain, the sum observed or, with three calls, seen as an image."""
    domain = ",".join(str(value) for value in range(size))
    last = "digit(Z, C), C is A+B" if calls == 3 else "Z is A+B"
    program = parse_program(
        f"nn(net, [X], Y, [{domain}]) :: digit(X, Y).\n"
        f"add(X, Y, Z) :- digit(X, A), digit(Y, B), {last}.\n"
    )
    images = ["X", "Y", "Z"][:calls]
    reasoner = build_reasoner(program, parse_goal("add(X, Y, Z)"), images)
    kind = "all seen" if calls == 3 else "sum observed"
    return Case(f"addition, {size} symbols, {kind}", reasoner, {"net": tuple(domain.split(","))})


CARRIES = """
nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
sum([], [], [], 0).
sum([X|Xs], [Y|Ys], [Z|Zs], C) :-
    sum(Xs, Ys, Zs, C0), digit(X, A), digit(Y, B),
    S is A+B+C0, D is S mod 10, C is S // 10, digit(Z, D).
addition(Xs, Ys, [Z|Zs]) :- sum(Xs, Ys, Zs, C), digit(Z, C).
"""


def long(digits: int) -> Case:
    """Addition of long numbers, all of whose digits are images."""
    program = parse_program(CARRIES)
    lists = [[f"{row}{n}" for n in range(digits + (row == "Z"))] for row in "XYZ"]
    goal = ", ".join(f"[{', '.join(names)}]" for names in lists)
    reasoner = build_reasoner(
        program, parse_goal(f"addition({goal})"), [n for names in lists for n in names]
    )
    name = f"addition of {digits}-digit numbers, all seen"
    return Case(name, reasoner, {"net": tuple(program.networks["net"].domain)})


def predictions(
    case: Case, count: int, accuracy: float, rng: np.random.Generator
) -> tuple[dict[str, Tensor], Tensor, dict[str, tuple[int, ...]]]:
    """Noisy predictions under shuffled names, answers, and the permutations back."""
    worlds = case.reasoner.sample(count, rng)
    log_probs, back = {}, {}
    for network, domain in case.domains.items():
        true = np.asarray(worlds.values[network])
        size = len(domain)
        wrong = rng.random(true.shape) > accuracy
        seen = np.where(wrong, rng.integers(size, size=true.shape), true)
        logits = 1.5 * rng.normal(size=(*true.shape, size)) + 7 * np.eye(size)[seen]
        order = rng.permutation(size)
        log_probs[network] = torch.log_softmax(torch.as_tensor(logits), -1)[..., order]
        back[network] = tuple(np.argsort(order).tolist())
    return log_probs, torch.as_tensor(worlds.answers), back


def row(case: Case, seeds: int, accuracy: float) -> str:
    """A row of the table."""
    search = Regrounder([case.reasoner], case.domains)
    seconds, right, likelier, method = [], 0, 0, ""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        log_probs, answers, back = predictions(case, 1000, accuracy, rng)
        start = time.perf_counter()
        found = search([Queries(log_probs, answers)], rng=rng)
        seconds.append(time.perf_counter() - start)
        right += dict(found.permutations) == back
        renamed = {n: values[..., list(back[n])] for n, values in log_probs.items()}
        true = search([Queries(renamed, answers)], rng=rng, budget=1).before
        likelier += found.after >= true - 1e-9
        method = found.method
    print(case.name, accuracy, right, f"{np.median(seconds):.2f} s", flush=True)
    return (
        f"| {case.name} | {accuracy:.0%} | {right} of {seeds} | {likelier} of {seeds} | "
        f"{np.median(seconds):.2f} | {max(seconds):.2f} | {method} |\n"
    )


def main() -> None:
    """Makes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = [written(n) for n in ("addition", "sum", "product", "maximum", "arithmetic", "sudoku")]
    cases += [wide(20, 2), wide(20, 3), wide(50, 2), wide(50, 3), long(2), long(4)]
    rows = [row(case, options.seeds, accuracy) for case in cases for accuracy in (0.95, 0.7)]
    text = (
        "# Searching names\n\n"
        f"Made by `python benchmarks/reground.py --seeds {options.seeds}` on one core of "
        f"{platform.machine()}, Python {platform.python_version()}; 1,000 queries, all names "
        'shuffled at random. "Likelier": the names found are at least as likely as the true ones. '
        "Sudoku\ntreats its four symbols alike, so all 24 namings tie.\n\n"
        "| goal | accuracy of clusters | right | likelier | median s | slowest s | method |\n"
        f"|---|---|---|---|---|---|---|\n{''.join(rows)}"
    )
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "reground.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
