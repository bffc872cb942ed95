"""Callbacks that log: their names of numbers, and what packages are handed."""

import sys
from types import SimpleNamespace

import pytest

from groundkit.errors import InputError
from groundkit.perception.health import Health
from groundkit.perception.history import ClusterRow, RollbackRow, StepRow
from groundkit.training import loggers
from groundkit.training.callbacks import tell
from groundkit.training.history import RenameRow, SplitRow

HEALTH = Health(4.0, 0.5, 5, 0.9, 3.0, None, ())
ROWS = [
    ClusterRow(step=20, network="net", terms={"contrastive": -2.0}),
    StepRow(step=20, terms={"prior": 1.5}, objective=0.5, health={"net": HEALTH},
            learning_rate=1e-3),
    RollbackRow(step=30, network="net", step_size=0.25),
    RenameRow(step=40, found={"after": -1.25, "accepted": True, "words": "x"}, words="renamed"),
    SplitRow(step=40, network="net", symbol=1, of=2, words="split"),
]  # fmt: skip


def test_numbers_of_rows_have_names_that_sort_by_phase():
    assert loggers.scalars(ROWS[0]) == {"cluster/net/contrastive": -2.0}
    joint = loggers.scalars(ROWS[1])
    assert joint["joint/prior"] == 1.5 and joint["health/net/view_agreement"] == 0.9
    assert "health/net/energy_gap" not in joint
    assert loggers.scalars(ROWS[2]) == {"rollback/net": 0.25}
    assert loggers.scalars(ROWS[3]) == {"names/after": -1.25}
    assert loggers.scalars(ROWS[4]) == {}


def tell_all(logger):
    for row in ROWS:
        tell([logger], row)
    logger.on_evaluate({"query": {"accuracy": 0.75, "goal": "sum"}, "seed": 0})
    logger.on_end()


def test_tensorboard_s_event_files_hold_the_numbers_and_the_words(tmp_path):
    pytest.importorskip("tensorboard", reason="groundkit[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_all(loggers.TensorBoardLogger(tmp_path / "logs"))
    read = EventAccumulator(str(tmp_path / "logs"))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("joint/objective")] == [(20, 0.5)]
    assert [(e.step, e.value) for e in read.Scalars("names/after")] == [(40, -1.25)]
    assert [e.value for e in read.Scalars("metrics/query/accuracy")] == [0.75]
    words = [e.tensor_proto.string_val[0] for e in read.Tensors("names/text_summary")]
    assert words == [b"renamed", b"split"]


def test_mlflow_s_own_store_holds_the_numbers(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="groundkit[mlflow] is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    with mlflow.start_run() as run:
        tell_all(loggers.MLflowLogger())
        assert mlflow.active_run() is not None  # it was not begun by the logger
    kept = mlflow.tracking.MlflowClient().get_run(run.info.run_id).data.metrics
    assert kept["joint/objective"] == 0.5 and kept["metrics/query/accuracy"] == 0.75
    tell_all(loggers.MLflowLogger())
    assert mlflow.active_run() is None


class Wandb(SimpleNamespace):
    """What the logger uses of the package, kept in lists."""

    def __init__(self):
        super().__init__(run=None, rows=[], drawn={}, ended=0)

    def init(self, **settings):
        self.settings = settings
        return self

    def define_metric(self, name, step_metric):
        self.drawn[name] = step_metric

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        self.ended += 1


def test_weights_and_biases_are_handed_steps_of_each_phase(monkeypatch):
    package = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", package)
    tell_all(loggers.WandbLogger(project="mine"))
    assert package.settings == {"project": "mine"} and package.ended == 1
    assert package.drawn["health/*"] == "joint/step"
    assert package.rows[0] == {"cluster/net/contrastive": -2.0, "cluster/step": 20}
    assert package.rows[3] == {"names/after": -1.25, "joint/step": 40}


def test_weights_and_biases_write_offline(tmp_path):
    wandb = pytest.importorskip("wandb", reason="groundkit[wandb] is not installed")
    settings = wandb.Settings(mode="offline", console="off", silent=True)
    tell_all(loggers.WandbLogger(project="mine", dir=str(tmp_path), settings=settings))
    assert list(tmp_path.glob("**/*.wandb"))
    assert wandb.run is None


@pytest.mark.parametrize(
    ("logger", "package"),
    [("TensorBoardLogger", "tensorboard"), ("MLflowLogger", "mlflow"), ("WandbLogger", "wandb")],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path, logger, package):
    monkeypatch.setitem(sys.modules, package, None)
    arguments = [tmp_path] if package == "tensorboard" else []
    with pytest.raises(InputError, match=rf"pip install 'groundkit\[{package}\]'"):
        getattr(loggers, logger)(*arguments)
