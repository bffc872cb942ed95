import math

import pytest
import torch

from groundkit.perception.health import diagnose, effective_rank

COUNT, SYMBOLS = 300, 6
TRUTH = torch.arange(COUNT) % SYMBOLS
SURE = 20.0 * torch.nn.functional.one_hot(TRUTH, SYMBOLS)
SPREAD = torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(0))


def test_a_sound_model_gets_no_verdict():
    health = diagnose(SURE, SURE, SPREAD, (SURE, SURE - 1))
    assert health.verdicts == ()
    assert health.effective_symbols == pytest.approx(SYMBOLS, rel=1e-3)
    assert health.conditional_entropy == pytest.approx(0, abs=1e-4)
    assert health.symbols_used == SYMBOLS
    assert health.view_agreement == 1
    assert health.energy_gap == pytest.approx(1, rel=1e-4)


ONE = 20.0 * torch.nn.functional.one_hot(torch.zeros(COUNT, dtype=torch.long), SYMBOLS)
FAILURES = {
    "representation collapse": (SURE, SURE, torch.ones(COUNT, 8), None),
    "cluster collapse: 1 of 6": (ONE, ONE, SPREAD, None),
    "no clusters yet": (torch.zeros(COUNT, SYMBOLS), torch.zeros(COUNT, SYMBOLS), SPREAD, None),
    "views disagree": (SURE, SURE.roll(1, 0), SPREAD, None),
    "energy diverges": (SURE, SURE, SPREAD, (SURE, SURE - 1e4)),
    "energy diverges: samples and data are nan": (SURE, SURE, SPREAD, (SURE, SURE * math.nan)),
}


@pytest.mark.parametrize("words", FAILURES)
def test_each_failure_is_named_alone_with_a_remedy(words):
    (verdict,) = diagnose(*FAILURES[words]).verdicts
    assert words in verdict
    assert ";" in verdict


def test_the_energy_gap_is_that_of_data_and_not_of_its_views():
    distorted = SURE - 50
    health = diagnose(distorted, distorted, SPREAD, (SURE, SURE - 2))
    assert health.energy_gap == pytest.approx(2, rel=1e-4)


def test_effective_rank_counts_the_directions_of_equal_variance():
    basis = torch.cat([torch.eye(5), -torch.eye(5)])
    assert effective_rank(basis) == pytest.approx(5)
    assert effective_rank(basis[:, :1].repeat(1, 3)) == pytest.approx(1)
    assert effective_rank(torch.ones(9, 4)) == 0


def test_a_history_row_is_plain_values():
    row = diagnose(SURE, SURE, SPREAD).to_dict()
    assert row["energy_gap"] is None
    assert row["verdicts"] == []


def test_effective_rank_weighs_directions_by_their_variance():
    basis = torch.diag(torch.tensor([2.0, 1.0]))
    variances = torch.tensor([0.8, 0.2])
    expected = math.exp(-float((variances * variances.log()).sum()))
    assert effective_rank(torch.cat([basis, -basis])) == pytest.approx(expected)


def test_samples_far_below_the_data_are_a_divergence_too():
    (verdict,) = diagnose(SURE, SURE, SPREAD, (SURE, SURE + 1e4)).verdicts
    assert "energy diverges" in verdict


def test_a_third_of_the_symbols_in_use_is_a_collapse():
    two = 20.0 * torch.nn.functional.one_hot(TRUTH % 2, SYMBOLS)
    (verdict,) = diagnose(two, two, SPREAD).verdicts
    assert "cluster collapse: 2 of 6" in verdict
