"""Nested nodes are merged, and leaves on one choice become one."""

from groundkit.circuit.ir import CircuitBuilder
from groundkit.circuit.simplify import simplify


def test_leaves_on_one_choice_under_a_disjunction_become_their_union():
    builder = CircuitBuilder()
    either = builder.disjoin([builder.leaf(0, [0]), builder.leaf(0, [2]), builder.leaf(0, [3])])
    found = simplify(builder.finish([either]))
    assert found.node(int(found.roots[0])) == ("leaf", (0, 0, 2, 3))


def test_a_nested_node_joins_its_only_parent_and_not_one_of_two():
    builder = CircuitBuilder()
    leaves = [builder.leaf(choice, [0]) for choice in range(4)]
    inner = builder.conjoin(leaves[:2])
    outer = builder.conjoin([inner, leaves[2]])
    alone = simplify(builder.finish([outer]))
    assert len(alone.node(int(alone.roots[0]))[1]) == 3
    shared = simplify(builder.finish([outer, builder.conjoin([inner, leaves[3]])]))
    assert [len(shared.node(int(root))[1]) for root in shared.roots] == [2, 2]
