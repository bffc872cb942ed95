"""Joint training survives a diverging energy, can be set back exactly, and trains all terms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from groundkit.errors import RunError, SpecError
from groundkit.perception import learner as learner_module
from groundkit.perception.ascent import Ascent, PhaseSettings
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.backbones import build_backbone
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.embedding import EmbeddingPhase
from groundkit.perception.history import RollbackRow
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.perception.phases import CLIP_NORM, ENERGY_CLIP_NORM, JointPhase
from groundkit.perception.settings import PerceptionSpec, SamplerSpec

SHAPE = (1, 8, 8)
SYMBOLS = 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learner(processes: ProcessGroup | None = None, **weights) -> Learner:
    torch.manual_seed(0)
    model = SymbolModel(build_backbone("mlp", SHAPE, width=16, features=8), SYMBOLS)
    images = 2 * torch.rand(40, *SHAPE, generator=rng()) - 1
    weights = {"sampler": SamplerSpec(batch=16, buffer=32)} | weights
    settings = PerceptionSpec(augmentation="none", **weights)
    return Learner(model, settings, images, seed=0, processes=processes)


@pytest.mark.parametrize("until", [0.7, 1])
def test_an_energy_that_diverges_rolls_back_and_goes_on_with_half_the_sampler_s_step(
    monkeypatch, until
):
    genuine, steps = learner_module.contrast_with_samples, []

    def diverges_once(*args, sampler, **settings):
        of_data, of_samples = genuine(*args, sampler=sampler, **settings)
        steps.append(sampler.step_size)
        return (of_data * math.nan if len(steps) == 3 else of_data), of_samples

    monkeypatch.setattr(learner_module, "contrast_with_samples", diverges_once)
    one, rows = learner(sampler=SamplerSpec(batch=16, buffer=32, until=until)), []
    phase = JointPhase({"net": one}, PhaseSettings(40, 2e-3), 16, rng(), on_row=rows.append)
    for _ in range(40):
        phase.step()
    assert phase.rollbacks == 1
    # What step 28 left is read at the next turn, whether that samples or not.
    assert [row.step for row in rows if isinstance(row, RollbackRow)] == [32]
    assert steps[3:] == ([steps[0] / 2] * 3 if until == 1 else [])
    assert all(torch.isfinite(p).all() for p in one.model.parameters())


def test_a_rollback_keeps_what_was_changed_from_outside(monkeypatch):
    """Such as names that a search has put right."""
    genuine, calls = learner_module.contrast_with_samples, []

    def diverges_once(*args, **settings):
        of_data, of_samples = genuine(*args, **settings)
        calls.append(of_data)
        return (of_data * math.nan if len(calls) == 3 else of_data), of_samples

    monkeypatch.setattr(learner_module, "contrast_with_samples", diverges_once)
    one = learner()
    phase = JointPhase({"net": one}, PhaseSettings(40, 2e-3), 16, rng())
    for _ in range(25):
        phase.step()
    one.permute_symbols((1, 2, 0))
    phase.renew()
    renamed = one.read(one.pool)
    for _ in range(3):
        phase.step()
    phase.check()
    assert phase.rollbacks == 1
    assert torch.equal(one.read(one.pool), renamed)


def test_training_ends_with_the_moving_average_of_the_weights():
    """By the definition: a_1 = w_1, a_n = d a_(n-1) + (1 - d) w_n, through a renaming."""
    decay, weights, order = 0.95, [], [1, 2, 0]
    one = learner(ema=decay)
    phase = JointPhase({"net": one}, PhaseSettings(30, 2e-3), 16, rng())
    for step in range(30):
        if step == 12:
            one.permute_symbols(order)
            weights = [w[order] for w in weights]
        last = one.model.prototypes.weight.detach().clone()
        phase.step()
        weights.append(one.model.prototypes.weight.detach().clone())
    ended = weights.pop()
    average = weights[0]
    for weight in weights[1:]:
        average = decay * average + (1 - decay) * weight
    # The last step's own weights are gone; the rate is nearly zero there.
    assert torch.allclose(ended, decay * average + (1 - decay) * last, atol=1e-5)
    assert not torch.allclose(ended, last, atol=1e-3)  # far from the weights themselves
    assert one.state_dict()["average"] is None


def test_every_weight_switches_its_term():
    def terms(**weights):
        rows, one = [], learner(**weights)
        one.relabel()
        phase = JointPhase({"net": one}, PhaseSettings(20, 2e-3), 16, rng(), on_row=rows.append)
        for _ in range(20):
            phase.step()
        return set(rows[-1].terms)

    everything = {
        "prior",
        "invariance",
        "assignment",
        "contrastive",
        "generative",
        "energy_penalty",
    }
    on = {"contrastive": 1.0, "assignment": 1.0}
    assert terms(**on) == everything
    assert terms(**on, generative=0) == everything - {"generative", "energy_penalty"}
    for name in ("prior", "invariance", "assignment", "contrastive"):
        assert terms(**(on | {name: 0})) == everything - {name}


@pytest.mark.parametrize(
    "switch", [{"symmetric": False}, {"stop_gradient": True}, {"prior_convention": "sum"}]
)
def test_every_switch_of_a_term_changes_training(switch):
    def trained(**weights):
        one = learner(generative=0, **weights)
        one.augmentation = AUGMENTATIONS["points"]  # views that differ
        phase = JointPhase({"net": one}, PhaseSettings(5, 2e-3), 16, rng())
        for _ in range(5):
            phase.step()
        return one.model.prototypes.weight

    assert not torch.equal(trained(), trained(**switch))


def test_self_labelling_follows_a_renaming():
    one = learner()
    one.relabel()
    before = one.clusters.clone()
    one.permute_symbols((1, 2, 0))
    assert torch.equal(one.read(one.pool).argmax(1), one.clusters)
    assert torch.equal(torch.tensor([2, 0, 1])[before], one.clusters)


def test_the_prior_s_queue_holds_the_latest_views_and_follows_a_renaming():
    one = learner(generative=0, prior_queue=50)
    phase = JointPhase({"net": one}, PhaseSettings(9, 2e-3), 16, rng())
    alone = JointPhase({"net": learner(generative=0)}, PhaseSettings(9, 2e-3), 16, rng())
    for _ in range(3):
        phase.step()
        alone.step()
    queue = one.state_dict()["queue"]
    assert queue.shape == (50, SYMBOLS)
    assert torch.allclose(queue.exp().sum(1), torch.ones(50))
    assert not torch.equal(
        one.model.prototypes.weight, alone.learners["net"].model.prototypes.weight
    )
    one.permute_symbols((2, 0, 1))
    assert torch.equal(one.state_dict()["queue"], queue[:, [2, 0, 1]])


def test_both_phases_go_on_from_a_state_as_if_they_had_not_stopped():
    def run(stops: bool) -> tuple[Learner, JointPhase]:
        one, shared = learner(prior_queue=40, ema=0.9), rng(3)
        embedding = EmbeddingPhase(one, PhaseSettings(6, 2e-3), 16, shared)
        for step in range(6):
            if stops and step == 3:
                one, shared, embedding = resumed_embedding(one, shared, embedding)
            embedding.step()
        one.start_symbols()
        joint = JointPhase({"net": one}, PhaseSettings(60, 2e-3), 16, shared)
        for step in range(60):
            if stops and step == 45:
                one, shared, joint = resumed_joint(one, shared, joint)
            joint.step()
        return one, joint

    def moved(one: Learner, shared: torch.Generator) -> tuple[Learner, torch.Generator]:
        other, generator = learner(prior_queue=40, ema=0.9), rng(99)
        other.load_state_dict(one.state_dict())
        generator.set_state(shared.get_state())
        return other, generator

    def resumed_embedding(one, shared, phase):
        other, generator = moved(one, shared)
        again = EmbeddingPhase(other, PhaseSettings(6, 2e-3), 16, generator)
        again.load_state_dict(phase.state_dict())
        return other, generator, again

    def resumed_joint(one, shared, phase):
        other, generator = moved(one, shared)
        again = JointPhase({"net": other}, PhaseSettings(60, 2e-3), 16, generator)
        again.load_state_dict(phase.state_dict())
        return other, generator, again

    (left_alone, first), (stopped, second) = run(False), run(True)
    for name, value in left_alone.model.state_dict().items():
        assert torch.equal(value, stopped.model.state_dict()[name]), name
    assert torch.equal(left_alone.buffer.images, stopped.buffer.images)
    assert first.rollbacks == second.rollbacks


class Waits(TorchDispatchMode):
    """Notes what would make the host wait for a GPU.

    Numbers that are read, shapes that hang on them, and tensors that the host makes of numbers or
    picks rows by: these are sent to the GPU first.
    """

    def __init__(self, *of_host):
        super().__init__()
        self.found, self.of_host = [], {id(one) for one in of_host}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        masks = name == "aten::index.Tensor" and any(
            index is not None and (index.dtype == torch.bool or id(index) in self.of_host)
            for index in args[1]
        )
        waits = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::lift_fresh")
        if masks or name in waits:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def test_no_step_waits_for_the_device(monkeypatch):
    """What a report or a gap tells is read a step later, from a copy on the host."""
    # The optimiser counts its steps in tensors that are on the host anyway.
    monkeypatch.setattr(Ascent, "move", lambda self: None)
    one = learner(contrastive=1.0, assignment=1.0)
    one.relabel()
    embedding = EmbeddingPhase(one, PhaseSettings(9, 2e-3), 16, rng())
    joint = JointPhase({"net": one}, PhaseSettings(90, 2e-3), 16, rng())
    embedding.step()
    with Waits(embedding._rows.own) as waits:
        embedding.step()
    assert not waits.found
    for step in range(1, 31):
        with Waits(joint._rows.own, joint._chains["net"].own) as waits:
            joint.step()
        told = step in (21, 24, 28)  # a report and gaps, by then on the host
        assert told or not waits.found, (step, waits.found)


def test_an_objective_that_is_no_number_ends_training_at_the_next_report(monkeypatch):
    one = learner(generative=0)
    joint = JointPhase({"net": one}, PhaseSettings(90, 2e-3), 16, rng())
    for _ in range(5):
        joint.step()
    with torch.no_grad():
        one.model.prototypes.weight.fill_(math.nan)
    joint.step()
    with pytest.raises(RunError, match="not a finite number at step 6: prior nan") as error:
        joint.check()
    assert error.value.remedy == "lower train.learning_rate"


def test_a_batch_that_cannot_be_shared_is_refused_before_training():
    two, settings = ProcessGroup(0, 2), PhaseSettings(9, 2e-3)
    with pytest.raises(SpecError, match=r"train\.cluster_batch is 15"):
        EmbeddingPhase(learner(two), settings, 15, rng())
    with pytest.raises(SpecError, match=r"train\.pool_batch is 15"):
        JointPhase({"net": learner(two)}, settings, 15, rng())
    three = ProcessGroup(0, 3)
    with pytest.raises(SpecError, match=r"net's sampler\.batch is 16, which 3 processes"):
        JointPhase({"net": learner(three)}, settings, 15, rng())
    JointPhase({"net": learner(three, generative=0)}, settings, 15, rng())


@pytest.mark.parametrize("fades", [True, False])
def test_self_labelling_fades_over_the_first_half_where_it_is_to_fade(monkeypatch, fades):
    one, holds = learner(generative=0, assignment=1.0, assignment_fades=fades), []
    one.relabel()
    genuine = one.clustering_terms

    def noted(reading, places, hold):
        holds.append(hold)
        return genuine(reading, places, hold)

    monkeypatch.setattr(one, "clustering_terms", noted)
    phase = JointPhase({"net": one}, PhaseSettings(8, 2e-3), 8, rng())
    for _ in range(8):
        phase.step()
    assert holds == ([0.75, 0.5, 0.25, 0, 0, 0, 0, 0] if fades else [1.0] * 8)


def test_the_energy_has_a_limit_of_its_own_for_the_norm_of_its_gradient(monkeypatch):
    genuine, norms = Ascent.climb, []

    def noted(ascent, objective, norm, *, sound=False):
        genuine(ascent, objective, norm, sound=sound)
        found = torch.stack([p.grad.norm() for p in ascent._parameters if p.grad is not None])
        norms.append((sound, float(found.norm())))

    monkeypatch.setattr(Ascent, "climb", noted)
    heavy = learner(generative=1e4, prior=1e4)
    phase = JointPhase({"net": heavy}, PhaseSettings(4, 2e-3), 16, rng())
    for _ in range(4):
        phase.step()
    of_energy = [norm for sound, norm in norms if sound]
    of_all = [norm for sound, norm in norms if not sound]
    assert of_energy == pytest.approx([ENERGY_CLIP_NORM] * len(of_energy), rel=1e-3)
    assert len(of_energy) < len(of_all) and max(of_all) == pytest.approx(CLIP_NORM, rel=1e-3)


def generative_steps(steps: int, **sampler) -> list[int]:
    """Returns at which joint steps the generative term is there."""
    one, found = learner(sampler=SamplerSpec(batch=4, buffer=8, steps=1, **sampler)), []
    genuine = one.generative_terms
    one.generative_terms = lambda places: found.append(phase.done) or genuine(places)
    phase = JointPhase({"net": one}, PhaseSettings(steps, 2e-3), 16, rng())
    for _ in range(steps):
        phase.step()
    return found


def test_the_energy_is_trained_at_its_turn_and_rests_at_last():
    assert generative_steps(40) == [20, 24, 28]
    assert generative_steps(40, until=1) == [20, 24, 28, 32, 36, 40]
    assert generative_steps(40, every=10, until=0.8) == [20, 30]


@pytest.mark.parametrize("stopped", [None, 24, 30])
def test_a_row_has_the_last_value_of_each_term_since_the_row_before(stopped):
    one, rows, values = learner(), [], {}
    genuine = one.generative_terms

    def noted(places):
        found = genuine(places)
        values[phase.done] = float(found.terms[0].value.detach())
        return found

    def made():
        return JointPhase({"net": one}, PhaseSettings(60, 2e-3), 16, rng(), on_row=rows.append)

    one.generative_terms = noted
    phase = made()
    for _ in range(60):
        phase.step()
        if phase.done == stopped:
            phase.tell()
            state = phase.state_dict()
            phase = made()
            phase.load_state_dict(state)
    assert [row.step for row in rows] == [20, 40, 60]
    assert max(values) == 40
    assert [row.terms.get("generative") for row in rows] == [
        pytest.approx(values[20]),
        pytest.approx(values[40]),
        None,
    ]


@given(st.integers(1, 50), st.integers(1, 60), st.floats(0.01, 1))
@settings(max_examples=30, deadline=None)
def test_however_short_training_is_the_energy_has_a_turn(steps, every, until):
    found = generative_steps(steps, every=every, until=until)
    assert found
    assert all(one % min(every, steps) == 0 and one >= min(20, steps // 2) for one in found)
    assert all(one <= until * steps for one in found[1:])
