"""What all tests share: one thread, and caches of their own."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keeps compiled circuits of the tests away from the user's."""
    os.environ["GROUNDKIT_CACHE"] = str(tmp_path_factory.mktemp("circuits"))
