"""A run's folder: what is written where, and how a run that was stopped is found again."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groundkit.errors import CheckpointError, Location, SpecError
from groundkit.files import RowWriter, is_there, make_folder, read_rows, read_text, write_atomically
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.history import Row
from groundkit.task.place import line_of
from groundkit.training.history import read_row
from groundkit.training.states import Saved, States

_ORIGIN, _HISTORY = "run.json", "history.jsonl"


@dataclass(frozen=True)
class Origin:
    """What a run was started with, beside its program and its spec.

    Attributes:
        seed: Seed of training.
        engine: What evaluates the queries in training.
        command: The command that repeats the run.
        spec: The text of its complete spec; ``None`` in a folder of an earlier version.
    """

    seed: int
    engine: str
    command: str
    spec: str | None = None


class History:
    """The rows of ``history.jsonl``, written as they come.

    Args:
        path: The file.
        rows: Rows of the part of the run that a resumed run goes on from.
        seconds: Seconds that this part took.
    """

    def __init__(self, path: Path, rows: list[Row], seconds: float) -> None:
        self.rows = rows
        self._file = RowWriter(path, (row.to_dict() for row in rows))
        self._started = time.perf_counter() - seconds

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._started

    def add(self, row: Row) -> None:
        """Writes a row with the seconds since the start."""
        timed = replace(row, seconds=round(self.seconds, 2))
        self.rows.append(timed)
        self._file.add(timed.to_dict())

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class RunFolder:
    """The folder of one run.

    Args:
        path: The folder; see :meth:`make` and :meth:`reopen`.
        origin: What the run was started with.
        rank: The process that uses it; every process has states of its own.
    """

    def __init__(self, path: Path, origin: Origin, rank: int = 0) -> None:
        self.path = path
        self.origin = origin
        self.rank = rank
        self._states = States(path / "state" / str(rank))
        self._identity = _identity(path)

    @classmethod
    def make(cls, path: Path, origin: Origin, files: Mapping[str, str]) -> RunFolder:
        """Makes the folder of a new run, with text files to start with."""
        make_folder(path)
        for name, text in files.items():
            write_atomically(path / name, text.encode())
        write_atomically(path / _ORIGIN, json.dumps(asdict(origin), indent=2).encode())
        return cls(path, origin)

    @property
    def vanished(self) -> bool:
        """Whether the folder was removed, moved or replaced since it was opened."""
        there = _identity(self.path) == self._identity and is_there(self.path / _ORIGIN)
        return not there

    def rescue(self, files: Mapping[str, str], rows: Sequence[Row]) -> RunFolder:
        """Makes another folder beside one that has vanished, from which the run can go on.

        Args:
            files: The text files that a run starts with.
            rows: The rows of the history so far.

        Raises:
            RunError: It cannot be made.
        """
        number = 1
        while (path := self.path.with_name(f"{self.path.name}-rescued-{number}")).exists():
            number += 1
        folder = RunFolder.make(path, self.origin, files)
        RowWriter(path / _HISTORY, [row.to_dict() for row in rows]).close()
        return folder

    @classmethod
    def reopen(cls, path: Path, rank: int = 0) -> RunFolder:
        """Opens the folder of a run that has not ended, to go on with it.

        Raises:
            CheckpointError: It is no such folder, or the run has ended.
        """
        try:
            read = json.loads(read_text(path / _ORIGIN, error=CheckpointError, within=path))
            spec = read.get("spec")
            origin = Origin(
                int(read["seed"]),
                str(read["engine"]),
                str(read["command"]),
                None if spec is None else str(spec),
            )
        except FileNotFoundError:
            raise CheckpointError(
                f"'{path}' is not the folder of a run",
                expected="a folder that `groundkit run` has made",
            ) from None
        except (
            ValueError,
            LookupError,
            AttributeError,
            TypeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise CheckpointError(f"'{path / _ORIGIN}' cannot be read: {error}") from None
        if has_ended(path):
            raise CheckpointError(
                f"the run in '{path}' has ended, there is nothing to go on with",
                remedy="read its report.html, or start another run",
            )
        return cls(path, origin, rank)

    def check_program(self, text: str, program: Path) -> None:
        """Checks that the program is still the one that the run was started with.

        Raises:
            CheckpointError: It is not.
        """
        file = self.path / "program.pl"
        try:
            kept = read_text(file, error=CheckpointError, within=self.path)
        except FileNotFoundError:
            raise CheckpointError(f"'{file}' cannot be read: there is no such file") from None
        if kept != text:
            raise CheckpointError(
                f"'{program}' is not the program of the run in '{self.path}'",
                expected=f"the text of '{self.path / 'program.pl'}'",
                remedy="name that file, or start a new run",
            )

    def check_spec(self, program: Path) -> None:
        """Checks that the folder's spec still says what the run was started with.

        Comments and the order of keys may differ. Folders of earlier versions have nothing to
        compare with.

        Args:
            program: The run's program, for the remedy.

        Raises:
            CheckpointError: A key has another value.
        """
        if self.origin.spec is None:
            return
        file = self.path / "spec.toml"
        text = self._spec(file)
        try:
            before, now = _leaves(tomllib.loads(self.origin.spec)), _leaves(tomllib.loads(text))
        except ValueError as error:
            raise CheckpointError(f"'{file}' is not the spec of the run: {error}") from None
        for key in sorted(before.keys() | now.keys()):
            if key in before and key in now and before[key] == now[key]:
                continue
            raise CheckpointError(
                f"{key} is {_worded(now, key)}, the run was started with {_worded(before, key)}",
                expected="the spec that the run was started with",
                remedy=f"{_undo(before, key)}, or start a new run with the new settings: "
                + shlex.join(["groundkit", "run", str(program), "--spec", str(file)]),
                at=Location(file, line_of(text, key.split("."))),
            )

    def _spec(self, file: Path) -> str:
        try:
            return read_text(file, error=CheckpointError, within=self.path)
        except FileNotFoundError:
            assert self.origin.spec is not None  # check_spec has looked
            write_atomically(file, self.origin.spec.encode())
            return self.origin.spec

    def history(self, saved: Saved | None, *, kept: bool = True) -> History:
        """Opens the history; a resumed run has the rows up to its state.

        Args:
            saved: The state that the run goes on from.
            kept: Whether the rows are written; of several processes only the first one writes.

        Raises:
            CheckpointError: A row of the resumed run cannot be read.
        """
        path = self.path / _HISTORY if kept else Path(os.devnull)
        if saved is None or not kept:
            return History(path, [], 0.0)
        return History(path, _read_history(path, saved.facts["rows"]), saved.facts["seconds"])

    def save_state(
        self,
        step: int,
        state: Mapping[str, Any],
        score: float | None,
        history: History | None,
        processes: int = 1,
    ) -> None:
        """Saves the state of training after a step, and how far the history has come."""
        facts: dict[str, Any] = {"score": score, "processes": processes}
        if history is not None:
            facts |= {"rows": len(history.rows), "seconds": history.seconds}
        self._states.save(step, state, facts)

    def state(self, up_to: int | None = None, rank: int | None = None) -> Saved | None:
        """Reads the newest whole state, up to a step; ``None`` when there is none.

        Args:
            up_to: The step.
            rank: The process that saved it; this one by default.
        """
        states = self._states if rank is None else States(self.path / "state" / str(rank))
        return states.latest(up_to)

    def shared_state(self, processes: ProcessGroup) -> Saved | None:
        """Reads the newest state that all processes have; ``None`` when there is none.

        A run may go on with another number of processes: each takes the state, and with it the
        chains, of the process whose number is its own modulo the number of those that saved.
        """
        up_to: int | None = None
        damaged: tuple[str, ...] = ()
        while True:
            newest = self.state(up_to) if processes.leads else None
            offered = processes.agree(None if newest is None else _saved_at(newest))
            if offered is None:
                return None
            step, saved_by = offered
            if newest is not None:
                damaged += newest.damaged
            source = processes.rank % saved_by
            found = newest if processes.leads else self.state(step, source)
            fits = found is not None and _saved_at(found) == offered
            if processes.least(int(fits)) and found is not None:
                return replace(found, damaged=damaged)
            up_to = step - 1

    def clear_states(self) -> None:
        """Removes the states of all processes, when the run has ended."""
        States(self.path / "state").clear()


def _saved_at(saved: Saved) -> tuple[int, int]:
    """The step of a state, and how many processes trained then."""
    return saved.step, saved.facts["processes"]


def _read_history(path: Path, count: int) -> list[Row]:
    """Reads the first rows of a history."""
    rows = []
    for number, values in enumerate(read_rows(path)[:count], start=1):
        try:
            rows.append(read_row(values))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"the line is no row of a history: {type(error).__name__}: {error}",
                expected="what `groundkit run` wrote",
                remedy="copy the run folder again from where it was made",
                at=Location(path, number),
            ) from None
    return rows


def new_path(wanted: Path | None, name: str, seed: int) -> Path:
    """Chooses the folder of a new run, never one that holds another run.

    Raises:
        SpecError: There is a run in the wanted folder.
    """
    if wanted is None:
        date = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
        return Path("runs") / name / f"{date}-{seed}"
    if (wanted / "metrics.json").exists() or (wanted / _ORIGIN).exists():
        remedy = "name another folder with --out"
        if not has_ended(wanted):
            remedy += f", or go on with it: --resume {wanted}"
        raise SpecError(f"'{wanted}' holds a run already", remedy=remedy)
    return wanted


def has_ended(path: Path) -> bool:
    """Whether the run in a folder has come to its end."""
    return all((path / name).exists() for name in ("metrics.json", "report.html"))


def _leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lists the values of nested tables by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _worded(values: Mapping[str, Any], key: str) -> str:
    return _shortened(json.dumps(values[key], default=str)) if key in values else "not given"


def _undo(before: Mapping[str, Any], key: str) -> str:
    return f"set it back to {_worded(before, key)}" if key in before else "remove the key"


def _shortened(text: str, most: int = 80) -> str:
    """Cuts a long text for a message."""
    return text if len(text) <= most else f"{text[:most]}..."


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a folder from another of its name; ``None`` when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def check_ended(folder: Path) -> None:
    """Refuses what is not the folder of a run that can be asked.

    Raises:
        CheckpointError: There is no such folder, or no networks in it; runs that are there are
            named.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"there is no run '{folder}'",
            expected="the folder that `groundkit run` wrote",
            remedy=_runs_beside(folder),
        )
    if not (folder / "checkpoint").is_dir():
        goes_on = is_there(folder / _ORIGIN) and not has_ended(folder)
        raise CheckpointError(
            f"there is no checkpoint in '{folder}'",
            expected="the folder of a run that has ended",
            remedy=f"let it end: groundkit run PROGRAM --resume {folder}"
            if goes_on
            else _runs_beside(folder),
        )


def _runs_beside(folder: Path) -> str:
    """Names runs that could have been meant: those in a folder, or else beside it, or else here."""
    for base in (folder, folder.parent, Path("runs")):
        if found := sorted(str(metrics.parent) for metrics in base.glob("**/metrics.json")):
            return f"runs here: {', '.join(found[-5:])}"
    return "groundkit run PROGRAM makes one"
