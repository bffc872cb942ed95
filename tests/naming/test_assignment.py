"""What a search of names is given: predictions with a floor under them."""

from __future__ import annotations

import torch

from groundkit.naming.assignment import FLOOR, floored
from groundkit.naming.scorers import Layout

CERTAIN = torch.tensor([[[0.0, -60.0, -60.0]]], dtype=torch.float64)


def test_the_floor_bounds_what_a_symbol_costs_and_leaves_a_distribution() -> None:
    found = floored({"net": CERTAIN}, torch.zeros(1), Layout({"net": 3}, {"net": 3}))
    probs = found.log_probs["net"].exp().flatten()
    torch.testing.assert_close(probs, torch.tensor([1 - 2 * FLOOR, FLOOR, FLOOR]).double())


def test_a_network_that_keeps_its_names_has_no_floor() -> None:
    layout = Layout({"other": 3}, {"other": 3})
    found = floored({"net": CERTAIN, "other": CERTAIN}, torch.zeros(1), layout)
    assert torch.equal(found.log_probs["net"], CERTAIN)
