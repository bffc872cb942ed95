"""The tiny trained run of the people's tests, and an easel with it."""

import base64

import numpy as np
import pytest
from PIL import Image

from groundkit.demo.easel import Easel
from groundkit.runs.session import open_run
from tests.trained import digits, finished  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def session(finished):  # noqa: F811
    return open_run(finished, device="cpu")


@pytest.fixture(scope="session")
def easel(session):
    return Easel(session)


@pytest.fixture
def drawn(digits):  # noqa: F811
    """Turns the image of a digit into what the page would post."""

    def post(digit):
        pixels = np.asarray(Image.open(digits / f"{digit}.png"))
        return base64.b64encode(pixels.tobytes()).decode()

    return post
