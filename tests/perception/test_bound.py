import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.perception import bound
from groundkit.perception.model import energy, log_probs

SYMBOLS = 5
IMAGES = 200
SURE = 30.0


def one_hot_logits(symbols: torch.Tensor, level: float = SURE) -> torch.Tensor:
    return level * torch.nn.functional.one_hot(symbols, SYMBOLS).double()


@pytest.fixture
def failures():
    """Logits of (view a, view b, model samples) for a perfect model and each way to fail.

    A perfect model is certain, balanced, invariant, and gives its data lower energy than any
    other image; model samples of a sound sampler lie where the data lies, so what `generative`
    has to be measured on is images off the data, which a good model finds unlikely.
    """
    truth = torch.arange(IMAGES) % SYMBOLS
    sure = one_hot_logits(truth)
    elsewhere = torch.zeros(IMAGES, SYMBOLS).double()
    constant = torch.zeros(IMAGES, SYMBOLS).double()
    one = one_hot_logits(torch.zeros(IMAGES, dtype=torch.long))
    permuted = sure[torch.roll(torch.arange(IMAGES), 1)]
    return {
        "perfect": (sure, sure, elsewhere),
        "representation collapse": (constant, constant, constant),
        "cluster collapse": (one, one, elsewhere),
        "permuted views": (sure, permuted, elsewhere),
    }


TERMS = {
    "generative": lambda a, _b, m: bound.generative(a, m),
    "invariance": lambda a, b, _m: bound.invariance(a, b),
    "prior": lambda a, b, _m: bound.prior(torch.cat([a, b])),
}
PENALISED = {
    ("generative", "representation collapse"),
    ("invariance", "permuted views"),
    ("prior", "cluster collapse"),
}


@pytest.mark.parametrize("failure", ["representation collapse", "cluster collapse"])
@pytest.mark.parametrize("term", ["generative", "prior"])
def test_each_term_penalises_its_own_collapse_and_admits_the_other(failures, term, failure):
    loss = TERMS[term](*failures["perfect"]) - TERMS[term](*failures[failure])
    if (term, failure) in PENALISED:
        assert loss > 1
    else:
        assert loss == pytest.approx(0, abs=1e-6)


def test_invariance_penalises_permuted_views_only(failures):
    perfect = bound.invariance(*failures["perfect"][:2])
    assert perfect - bound.invariance(*failures["permuted views"][:2]) > 1
    assert perfect == pytest.approx(bound.invariance(*failures["cluster collapse"][:2]).item())
    # A constant embedding whose logits favour one symbol is perfectly invariant.
    constant = one_hot_logits(torch.full((IMAGES,), 2))
    assert bound.invariance(constant, constant) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", ["generative", "prior"])
def test_permuted_views_pass_unseen_by_the_other_terms(failures, term):
    perfect = TERMS[term](*failures["perfect"])
    assert TERMS[term](*failures["permuted views"]) == pytest.approx(perfect.item())


def test_the_sum_penalises_every_failure(failures):
    totals = {name: sum(f(*case) for f in TERMS.values()) for name, case in failures.items()}
    for name, total in totals.items():
        assert name == "perfect" or totals["perfect"] - total > 1, name


def test_maxima_are_those_of_the_formulas(failures):
    a, b, _ = failures["perfect"]
    assert bound.invariance(a, b) == pytest.approx(0, abs=1e-9)
    assert bound.prior(a) == pytest.approx(-math.log(SYMBOLS), abs=1e-9)


def test_energy_is_low_where_logits_are_high():
    logits = torch.tensor([[5.0, 0.0], [0.0, 0.0]])
    low, high = energy(logits)
    assert low < high
    assert high == pytest.approx(-math.log(2))


def test_generative_rises_when_data_becomes_likelier_than_samples():
    data, model = torch.zeros(4, 3), torch.zeros(4, 3)
    assert bound.generative(data, model) == pytest.approx(0)
    assert bound.generative(data + 1, model) == pytest.approx(1)
    assert bound.generative(data, model + 1) == pytest.approx(-1)


def test_energy_penalty_is_greatest_at_energy_zero():
    at_zero = torch.full((4, 2), -math.log(2))
    assert bound.energy_penalty(at_zero, at_zero) == pytest.approx(0)
    assert bound.energy_penalty(at_zero + 3, at_zero + 1) == pytest.approx(-5)


logit_rows = st.lists(
    st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=2, max_size=8
).map(lambda rows: torch.tensor(rows, dtype=torch.float64))


@given(logit_rows)
@settings(max_examples=50, deadline=None)
def test_prior_equals_the_naive_formula_where_that_is_stable(logits):
    naive = torch.softmax(logits, 1).mean(0).log().mean()
    assert bound.prior(logits).item() == pytest.approx(naive.item(), rel=1e-9)


@given(logit_rows)
@settings(max_examples=50, deadline=None)
def test_terms_stay_under_their_maxima_whatever_the_logits(logits):
    assert bound.prior(logits) <= -math.log(4) + 1e-9
    assert bound.invariance(logits, logits.flip(0)) <= 1e-9


def test_prior_and_its_gradient_are_finite_where_a_softmax_underflows():
    logits = one_hot_logits(torch.zeros(8, dtype=torch.long), 500).float().requires_grad_()
    value = bound.prior(logits)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()
    # Maximising must move probability to the symbols that nobody is given.
    assert (logits.grad[:, 1:] > 0).all()
    assert (logits.grad[:, 0] < 0).all()


def test_invariance_and_its_gradient_are_finite_for_opposite_certainties():
    a = torch.tensor([[900.0, 0.0]], requires_grad=True)
    b = torch.tensor([[0.0, 900.0]], requires_grad=True)
    value = bound.invariance(a, b)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


def test_invariance_trains_both_views():
    a = torch.tensor([[1.0, 0.0]], requires_grad=True)
    b = torch.tensor([[0.5, 0.3]], requires_grad=True)
    bound.invariance(a, b).backward()
    assert a.grad.abs().sum() > 0
    assert b.grad.abs().sum() > 0


@given(logit_rows)
@settings(max_examples=50, deadline=None)
def test_invariance_is_the_cross_entropy_in_one_direction_or_both(logits):
    other = logits.flip(0)

    def naive(target, predicted):
        return (target.softmax(1) * predicted.log_softmax(1)).sum(1).mean()

    one, back = naive(logits, other), naive(other, logits)
    assert bound.invariance(logits, other, symmetric=False).item() == pytest.approx(one.item())
    assert bound.invariance(logits, other).item() == pytest.approx((one + back).item() / 2)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_fixed_target_is_not_trained(symmetric):
    """By hand: the gradient of -CE(t, softmax(b)) is t - softmax(b)."""
    a = torch.tensor([[1.0, 0.0]], requires_grad=True)
    b = torch.tensor([[0.5, 0.3]], requires_grad=True)
    bound.invariance(a, b, symmetric=symmetric, stop_gradient=True).backward()
    towards = (a.softmax(1) - b.softmax(1)).detach()
    share = 0.5 if symmetric else 1.0
    assert torch.allclose(b.grad, share * towards)
    assert torch.allclose(a.grad, -0.5 * towards) if symmetric else a.grad is None


def test_the_sum_convention_is_k_times_the_mean():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0.7, 0.2, 0.1])
    for shares in (None, target):
        mean = bound.prior(logits, shares)
        assert bound.prior(logits, shares, convention="sum") == pytest.approx(3 * mean.item())


def test_a_target_prior_is_met_by_its_own_marginal():
    target = torch.tensor([0.7, 0.2, 0.1])
    matching = bound.prior(target.log().repeat(6, 1), target)
    assert matching == pytest.approx((target * target.log()).sum().item(), rel=1e-5)
    assert bound.prior(torch.zeros(6, 3), target) < matching


def test_a_queue_corrects_the_marginal_of_a_batch_smaller_than_the_symbols():
    truth = torch.arange(40) % SYMBOLS
    batch, queue = one_hot_logits(truth[:2]), log_probs(one_hot_logits(truth[2:]))
    assert bound.prior(batch) < -3
    assert bound.prior(batch, queue=queue) == pytest.approx(-math.log(SYMBOLS), abs=1e-6)


def test_contrastive_prefers_matching_views_and_spread_images():
    images = torch.eye(6)
    matched = bound.contrastive(images, images, 0.3)
    assert matched > bound.contrastive(images, images.roll(1, 0), 0.3)
    collapsed = torch.eye(6)[:1].repeat(6, 1)
    assert bound.contrastive(collapsed, collapsed, 0.3) == pytest.approx(-math.log(11), rel=1e-5)
    assert matched > -math.log(11)


def test_assignment_holds_on_to_clusters_but_lets_a_doubtful_one_go():
    clusters = torch.arange(10) % SYMBOLS
    right, wrong = one_hot_logits(clusters, 4.0), one_hot_logits((clusters + 1) % SYMBOLS, 4.0)
    assert bound.assignment(right, clusters) > bound.assignment(wrong, clusters) + 1
    certain = one_hot_logits(clusters, 50.0)
    assert bound.assignment(certain, clusters, doubt=0.0) == pytest.approx(0, abs=1e-9)
    assert bound.assignment(certain, clusters, doubt=0.1) < bound.assignment(right, clusters)


def test_energy_discrepancy_equals_the_naive_formula_and_is_bounded_by_the_stabiliser():
    data, perturbed = torch.randn(7, 3), torch.randn(7, 4, 3)
    gaps = (energy(data)[:, None] - energy(perturbed)).exp()
    naive = -torch.log(0.5 / 4 + gaps.mean(1)).mean()
    assert bound.energy_discrepancy(data, perturbed, 0.5) == pytest.approx(naive.item(), rel=1e-5)
    certain = bound.energy_discrepancy(torch.full((2, 3), 500.0), torch.zeros(2, 4, 3))
    assert certain == pytest.approx(math.log(4))


def test_energy_discrepancy_is_greatest_at_the_energy_of_the_data():
    """Data of N(0, 1), energies a x^2 / 2: the right precision is a = 1, with no normaliser."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 1, generator=generator)
    noisy = x + torch.randn(20_000, 1, generator=generator)
    perturbed = noisy + torch.randn(20_000, 32, generator=generator)
    precisions = torch.linspace(0.6, 1.6, 11)
    values = [
        bound.energy_discrepancy(-a / 2 * x**2, (-a / 2 * perturbed**2)[..., None], 1e-6)
        for a in precisions
    ]
    assert precisions[torch.stack(values).argmax()].item() == pytest.approx(1.0, abs=0.11)
