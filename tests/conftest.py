"""What all tests share: one thread, caches of their own, and plots that are left blank."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

pytest_plugins = ["tests.small_task", "tests.trained"]

HERE = Path(__file__).parent
# Whole files that train, ground under limits, build pages or start processes, and so take long.
SLOW = (
    "test_api.py",
    "test_docs.py",
    "test_notebooks.py",
    "test_faults.py",
    "test_formats.py",
    "circuit/",
    "cli/",
    "demo/",
    "estimators/",
    "examples/",
    "fuzz/",
    "golden/",
    "hostile/",
    "runs/",
    "training/",
    "data/test_drawn.py",
    "identifiability/",
    "layer/",
    "naming/test_relabelling.py",
    "perception/",
    "program/test_against",
    "program/test_parser.py",
    "program/test_shipped",
    "report/test_html.py",
)
# Files that look at plots; in all others runs write them blank, which halves a small run's time.
DRAWN = (
    "report/",
    "cli/test_finished.py",
    "demo/test_browser.py",
    "runs/test_explain.py",
    "runs/test_other_inputs.py",
    "test_packaging.py",
)
PEERS = ("deepproblog/", "evaluate/test_baselines.py")


def pytest_collection_modifyitems(items):
    """Marks tests by where they stand and by what they open."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if HERE in item.path.parents else ""
        if place.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if place.startswith(PEERS):
            item.add_marker(pytest.mark.peers)
        if "browser" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keeps compiled circuits of the tests away from the user's."""
    os.environ["GROUNDKIT_CACHE"] = str(tmp_path_factory.mktemp("circuits"))


@pytest.fixture(autouse=True, scope="module")
def blank_plots(request):
    """Leaves plots blank in the files that do not look at them."""
    place = request.path.relative_to(HERE).as_posix()
    if place.startswith(DRAWN):
        yield
        return
    from tests.faults import blank_pictures

    with blank_pictures():
        yield


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
