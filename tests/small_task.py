"""A small task that trains in seconds: the 8x8 digits, five symbols."""

import pytest

from tests.loaded import load_task
from tests.small import write_task


@pytest.fixture
def small(tmp_path):
    """Writes the program and its spec; returns a function that loads the task with settings."""
    write_task(tmp_path)

    def load(*settings):
        return load_task(tmp_path / "add.pl", settings=settings)

    load.folder = tmp_path
    return load
