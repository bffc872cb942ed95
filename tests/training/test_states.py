"""States of training: the last ones and the best one are kept, damaged ones are passed over."""

import torch

from groundkit.training.states import States


def saved(folder, scores):
    states = States(folder)
    for step, score in enumerate(scores, start=1):
        states.save(step, {"x": torch.tensor([float(step)])}, {"score": score})
    return states


def test_the_last_two_and_the_best_are_kept(tmp_path):
    saved(tmp_path, [0.1, 0.9, 0.3, 0.2, 0.4])
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [2, 4, 5]


def test_an_earlier_state_is_found_by_its_step(tmp_path):
    states = saved(tmp_path, [0.9, 0.1, 0.2])
    assert states.latest().step == 3
    assert states.latest(up_to=2).step == 2
    assert states.latest(up_to=0) is None


def test_a_damaged_state_is_passed_over_and_named(tmp_path):
    states = saved(tmp_path, [0.1, 0.2])
    (tmp_path / "00000002" / "training.safetensors").write_bytes(b"")
    found = states.latest()
    assert found.step == 1 and float(found.state["x"]) == 1.0
    assert "00000002" in found.damaged[0]
