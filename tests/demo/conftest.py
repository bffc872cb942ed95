"""The tiny trained run of the people's tests, and an easel with it."""

import base64
import shutil

import numpy as np
import pytest
from PIL import Image

from groundkit.demo.easel import Easel
from groundkit.identifiability.posterior import MapPosterior
from groundkit.runs.session import open_run
from groundkit.training.weights import read_manifest, rewrite_facts
from tests.trained import digits, finished  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def session(finished):  # noqa: F811
    return open_run(finished, device="cpu")


@pytest.fixture(scope="session")
def easel(session):
    return Easel(session)


@pytest.fixture
def doubtful(finished, tmp_path):  # noqa: F811
    """A copy of the run in which nothing tells 0 from 1; their names are the wrong way round."""
    folder = tmp_path / "doubtful"
    shutil.copytree(finished, folder)
    symbols, labels = tuple("01234"), np.array([0, 0, 2, 3, 4])
    readings = MapPosterior({"net": symbols}, np.arange(5)[None], np.ones(1), labels)
    facts = read_manifest(folder / "checkpoint")["facts"]
    names = {"names": {"net": [1, 0, 2, 3, 4]}, "ambiguity": readings.to_dict()}
    rewrite_facts(folder / "checkpoint", {**facts, **names})
    return open_run(folder, device="cpu")


@pytest.fixture
def drawn(digits):  # noqa: F811
    """Turns the image of a digit into what the page would post."""

    def post(digit):
        pixels = np.asarray(Image.open(digits / f"{digit}.png"))
        return base64.b64encode(pixels.tobytes()).decode()

    return post
