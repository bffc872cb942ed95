"""Freeing circuits from choices, against the truth table of what they say."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.forget import forget
from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder

SIZES = (2, 3, 2)


def holds(builder, node, world):
    """Whether a node is true in a world, an outcome for each choice."""
    if node in (TRUE, FALSE):
        return node == TRUE
    kind, items = builder.nodes[node]
    if kind == "leaf":
        return world[items[0]] in items[1:]
    return (all if kind == "and" else any)(holds(builder, one, world) for one in items)


def spoken_of(builder, node):
    """The choices that stand below a node."""
    if node in (TRUE, FALSE):
        return set()
    kind, items = builder.nodes[node]
    if kind == "leaf":
        return {items[0]}
    return set().union(*(spoken_of(builder, one) for one in items))


@settings(deadline=None, max_examples=200)
@given(st.sets(st.sampled_from(range(len(SIZES)))), st.data())
def test_what_is_left_has_the_same_truth_and_speaks_of_the_kept_choices_alone(kept, data):
    """The node lists worlds whole, though only the kept choices decide which."""
    kept_worlds = itertools.product(*(range(SIZES[one]) for one in sorted(kept)))
    wanted = {world for world in kept_worlds if data.draw(st.booleans())}
    builder = CircuitBuilder()

    def decides(world):
        return tuple(world[one] for one in sorted(kept)) in wanted

    worlds = list(itertools.product(*map(range, SIZES)))
    node = builder.disjoin(
        builder.conjoin(builder.leaf(choice, [outcome]) for choice, outcome in enumerate(world))
        for world in worlds
        if decides(world)
    )
    left = forget(builder, node, sum(1 << one for one in kept))
    assert spoken_of(builder, left) <= kept
    assert all(holds(builder, left, world) == decides(world) for world in worlds)
