"""What was written by each released format is still read; what a later one wrote is refused."""

import json
from pathlib import Path

import pytest
import torch

from groundkit import query
from groundkit.circuit import cache
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import CheckpointError
from groundkit.training.weights import FORMAT, read_manifest
from tests.circuit.test_cache import shape_of

FIXTURES = Path(__file__).parent / "fixtures"


def test_there_is_a_run_of_the_present_format():
    assert (FIXTURES / f"run-{FORMAT}").is_dir()


@pytest.mark.parametrize("folder", sorted(FIXTURES.glob("run-*")), ids=lambda path: path.name)
def test_a_run_of_every_format_answers_as_it_did(folder):
    answers = query(folder, f"sum('{folder}/3.png', '{folder}/1.png', Z)", device="cpu").answers
    found = {answer.values["Z"]: answer.probability for answer in answers}
    assert found == pytest.approx(json.loads((folder / "answers.json").read_text()), abs=1e-5)


@pytest.mark.parametrize("other", [0, FORMAT + 1, "1", None])
def test_a_checkpoint_of_another_format_is_refused_by_name(tmp_path, other):
    manifest = json.loads((FIXTURES / f"run-{FORMAT}/checkpoint/manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": other}))
    with pytest.raises(CheckpointError, match=f"checkpoint format {other}") as info:
        read_manifest(tmp_path)
    assert info.value.expected == f"format {FORMAT}"


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("cache-*.shape")), ids=lambda path: path.name)
def test_a_cache_entry_of_every_format_evaluates_as_one_made_now(file):
    shape = shape_of()
    rows = {"net": torch.tensor([[[0.2, 0.5, 0.3]]]).log()}
    kept, fresh = (
        Reasoner(shape.program, shape.goal, *pair)(rows).exp()
        for pair in (cache.unpack(file.read_bytes()), prepare(shape, None, None))
    )
    assert torch.allclose(kept, fresh)


def test_a_cache_entry_of_another_format_is_named_and_made_anew(tmp_path):
    prepare(shape_of(), tmp_path, None)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes().replace(b"shape-1", b"shape-2"))
    with pytest.warns(UserWarning, match="format is 'groundkit-shape-2'"):
        prepare(shape_of(), tmp_path, None)
    assert cache.load(tmp_path, shape_of()) is not None
    assert list(tmp_path.iterdir()) == [entry]
