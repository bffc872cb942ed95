"""Maps of the joint symbols of images that several networks read, against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.build import build_reasoner
from groundkit.errors import LimitError
from groundkit.identifiability.identify import Observable, identify
from groundkit.identifiability.images import factored, joint_domain, over_images
from groundkit.identifiability.relations import Relation
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

ROAD = """
nn(red_net, [X]) :: red(X).
nn(obstacle_net, [X]) :: obstacle(X).
act(X, stop) :- red(X).
act(X, stop) :- obstacle(X).
act(X, go) :- \\+red(X), \\+obstacle(X).
"""


def test_the_road_has_27_maps_of_its_four_situations() -> None:
    reasoner = build_reasoner(parse_program(ROAD), parse_goal("act(X, A)"), ["X"])
    goal = Observable(reasoner.support(), slots=reasoner.slots, answers=reasoner.answers)
    domains = {name: reasoner.program.networks[name].domain for name in reasoner.slots}
    together = identify([goal], domains, groups=[("red_net", "obstacle_net")])
    assert (together.count, together.permutations, together.collapses) == (27, 6, 21)
    assert list(together.domains) == ["red_net + obstacle_net"]
    apart = identify([goal], domains)
    assert apart.count == 1  # a map for each network by itself sees no exchange of the two


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, str]], set]:
    """Two networks a and b on images X and Y, and what a random goal says of some calls."""
    sizes = {name: draw(st.integers(2, 3)) for name in "ab"}
    domains = {name: tuple(f"{name}{k}" for k in range(size)) for name, size in sizes.items()}
    every = [("a", "X"), ("b", "X"), ("a", "Y"), ("b", "Y")]
    calls = draw(st.lists(st.sampled_from(every), min_size=2, max_size=3, unique=True))
    calls.sort()
    worlds = list(itertools.product(*(range(sizes[name]) for name, _ in calls)))
    answers = draw(st.lists(st.integers(0, 2), min_size=len(worlds), max_size=len(worlds)))
    rows = {(world, answer) for world, answer in zip(worlds, answers, strict=True) if answer}
    return domains, calls, rows


def brute_force(domains, calls, rows) -> tuple[int, int]:
    """Counts maps of joint symbols under which every observed row keeps its answer."""
    states = list(itertools.product(*(range(len(domains[name])) for name in "ab")))
    images = sorted({image for _, image in calls})
    reads = {image: [name for name, of in calls if of == image] for image in images}

    def seen(state_of) -> tuple[int, ...]:
        return tuple(state_of[image]["ab".index(name)] for name, image in calls)

    count = bijective = 0
    observed = [
        (dict(zip(images, combination, strict=True)), answer)
        for combination in itertools.product(states, repeat=len(images))
        for world, answer in rows
        if world == seen(dict(zip(images, combination, strict=True)))
    ]
    assert all(reads.values())
    for moved in itertools.product(states, repeat=len(states)):
        to = dict(zip(states, moved, strict=True))
        if all(
            (seen({image: to[state] for image, state in state_of.items()}), answer) in rows
            for state_of, answer in observed
        ):
            count += 1
            bijective += len(set(moved)) == len(states)
    return count, bijective


def counts(case) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Counts admitted and bijective maps both ways; ``None`` where brute force would take long."""
    domains, calls, rows = case
    if not rows or len(domains["a"]) * len(domains["b"]) > 6:
        return None
    if {name for name, _ in calls} != {"a", "b"}:
        return None
    table = [world for world, _ in rows]
    relation = Relation.build(
        {name: domains[name] for name in "ab"},
        [name for name, _ in calls],
        table,
        [answer for _, answer in rows],
        names=[image for _, image in calls],
    )
    found = identify([Observable(relation)], domains, groups=[("a", "b")])
    return (found.count, found.permutations), brute_force(domains, calls, rows)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_random_goals_over_shared_images_equal_brute_force(case) -> None:
    both = counts(case)
    assert both is None or both[0] == both[1]


def test_several_goals_hold_together() -> None:
    pairs = list(itertools.product(range(3), repeat=2))
    differences = [abs(a - b) for a, b in pairs]
    whole = Relation.build({"n": ("0", "1", "2")}, ["n", "n"], pairs, differences)
    named = Relation.build({"n": ("0", "1", "2")}, ["n"], [(0,), (1,), (2,)], [0, 1, 1])
    alone = identify([Observable(whole)])
    both = identify([Observable(whole), Observable(named)])
    assert (alone.count, both.count) == (2, 1)


def test_joint_symbols_have_a_limit_and_names() -> None:
    assert joint_domain(("a", "b"), {"a": ("x", "y"), "b": ("1",)}) == ("x, 1", "y, 1")
    big = {name: tuple(map(str, range(100))) for name in "ab"}
    with pytest.raises(LimitError, match="10000 joint symbols"):
        joint_domain(("a", "b"), big)


def test_maps_that_move_each_network_by_itself_are_told_from_others() -> None:
    domains = {"a": ("0", "1"), "b": ("0", "1")}
    assert factored({"a + b": (2, 3, 0, 1)}, domains) == {"a": (1, 0), "b": (0, 1)}
    assert factored({"a + b": (0, 2, 1, 3)}, domains) is None


def test_images_that_some_networks_do_not_read_may_show_anything_to_them() -> None:
    relation = Relation.build({"a": ("0", "1")}, ["a"], [(0,)], names=["X"])
    found = over_images(relation, [("a", "b")], {"a": ("0", "1"), "b": ("0", "1", "2")})
    assert np.array_equal(found.rows, [[0], [1], [2]])
