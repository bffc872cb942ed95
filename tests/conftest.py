"""What all tests share: one thread, and caches of their own."""

import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

pytest_plugins = ["tests.small_task", "tests.trained"]


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keeps compiled circuits of the tests away from the user's."""
    os.environ["GROUNDKIT_CACHE"] = str(tmp_path_factory.mktemp("circuits"))


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium without a window, steered by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as steering:
        started = steering.chromium.launch(executable_path=chromium)
        yield started
        started.close()
