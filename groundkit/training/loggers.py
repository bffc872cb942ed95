"""Callbacks that write to TensorBoard, MLflow and Weights & Biases, each an optional extra."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundkit.errors import InputError
from groundkit.perception.history import ClusterRow, RollbackRow, Row, StepRow
from groundkit.training.callbacks import Callback
from groundkit.training.history import RenameRow, SplitRow


def scalars(row: Row) -> dict[str, float]:
    """Names the numbers of a history row, such as ``joint/objective``."""
    if isinstance(row, ClusterRow):
        return {f"cluster/{row.network}/{name}": value for name, value in row.terms.items()}
    if isinstance(row, StepRow):
        found = {f"joint/{name}": value for name, value in row.terms.items()}
        found |= {"joint/objective": row.objective, "joint/learning_rate": row.learning_rate}
        for network, health in row.health.items():
            found |= _numbers(health.to_dict(), f"health/{network}/")
        return found
    if isinstance(row, RollbackRow):
        return {f"rollback/{row.network}": row.step_size}
    return _numbers(row.found, "names/") if isinstance(row, RenameRow) else {}


def _numbers(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Lists the numbers of nested mappings by their path."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found


def _load(package: str, extra: str) -> Any:
    """Imports a package of an extra when it is first needed.

    Raises:
        InputError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"the logger needs the package {extra}: {error}",
            remedy=f"pip install 'groundkit[{extra}]'",
        ) from None


class _Logger(Callback):
    """Writes numbers under their names; a subclass knows where to."""

    def _write(self, values: Mapping[str, float], step: int, phase: str) -> None:
        raise NotImplementedError

    def on_step(self, row: Row) -> None:
        """Writes the row's numbers at its step."""
        self._write(scalars(row), row.step, row.phase)

    def on_names(self, row: RenameRow | SplitRow) -> None:
        """Writes the finding's numbers at its step."""
        self._write(scalars(row), row.step, row.phase)

    def on_evaluate(self, metrics: Mapping[str, Any]) -> None:
        """Writes the numbers of the metrics at step 0."""
        self._write(_numbers(metrics, "metrics/"), 0, "metrics")


class TensorBoardLogger(_Logger):
    """Writes event files for TensorBoard; needs the extra ``tensorboard``.

    Args:
        folder: Folder of the event files.

    Raises:
        InputError: TensorBoard is not installed.

    Example:
        >>> import groundkit
        >>> logger = groundkit.TensorBoardLogger("logs")  # doctest: +SKIP
        >>> groundkit.Grounder("tiny.pl").fit(callbacks=[logger])  # doctest: +SKIP
    """

    def __init__(self, folder: Path | str) -> None:
        _load("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def _write(self, values: Mapping[str, float], step: int, phase: str) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def on_names(self, row: RenameRow | SplitRow) -> None:
        """Writes the finding's numbers, and the finding in words."""
        super().on_names(row)
        self._writer.add_text("names", row.words, row.step)
        self._writer.flush()

    def on_end(self) -> None:
        """Closes the file."""
        self._writer.close()


class MLflowLogger(_Logger):
    """Logs to MLflow; needs the extra ``mlflow``.

    If MLflow has an active run, it is used; otherwise a run is begun, and ended with training.

    Raises:
        InputError: MLflow is not installed.

    Example:
        >>> import groundkit
        >>> logger = groundkit.MLflowLogger()  # doctest: +SKIP
        >>> groundkit.Grounder("tiny.pl").fit(callbacks=[logger])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._mlflow = _load("mlflow", "mlflow")
        self._own = False

    def _write(self, values: Mapping[str, float], step: int, phase: str) -> None:
        if self._mlflow.active_run() is None:
            self._mlflow.start_run()
            self._own = True
        if values:
            self._mlflow.log_metrics(dict(values), step=step)

    def on_end(self) -> None:
        """Ends the run that was begun here."""
        if self._own:
            self._mlflow.end_run()


class WandbLogger(_Logger):
    """Logs to Weights & Biases; needs the extra ``wandb``.

    The steps of each phase are logged as ``cluster/step`` and ``joint/step``, and the numbers of
    that phase are plotted against them.

    Args:
        settings: Arguments of ``wandb.init``, such as ``project``; it is called with them if there
            is no active run.

    Raises:
        InputError: The package is not installed.

    Example:
        >>> import groundkit
        >>> logger = groundkit.WandbLogger(project="mine")  # doctest: +SKIP
        >>> groundkit.Grounder("tiny.pl").fit(callbacks=[logger])  # doctest: +SKIP
    """

    def __init__(self, **settings: Any) -> None:
        self._wandb = _load("wandb", "wandb")
        self._own = self._wandb.run is None
        self._run = self._wandb.init(**settings) if self._own else self._wandb.run
        for phase, names in {"cluster": ["cluster"], "joint": ["joint", "health", "names"]}.items():
            for name in names:
                self._run.define_metric(f"{name}/*", step_metric=f"{phase}/step")

    def _write(self, values: Mapping[str, float], step: int, phase: str) -> None:
        self._run.log({**values, f"{phase}/step": step})

    def on_end(self) -> None:
        """Ends the run that was begun here."""
        if self._own:
            self._run.finish()
