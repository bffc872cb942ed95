"""Shipped programs whose images are read by several networks, or stand in lists of any length.

The meaning of each is written once more in Python. Certain symbols give that meaning's answer, and
the numbers of symbol maps that the programs' pages name are counted by trying all of them.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from problog.engine import DefaultEngine
from problog.logic import Constant, Term
from problog.program import PrologString

from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.data.sources import load_data
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

PROGRAMS = Path(__file__).parents[2] / "programs"
SHAPES, COLOURS = ("circle", "square", "triangle", "star"), ("red", "green", "blue", "yellow")
CORNERS = dict(zip(SHAPES, (1, 4, 3, 5), strict=True))
FACTORS = dict(zip(COLOURS, (1, 2, 7, 11), strict=True))
KANDINSKY = (("circle", "square", "triangle"), ("red", "yellow", "blue"))
BOTH = ("true", "false")
LEAVES = (
    ("entire", "toothed", "lobed"),
    ("narrow", "oval", "round"),
    ("plain", "veined", "spotted"),
)

Symbols = tuple[str, ...]


def points(objects: Sequence[Symbols]) -> Symbols:
    return (str(sum(CORNERS[shape] * FACTORS[colour] for shape, colour in objects)),)


def figure(objects: Sequence[Symbols]) -> Symbols:
    return tuple(str(len({thing[k] for thing in objects})) for k in (0, 1))


def drive(views: Sequence[Symbols]) -> Symbols:
    red, obstacle, pedestrian = (concept == "true" for concept in views[0])
    move = "stop" if red or pedestrian else "swerve" if obstacle else "go"
    return move, "long" if pedestrian else "short" if obstacle else "quiet"


def act(views: Sequence[Symbols]) -> Symbols:
    return ("stop" if "true" in views[0] else "go",)


def plant(leaves: Sequence[Symbols]) -> Symbols:
    margin, shape, surface = leaves[0]
    names = {
        "lobed": {"narrow": "dandelion", "oval": "oak", "round": "maple"},
        "toothed": {"narrow": "willow", "oval": "", "round": "birch"},
        "entire": {"narrow": "olive", "oval": "", "round": "lilac"},
    }
    toothed = {"veined": "beech", "plain": "cherry", "spotted": "cherry"}
    entire = {"plain": "laurel", "veined": "dogwood", "spotted": "lungwort"}
    return (names[margin][shape] or (toothed if margin == "toothed" else entire)[surface],)


def total(digits: Sequence[Symbols]) -> Symbols:
    return (str(sum(int(d) for (d,) in digits)),)


def ordered(digits: Sequence[Symbols]) -> Symbols | None:
    values = [int(d) for (d,) in digits]
    return () if values == sorted(values) else None


def word(letters: Sequence[Symbols]) -> Symbols | None:
    text = "".join(letter for (letter,) in letters)
    blocks = [text.count(letter) for letter in "abc"]
    if text != "".join(n * letter for n, letter in zip(blocks, "abc", strict=True)) or 0 in blocks:
        return None
    return ("yes" if len(set(blocks)) == 1 else "no",)


def formula(symbols: Sequence[Symbols]) -> Symbols:
    text = [s for (s,) in symbols]
    parts = [f"Fraction({s})" if s.isdigit() else s for s in text]
    return (str(eval("".join(parts), {"Fraction": Fraction})),)


# Program and goal's name -> networks in the order of a joint symbol, symbols, meaning, lengths.
CASES: dict[str, tuple[tuple[str, ...], tuple[Symbols, ...], Callable, Sequence[int]]] = {
    "concepts.points": (("shape_net", "colour_net"), (SHAPES, COLOURS), points, (1, 2, 3)),
    "kandinsky.figure": (("shape_net", "colour_net"), KANDINSKY, figure, (2, 3, 4)),
    "road.drive": (("red_net", "obstacle_net", "pedestrian_net"), (BOTH,) * 3, drive, (0,)),
    "road.act": (("red_net", "obstacle_net"), (BOTH,) * 2, act, (0,)),
    "leaf.plant": (("margin_net", "shape_net", "surface_net"), LEAVES, plant, (0,)),
    "total.total": (("mnist_net",), (tuple("0123456789"),), total, (1, 2, 6)),
    "sort.ordered": (("mnist_net",), (tuple("0123456789"),), ordered, (0, 1, 3, 5)),
    "anbncn.word": (("letter_net",), (tuple("abc"),), word, (3, 6, 9)),
}
OUTPUTS = {
    "points": "P", "figure": "SC", "drive": "MH", "act": "M", "plant": "P", "total": "N",
    "ordered": "", "word": "V", "formula": "V",
}  # fmt: skip


@cache
def reasoner_of(case: str, length: int) -> tuple[Reasoner, tuple[str, ...]]:
    """Compiles a goal over so many images; a length of 0 is a single image outside of a list."""
    file, name = case.split(".")
    images = tuple(f"X{i}" for i in range(max(length, 1) if name in SINGLE else length))
    inputs = images[0] if name in SINGLE else f"[{','.join(images)}]"
    goal = f"{name}({', '.join((inputs, *OUTPUTS[name]))})"
    path = PROGRAMS / f"{file}.pl"
    return build_reasoner(parse_program(path.read_text(), path), parse_goal(goal), images), images


SINGLE = ("drive", "act", "plant")


def answers(
    reasoner: Reasoner, networks: Sequence[str], worlds: Sequence[dict[str, Symbols]]
) -> list[Symbols | None]:
    """What each world of certain symbols answers: image -> its symbol for each network."""
    rows = {}
    for network, calls in reasoner.slots.items():
        domain = reasoner.program.networks[network].domain
        hot = torch.full((len(worlds), len(calls), len(domain)), -torch.inf, dtype=torch.float64)
        for row, world in enumerate(worlds):
            for slot, (image,) in enumerate(calls):
                hot[row, slot, domain.index(world[image][networks.index(network)])] = 0.0
        rows[network] = hot
    found = reasoner(rows).exp()
    certain = (found > 0.5).double()
    assert torch.allclose(found, certain, atol=1e-9) and certain.sum(1).max() <= 1
    return [reasoner.answers[int(row.argmax())] if row.max() > 0.5 else None for row in certain]


def some_worlds(joint: list[Symbols], images: Sequence[str], most: int = 120):
    every = itertools.product(joint, repeat=len(images))
    if len(joint) ** len(images) > most:
        rng = np.random.default_rng(0)
        every = (
            [joint[k] for k in rng.integers(len(joint), size=len(images))] for _ in range(most)
        )
    return [dict(zip(images, world, strict=True)) for world in every]


@pytest.mark.parametrize("case", CASES)
def test_certain_symbols_give_the_answer_a_person_gives(case: str) -> None:
    networks, symbols, meaning, lengths = CASES[case]
    joint = list(itertools.product(*symbols))
    for length in lengths:
        if case == "sort.ordered" and length < 2:
            continue  # nothing is compared
        reasoner, images = reasoner_of(case, length)
        worlds = some_worlds(joint, images)
        if case == "anbncn.word":
            worlds += [dict(zip(images, map(tuple, text), strict=True)) for text in blocks(length)]
        expected = [meaning([world[image] for image in images]) for world in worlds]
        assert answers(reasoner, networks, worlds) == expected


def blocks(length: int) -> list[str]:
    return [
        "a" * k + "b" * m + "c" * (length - k - m)
        for k in range(1, length - 1)
        for m in range(1, length - k)
    ]


def known(name: str, facts: Iterable[str], rules: Iterable[str]) -> list[list[str]]:
    """What ProbLog itself answers to asked(N, A) when symbols are facts: the answers for each N.

    For programs of which a compilation of everything takes long.
    """
    text = (PROGRAMS / f"{name}.pl").read_text()
    logic = [line for line in text.splitlines() if not line.startswith("nn(")]
    engine, asked = DefaultEngine(), list(rules)
    database = engine.prepare(PrologString("\n".join([*logic, *facts, *asked])))
    return [
        [str(answer) for _, answer in engine.query(database, Term("asked", Constant(n), None))]
        for n in range(len(asked))
    ]


def test_formulas_of_all_lengths_have_their_value() -> None:
    rng = np.random.default_rng(1)
    texts = [
        [str(rng.choice(list("+-*/" if k % 2 else "123456789"))) for k in range(length)]
        for length in (1, 3, 5, 7) * 6
    ]
    facts = [f"digit(d{d}, {d})." for d in range(1, 10)]
    facts += [f"operator(o{k}, {s})." for k, s in enumerate("+-*/")]
    images = [[f"d{s}" if s.isdigit() else f"o{'+-*/'.index(s)}" for s in text] for text in texts]
    rules = [f"asked({n}, V) :- formula([{','.join(i)}], V)." for n, i in enumerate(images)]
    expected = [list(formula([(s,) for s in text])) for text in texts]
    assert known("hwf", facts, rules) == expected


def page(name: str) -> str:
    return (PROGRAMS / f"{name}.md").read_text()


def outcomes(symbols: tuple[Symbols, ...], meaning: Callable) -> list[int]:
    """How many joint symbols of one image have each answer."""
    found: dict[Symbols, int] = {}
    for one in itertools.product(*symbols):
        found[meaning([one])] = found.get(meaning([one]), 0) + 1
    return list(found.values())


def own_maps(symbols: tuple[Symbols, ...], admitted: Callable[[list[dict[str, str]]], bool]) -> int:
    """Counts combinations of one map a network that a program admits."""
    maps = [
        [dict(zip(some, image, strict=True)) for image in itertools.product(some, repeat=len(some))]
        for some in symbols
    ]
    return sum(admitted(list(chosen)) for chosen in itertools.product(*maps))


def keeps(
    symbols: tuple[Symbols, ...], meaning: Callable
) -> Callable[[list[dict[str, str]]], bool]:
    """Tells whether one map a network leaves the answer of every image as it is."""
    joint = list(itertools.product(*symbols))

    def admitted(maps: list[dict[str, str]]) -> bool:
        return all(
            meaning([one]) == meaning([tuple(m[s] for m, s in zip(maps, one, strict=True))])
            for one in joint
        )

    return admitted


@pytest.mark.parametrize(
    ("case", "joint", "bijective", "own"),
    [("road.act", 27, 6, 1), ("road.drive", 256, 24, 1), ("leaf.plant", 41841412812, 559872, 1)],
)
def test_maps_of_one_image_are_as_many_as_the_pages_say(case, joint, bijective, own):
    _, symbols, meaning, _ = CASES[case]
    sizes = outcomes(symbols, meaning)
    assert math.prod(n**n for n in sizes) == joint
    assert math.prod(math.factorial(n) for n in sizes) == bijective
    assert own_maps(symbols, keeps(symbols, meaning)) == own
    text = page(case.split(".")[0])
    for number in (joint, bijective, own):
        assert f"**{number:,}**" in text


def test_what_objects_are_worth_names_both_networks():
    joint = list(itertools.product(SHAPES, COLOURS))
    assert len({points([one]) for one in joint}) == len(joint)
    assert "**1**" in page("concepts")


def test_figures_leave_all_names_open():
    """Maps of joint symbols, one image after the other, as far as all figures of two are kept."""
    joint = list(itertools.product(*KANDINSKY))
    partial: list[list[Symbols]] = [[]]
    for one in joint:
        partial = [
            [*images, image]
            for images in partial
            for image in joint
            if all(
                figure([image, before]) == figure([one, other])
                for before, other in zip(images, joint, strict=False)
            )
        ]
    kept = [
        images
        for images in partial
        if all(
            figure([joint[i] for i in places]) == figure([images[i] for i in places])
            for places in itertools.combinations_with_replacement(range(9), 4)
        )
    ]
    assert len(kept) == 36 and all(len(set(images)) == 9 for images in kept)
    assert "**36**" in page("kandinsky")


def test_sorted_lists_admit_every_monotone_map_and_one_permutation():
    rising = list(itertools.combinations_with_replacement(range(10), 10))
    assert len(rising) == 92378
    assert sum(len(set(one)) == 10 for one in rising) == 1
    assert "**92,378**" in page("sort")


def test_words_name_their_letters():
    texts = [text for length in (3, 6, 9) for text in blocks(length)]
    found = 0
    for image in itertools.product("abc", repeat=3):
        named = dict(zip("abc", image, strict=True))
        found += all(word(list(map(tuple, t))) == word([(named[c],) for c in t]) for t in texts)
    assert found == 1 and "**1**" in page("anbncn")


PRICES = {"grass": 1, "forest": 2, "hill": 3}


def cheapest(tiles: Sequence[str]) -> str:
    """The way of a map, by Dijkstra's table over rows; ties go to the left."""
    best: dict[tuple[int, int], tuple[int, str]] = {}
    for row, column in itertools.product(range(4), repeat=2):
        price = PRICES[tiles[4 * row + column]]
        from_left = best.get((row, column - 1))
        from_above = best.get((row - 1, column))
        if from_left and (not from_above or from_left[0] <= from_above[0]):
            best[row, column] = (from_left[0] + price, f"{from_left[1]}r")
        elif from_above:
            best[row, column] = (from_above[0] + price, f"{from_above[1]}d")
        else:
            best[row, column] = (price, "")
    return best[3, 3][1]


def test_the_way_is_the_cheapest() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.choice(list(PRICES), size=16).tolist() for _ in range(5)]
    facts = [
        f"terrain(x{m}_{i}, {tile})."
        for m, tiles in enumerate(maps)
        for i, tile in enumerate(tiles)
    ]
    rules = [
        f"asked({m}, W) :- way([{','.join(f'x{m}_{i}' for i in range(16))}], W)."
        for m in range(len(maps))
    ]
    found = known("warcraft_like", facts, rules)
    assert found == [[f"[{', '.join(cheapest(tiles))}]"] for tiles in maps]


def test_ways_name_their_tiles():
    rng = np.random.default_rng(1)
    maps = [rng.choice(list(PRICES), size=16).tolist() for _ in range(400)]
    found = [
        image
        for image in itertools.product(PRICES, repeat=3)
        if all(
            cheapest([dict(zip(PRICES, image, strict=True))[t] for t in tiles]) == cheapest(tiles)
            for tiles in maps
        )
    ]
    assert found == [tuple(PRICES)] and "**1**" in page("warcraft_like")


def stories():
    spec = importlib.util.spec_from_file_location("clutrr", PROGRAMS / "clutrr.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = stories().read_table((PROGRAMS / "clutrr.pl").read_text())
WORDS = load_data("kin-words").classes


def test_stories_name_their_words():
    heads = [dict(zip(WORDS, image, strict=True)) for image in itertools.product(WORDS, repeat=6)]
    pairs = [(one, TABLE[one]) for one in TABLE if one[0] in WORDS]
    found = [m for m in heads if all(TABLE.get((m[a], m[b])) == t for (a, b), t in pairs)]
    assert found == [{name: name for name in WORDS}]
    assert "**1**" in page("clutrr")


@pytest.mark.parametrize(("length", "order"), [(2, 0), (4, 1), (5, 2), (10, 1)])
def test_stories_end_as_their_chain_does(length: int, order: int) -> None:
    module = stories()
    told = module.sentences(length, order)
    images = tuple(f"X{i}" for i in range(len(told)))
    people = module.PEOPLE
    facts = "\n".join(f"told({i},{a},{b})." for i, (a, b) in enumerate(told))
    program = parse_program(f"{(PROGRAMS / 'clutrr.pl').read_text()}\n{facts}\n")
    goal = parse_goal(f"kin([{','.join(images)}], {people[0]}, {people[length]}, R)")
    told_by = [image for image, (_, b) in zip(images, told, strict=True) if b != "zoe"]
    reasoner = build_reasoner(program, goal, told_by)
    rng = np.random.default_rng(length)
    for _ in range(10):
        words, answer = module.draw_chain(TABLE, WORDS, length, module.Counter(), rng)
        word_of = dict(zip(people, words, strict=False))
        world = {
            image: (word_of.get(a, "child"),)
            for image, (a, b) in zip(images, told, strict=True)
            if b != "zoe"
        }
        assert answers(reasoner, ("word_net",), [world]) == [(answer,)]


def test_stories_are_written_as_examples(tmp_path, monkeypatch):
    module = stories()
    monkeypatch.setattr(module, "PARTS", {"stories": (8, range(2, 6)), "longer": (5, range(6, 11))})
    module.main(tmp_path)
    for name, lengths in (("stories", [2, 3, 4, 5]), ("longer", [6, 7, 8, 9, 10])):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").open()]
        assert {len(line["Xs"]) for line in lines} <= {n for k in lengths for n in (k, k + 1)}
        for line in lines:
            assert all((tmp_path / file).exists() for file in line["Xs"])
            assert len(line["Xs"]) == len(line["Xs.truth"]) == len(line["facts"])
            assert set(line["Xs.truth"]) <= set(WORDS)


NEW = (
    "warcraft_like",
    "concepts",
    "kandinsky",
    "road",
    "leaf",
    "hwf",
    "total",
    "sort",
    "anbncn",
    "clutrr",
)


@pytest.mark.parametrize("name", NEW)
def test_specs_name_networks_and_attributes_that_there_are(name: str) -> None:
    spec = tomllib.loads((PROGRAMS / f"{name}.toml").read_text())
    program = parse_program((PROGRAMS / f"{name}.pl").read_text())
    assert set(spec["networks"]) == set(program.networks)
    for network, table in spec["networks"].items():
        images = load_data(table.get("data") or spec["examples"]["data"]).test
        domain = program.networks[network].domain
        found = labels(images, domain, table.get("attribute"))
        assert set(domain) <= set(found)


def labels(images, domain, wanted) -> Iterable[str]:
    from groundkit.data.images import labelling

    return labelling(images, domain, wanted).classes
