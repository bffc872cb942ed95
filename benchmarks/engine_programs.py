"""Programs that a compiler finds hard or easy for different reasons, written for any size.

Each is a plain ProbLog program with its ``query/1`` facts, so that ProbLog's own command and
groundkit answer the same text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path


def bayesian_network(nodes: int, seed: int = 0) -> str:
    """A Boolean network, two parents of the eight nodes before each, with evidence on five."""
    rng = random.Random(seed)
    lines = []
    for node in range(nodes):
        before = list(range(max(0, node - 8), node))
        parents = sorted(rng.sample(before, min(2, len(before))))
        for row in range(1 << len(parents)):
            body = [("" if row >> i & 1 else "\\+") + f"n{p}" for i, p in enumerate(parents)]
            rule = f" :- {', '.join(body)}" if body else ""
            lines.append(f"{rng.uniform(0.05, 0.95):.3f}::n{node}{rule}.")
    told = rng.sample(range(nodes // 2, nodes - 1), 5)
    lines += [f"evidence(n{node},{rng.choice(['true', 'false'])})." for node in told]
    return "\n".join([*lines, f"query(n{nodes - 1}).", f"query(n{nodes // 4})."])


def match(pairs: int) -> str:
    """Some pair of facts meets, known that some first one holds: the order of facts is bad."""
    first = [f"0.{i % 8 + 1}::a({i})." for i in range(pairs)]
    second = [f"0.{i % 7 + 2}::b({i})." for i in range(pairs)]
    rules = ["meets :- a(X), b(X).", "some :- a(_).", "evidence(some).", "query(meets)."]
    return "\n".join([*first, *second, *rules])


def chain(steps: int) -> str:
    """A Markov chain of three states."""
    return (
        "0.5::state(0,a); 0.3::state(0,b); 0.2::state(0,c).\n"
        "0.7::state(T,a); 0.2::state(T,b); 0.1::state(T,c) :- T > 0, P is T-1, state(P,a).\n"
        "0.3::state(T,a); 0.4::state(T,b); 0.3::state(T,c) :- T > 0, P is T-1, state(P,b).\n"
        "0.2::state(T,a); 0.2::state(T,b); 0.6::state(T,c) :- T > 0, P is T-1, state(P,c).\n"
        f"query(state({steps},a)).\n"
    )


def hidden_chain(steps: int, seed: int = 0) -> str:
    """A hidden Markov model of two states, every step observed."""
    rng = random.Random(seed)
    told = "\n".join(
        f"evidence(sees({t}),{rng.choice(['true', 'false'])})." for t in range(steps + 1)
    )
    return (
        "0.5::state(0,sun); 0.5::state(0,rain).\n"
        "0.8::state(T,sun); 0.2::state(T,rain) :- T > 0, P is T-1, state(P,sun).\n"
        "0.4::state(T,sun); 0.6::state(T,rain) :- T > 0, P is T-1, state(P,rain).\n"
        "0.1::sees(T) :- state(T,sun).\n0.7::sees(T) :- state(T,rain).\n"
        f"{told}\nquery(state({steps},rain)).\n"
    )


def grid(side: int) -> str:
    """Whether two corners of a grid with unreliable edges are connected."""
    lines = []
    for row in range(side):
        for column in range(side):
            if column + 1 < side:
                lines.append(f"0.8::edge(c({row},{column}),c({row},{column + 1})).")
            if row + 1 < side:
                lines.append(f"0.8::edge(c({row},{column}),c({row + 1},{column})).")
    rules = [
        "linked(X,Y) :- edge(X,Y).",
        "linked(X,Y) :- edge(Y,X).",
        "path(X,X).",
        "path(X,Y) :- linked(X,Z), path(Z,Y).",
        f"query(path(c(0,0),c({side - 1},{side - 1}))).",
    ]
    return "\n".join([*lines, *rules])


def smokers(people: int, seed: int = 0) -> str:
    """Friends influence each other: a cyclic program."""
    rng = random.Random(seed)
    friends = {(i, (i + 1) % people) for i in range(people)}
    friends |= {(i, rng.randrange(people)) for i in range(people) if i % 3 == 0}
    lines = [f"person({i})." for i in range(people)]
    lines += [f"friend({i},{j})." for i, j in sorted(friends) if i != j]
    rules = [
        "0.3::stress(X) :- person(X).",
        "0.2::influences(X,Y) :- person(X), person(Y).",
        "smokes(X) :- stress(X).",
        "smokes(X) :- friend(X,Y), influences(Y,X), smokes(Y).",
        "0.4::asthma(X) :- smokes(X).",
        "evidence(smokes(1),true).",
        "query(asthma(0)).",
    ]
    return "\n".join([*lines, *rules])


def noisy_or(causes: int) -> str:
    """One effect of many causes, and one of every second, both asked together."""
    lines = [f"0.{i % 9 + 1}::cause({i})." for i in range(causes)]
    lines += [
        "0.3::works(X) :- cause(X).",
        "0.6::other(X) :- cause(X), 0 is X mod 2.",
        "effect :- works(_).",
        "side :- other(_).",
        "both :- effect, side.",
        "query(both).",
    ]
    return "\n".join(lines)


def hamming(bits: int, *, findall: bool = False) -> str:
    """The distribution of the number of differences of two words of ``bits`` noisy bits."""
    lines = [f"0.{i % 8 + 1}::x({i}). 0.{i % 6 + 2}::y({i})." for i in range(bits)]
    lines += ["differ(I) :- x(I), \\+y(I).", "differ(I) :- y(I), \\+x(I)."]
    if findall:
        lines += [
            f"differing(N) :- findall(I, (between(0,{bits - 1},I), differ(I)), L), length(L,N).",
            "query(differing(N)).",
        ]
        return "\n".join(lines)
    lines += [
        "count(0,0).",
        "count(T,N) :- T > 0, P is T-1, count(P,M), differ(P), N is M+1.",
        "count(T,N) :- T > 0, P is T-1, count(P,N), \\+differ(P).",
        f"query(count({bits},N)).",
    ]
    return "\n".join(lines)


def digits(expression: str, names: str, values: int = 10) -> str:
    """The distribution of an expression over digits of unknown value: ``A*10+B`` of ``AB``."""
    heads = "; ".join(f"1/{values}::digit(I,{value})" for value in range(values))
    reads = ", ".join(f"digit({name.lower()},{name})" for name in names)
    return (
        f"{heads} :- image(I).\n"
        + "".join(f"image({name.lower()}).\n" for name in names)
        + f"result(R) :- {reads}, R is {expression}.\nquery(result(R)).\n"
    )


def shortest_path(side: int) -> str:
    """Which cells the cheapest way through a grid takes, three prices a cell, right and down."""
    cells = [(row, column) for row in range(side) for column in range(side)]
    lines = ["0.5::cost(R,C,1); 0.3::cost(R,C,2); 0.2::cost(R,C,3) :- cell(R,C)."]
    lines += [f"cell({row},{column})." for row, column in cells]
    lines += [
        "least(0,0,N) :- cost(0,0,N).",
        "least(0,C,N) :- C > 0, D is C-1, least(0,D,M), cost(0,C,K), N is M+K.",
        "least(R,0,N) :- R > 0, S is R-1, least(S,0,M), cost(R,0,K), N is M+K.",
        "least(R,C,N) :- R > 0, C > 0, S is R-1, D is C-1, least(S,C,A), least(R,D,B),",
        "    M is min(A,B), cost(R,C,K), N is M+K.",
        f"query(least({side - 1},{side - 1},N)).",
    ]
    return "\n".join(lines)


def sudoku(box: int) -> str:
    """How probable it is that a random grid of ``box**4`` cells is a sudoku."""
    side = box * box
    groups = [
        *([(row, column) for column in range(side)] for row in range(side)),
        *([(row, column) for row in range(side)] for column in range(side)),
        *(
            [(top + i, left + j) for i in range(box) for j in range(box)]
            for top in range(0, side, box)
            for left in range(0, side, box)
        ),
    ]
    pairs = {(a, b) for group in groups for a in group for b in group if a < b}
    lines = ["; ".join(f"1/{side}::v(C,{n + 1})" for n in range(side)) + " :- cell(C)."]
    lines += [f"cell(c{row}_{column})." for row in range(side) for column in range(side)]
    lines += [f"clash :- v(c{a}_{b},D), v(c{c}_{d},D)." for (a, b), (c, d) in sorted(pairs)]
    return "\n".join([*lines, "solved :- \\+clash.", "query(solved)."])


def shipped(name: str, choices: dict[str, Sequence[str]], more: Sequence[str]) -> str:
    """One of the programs of this package, its networks replaced by uniform choices.

    Args:
        name: Its file in ``programs``.
        choices: Neural predicate -> its symbols.
        more: Further lines.
    """
    text = (Path(__file__).parent.parent / "programs" / f"{name}.pl").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("nn(")]
    for predicate, symbols in choices.items():
        heads = (f"1/{len(symbols)}::{predicate}(X,{symbol})" for symbol in symbols)
        lines.append("; ".join(heads) + " :- image(X).")
    return "\n".join([*lines, *more])


def formula(length: int) -> str:
    """The distribution of a formula's value: digits and operators in turn."""
    images = [f"x{i}" for i in range(length)]
    return shipped(
        "hwf",
        {"digit": "123456789", "operator": "+-*/"},
        [*(f"image({i})." for i in images), f"query(formula([{','.join(images)}],V))."],
    )


def kinship(sentences: int) -> str:
    """How the first person of a story is related to the last."""
    words = ["child", "parent", "sibling", "spouse", "grandchild", "grandparent"]
    images = [f"x{i}" for i in range(sentences)]
    return shipped(
        "clutrr",
        {"word": words},
        [
            *(f"image({i})." for i in images),
            *(f"told({i},p{i},p{i + 1})." for i in range(sentences)),
            f"query(kin([{','.join(images)}],p0,p{sentences},R)).",
        ],
    )


PROGRAMS: dict[str, Callable[[], str]] = {
    "BN 80": lambda: bayesian_network(80),
    "BN 120": lambda: bayesian_network(120),
    "BN 200": lambda: bayesian_network(200),
    "match 18": lambda: match(18),
    "chain 200": lambda: chain(200),
    "chain 1000": lambda: chain(1000),
    "HMM 200": lambda: hidden_chain(200),
    "HMM 1000": lambda: hidden_chain(1000),
    "grid 4x4": lambda: grid(4),
    "grid 5x5": lambda: grid(5),
    "grid 6x6": lambda: grid(6),
    "smokers 18": lambda: smokers(18),
    "noisy-or 200": lambda: noisy_or(200),
    "Hamming 20": lambda: hamming(20),
    "Hamming 20 by findall": lambda: hamming(20, findall=True),
    "multiplication 2 digits": lambda: digits("A*B", "AB"),
    "multiplication 4 digits": lambda: digits("(A*10+B)*(C*10+D)", "ABCD"),
    "three numbers": lambda: digits("A+B+C", "ABC"),
    "naive addition N=3": lambda: digits("A*100+B*10+C+D*100+E*10+F", "ABCDEF"),
    "shortest path 4x4": lambda: shortest_path(4),
    "shortest path 6x6": lambda: shortest_path(6),
    "shortest path 12x12": lambda: shortest_path(12),
    "sudoku 4x4": lambda: sudoku(2),
    "sudoku 9x9": lambda: sudoku(3),
    "HWF 5": lambda: formula(5),
    "HWF 7": lambda: formula(7),
    "CLUTRR 10": lambda: kinship(10),
}
"""By the name in the table."""
