"""Whatever write of a run fails, the message names it, no file is broken, and the run goes on."""

import pytest

from groundkit.circuit import cache
from groundkit.circuit.prepare import prepare
from groundkit.errors import RunError
from groundkit.runs.run import run
from tests.circuit.test_cache import shape_of
from tests.faults import WHOLE, Disk, check_whole
from tests.small import left_behind, write_task

SETTINGS = [
    "train.min_steps=6", "train.cluster_steps=2", "train.checkpoint_every=3", "train.batch=30",
    "train.reground_every=3", "evaluate.samples=0", "evaluate.ood=[]", "examples.held_out=10",
]  # fmt: skip


class Runs:
    """A program that is run on disks that fail."""

    def __init__(self, folder):
        self.folder = folder
        write_task(folder)
        with Disk(folder).used() as disk:
            self.start("undisturbed")
        self.writes = disk.writes
        self.undisturbed = left_behind(folder / "undisturbed")

    def start(self, name, **options):
        return run(self.folder / "add.pl", out=self.folder / name, settings=SETTINGS, **options)

    def survives(self, number, kind):
        """Lets one write fail, reads what is left, goes on, and compares the end."""
        path = self.folder / f"{number}-{kind}"
        with Disk(self.folder, (number, kind)).used(), pytest.raises(RunError) as info:
            self.start(path.name)
        error = info.value
        assert error.exit_code == 1
        assert "cannot be written" in error.found and "\n" not in error.found
        assert str(path) in error.found
        assert error.remedy
        if path.exists():
            check_whole(path)
        if (path / "run.json").exists():
            run(self.folder / "add.pl", resume=path)
        else:
            self.start(path.name)
        check_whole(path)
        assert left_behind(path) == self.undisturbed


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("faults"))


def test_all_files_of_a_run_are_written_by_what_can_be_watched(runs):
    labels = {label for label, _ in runs.writes}
    out = runs.folder / "undisturbed"
    for path in out.rglob("*"):
        name = str(path.relative_to(runs.folder))
        hidden = f"{name.rpartition('/')[0]}/.{path.name}."
        assert name in labels or any(label.startswith(hidden) for label in labels), name


CHOSEN = (
    ("run.json", "rename"), ("history.jsonl", "short"), ("training.safetensors", "short"),
    ("checkpoint/.manifest.json", "write"), ("metrics.json", "fsync"), ("report.html", "open"),
)  # fmt: skip


@pytest.mark.parametrize(("file", "kind"), CHOSEN)
def test_a_run_survives_a_failed_write(runs, file, kind):
    """benchmarks/faults.py tries them all."""
    number = [n for n, (label, kinds) in enumerate(runs.writes) if file in label and kind in kinds]
    runs.survives(number[-1], kind)


def cache_survives(folder, kind):
    """Lets the writing of a cache entry fail over a damaged one."""
    prepare(shape_of(), folder, None)
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-5])
    with Disk(folder, (1, kind)).used(), pytest.warns(UserWarning, match="is not kept"):
        found = prepare(shape_of(), folder, None)
    assert list(folder.iterdir()) == [entry]
    with pytest.warns(UserWarning, match="made anew"):
        assert cache.load(folder, shape_of()) is None
    with pytest.warns(UserWarning, match="made anew"):
        again = prepare(shape_of(), folder, None)
    assert again[0].nodes == found[0].nodes
    assert cache.load(folder, shape_of()) is not None


@pytest.mark.filterwarnings("ignore:the cache entry")
@pytest.mark.parametrize("kind", WHOLE)
def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, kind):
    cache_survives(tmp_path, kind)
