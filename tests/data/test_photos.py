"""Inversion is undone where the training images leave no doubt what their border is."""

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.data.photos import prepare_image
from groundkit.errors import CheckpointError
from groundkit.perception.backbones import build_backbone
from groundkit.perception.in_distribution import InDistribution, measure
from groundkit.perception.model import SymbolModel
from groundkit.perception.pixels import has_dark_border


@pytest.fixture
def paper(tmp_path):
    array = np.full((20, 40), 255, np.uint8)
    array[8:12, 15:25] = 0
    Image.fromarray(array).save(tmp_path / "paper.png")
    return tmp_path / "paper.png"


@pytest.mark.parametrize(("dark_border", "undone"), [(1.0, True), (0.5, False), (0.0, False)])
def test_bright_border_is_inverted_only_among_dark_ones(paper, dark_border, undone):
    found = prepare_image(paper, (1, 10, 10), dark_border)
    assert found.pixels.shape == (1, 10, 10)
    assert (found.pixels[0, 0, 0] == 0) == undone
    assert any("inverted" in words for words in found.done) == undone


def test_dark_border_is_inverted_among_bright_ones(paper):
    Image.fromarray(255 - np.asarray(Image.open(paper))).save(paper)
    assert prepare_image(paper, (1, 10, 10), 0.02).pixels[0, 0, 0] == 255


def test_measured_facts_survive_json_and_damaged_ones_are_refused():
    pool = torch.zeros(200, 1, 4, 4, dtype=torch.uint8)
    pool[:50] = 255
    model = SymbolModel(build_backbone("mlp", (1, 4, 4)), 3)
    found, _ = measure(model, pool)
    assert found.dark_border == 0.75
    assert has_dark_border(pool).tolist() == [False] * 50 + [True] * 150
    assert InDistribution.from_dict(found.to_dict()) == found
    with pytest.raises(CheckpointError):
        InDistribution.from_dict({"shape": [1, 4]})
