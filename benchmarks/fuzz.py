"""Hands every reader of a user's file 100,000 inputs, and counts what comes out.

    pip install atheris
    python -m benchmarks.fuzz [--inputs 100000] [--reader NAME]... [--keep FOLDER]

atheris guides the inputs by the coverage of the reader's code; half of the changes are its own,
half put in pieces of the reader's language. Each reader runs in a process of its own with 3 GiB
to spare. Counted are inputs accepted, inputs refused by one of groundkit's own errors, and what
must be none: other exceptions, inputs that took more than 10 s of computing, and effects (a file
written, removed or renamed outside of the folder that holds the input, a process started, a
connection opened, an object unpickled). The table goes to benchmarks/results/fuzz.md, a row
as each reader is through.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.machine import circumstances

HERE = Path(__file__).parent
SECONDS = 10.0
MEMORY = 3 << 30
CODE = ["groundkit", "problog", "PIL", "csv", "tomllib", "tests.fuzz"]


class HangError(BaseException):
    """An input took too long; no reader may catch it."""


class Effects:
    """Watches for what reading must not do, from Python's audit events."""

    def __init__(self, allowed: Path) -> None:
        self.allowed = str(allowed)
        self.seen: Counter[str] = Counter()
        self.armed = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & 3 or any(c in str(mode) for c in "wax+")
            if writes and not str(path).startswith(self.allowed):
                self.seen[f"{event} {path}"] += 1
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            if not str(arguments[0]).startswith(self.allowed):
                self.seen[f"{event} {arguments[0]}"] += 1
        elif event.startswith(("subprocess", "os.system", "os.exec", "os.fork", "os.posix_spawn",
                               "socket.connect", "pickle.find_class")):  # fmt: skip
            self.seen[event] += 1


def fuzz(name: str, inputs: int, report: Path, keep: Path | None) -> None:
    """Fuzzes one reader; never returns."""
    import atheris

    with atheris.instrument_imports(include=CODE, enable_loader_override=False):
        from groundkit.errors import GroundkitError
        from tests.fuzz.readers import edit, readers

    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    (folder / "seeds").mkdir()
    (folder / "work").mkdir()
    (folder / "first").mkdir()
    reader = readers(folder / "first")[name]
    for number, seed in enumerate(reader.seeds):
        (folder / "seeds" / str(number)).write_bytes(seed)
    with contextlib.suppress(GroundkitError):  # what is imported late is imported now
        reader.read(folder / "work", reader.seeds[0])
    found: dict[str, Any] = {"inputs": 0, "accepted": 0, "refused": 0, "slowest_s": 0.0}
    faults: Counter[str] = Counter()
    effects = Effects(folder / "work")

    def hang(_signal: int, _frame: object) -> None:
        raise HangError

    def one(data: bytes) -> None:
        found["inputs"] += 1
        started = time.process_time()
        effects.armed = True
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            reader.read(folder / "work", data)
            found["accepted"] += 1
        except GroundkitError as error:
            found["refused"] += bool(str(error))
        except (Exception, HangError) as error:
            effects.armed = False
            last = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
            if not faults[fault] and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                file = f"{name}-{len(faults)}".replace(" ", "-")
                (keep / file).write_bytes(data)
                (keep / f"{file}.txt").write_text("".join(traceback.format_exception(error)))
            faults[fault] += 1
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            effects.armed = False
            found["slowest_s"] = max(found["slowest_s"], time.process_time() - started)
        if found["inputs"] % 1000 == 0 or found["inputs"] >= inputs:
            found.update(faults=dict(faults), effects=dict(effects.seen))
            report.write_text(json.dumps(found))
        if found["inputs"] >= inputs:
            subprocess.run(["rm", "-rf", str(folder)], check=False)
            sys.stdout.flush()
            signal.raise_signal(signal.SIGKILL)  # libFuzzer never returns

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if not reader.tokens or rng.random() < 0.5:
            return atheris.Mutate(data, most)
        times = 1 if rng.random() < 0.99 else rng.choice((5, 100, 3000))
        changes = [
            (rng.randrange(1 << 16), rng.choice((0, 0, 1, 3, 20)), rng.choice(reader.tokens), times)
            for _ in range(rng.randint(1, 4))
        ]
        return edit(data, changes)[:most]

    signal.signal(signal.SIGPROF, hang)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    most = max(400, 2 * max(map(len, reader.seeds)))
    options = [
        "-timeout=86400",
        "-rss_limit_mb=0",
        f"-max_len={most}",
        f"-seed={sum(map(ord, name))}",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "seeds")], one, custom_mutator=mutate)
    atheris.Fuzz()


def table(found: dict[str, dict[str, Any]], inputs: int) -> str:
    """Words the counts."""
    packages = ("atheris", "problog", "pillow", "numpy", "safetensors", "pydantic")
    lines = [
        "# Fuzzing the readers",
        "",
        f"Made by `python -m benchmarks.fuzz --inputs {inputs}`, one process, "
        f"{circumstances(*packages)}. Coverage guides the inputs. Only groundkit's own errors may "
        f"come out; a hang is an input that took more than {SECONDS:g} s of computing; an effect "
        "is a file written elsewhere, a process, a connection or an unpickled object. A cache "
        "entry is never refused: a bad one is made anew, with a warning.",
        "",
        "| reader | inputs | accepted | refused | other errors | hangs | effects | slowest, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        hangs = sum(n for fault, n in one["faults"].items() if fault.startswith("HangError"))
        others = sum(one["faults"].values()) - hangs
        lines.append(
            f"| {name} | {one['inputs']} | {one['accepted']} | {one['refused']} | {others} | "
            f"{hangs} | {sum(one['effects'].values())} | {one['slowest_s']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fuzzes the readers one after the other and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--reader", action="append")
    parser.add_argument("--keep", type=Path, help="folder for inputs that broke a reader")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.report is not None:
        fuzz(given.reader[0], given.inputs, given.report, given.keep)
    from tests.fuzz.readers import readers

    with tempfile.TemporaryDirectory() as folder:
        names = list(readers(Path(folder)))
    found = {}
    for name in given.reader or names:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            arguments = ["--reader", name, "--inputs", str(given.inputs), "--report", str(report)]
            if given.keep is not None:
                arguments += ["--keep", str(given.keep)]
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.fuzz", *arguments],
                cwd=HERE.parent,
                check=False,
                capture_output=True,
                text=True,
            )
            if not report.exists():
                sys.exit(f"{name}: the fuzzer ended early\n{done.stderr[-2000:]}")
            found[name] = json.loads(report.read_text())
        print(f"{name}: {time.perf_counter() - started:.0f} s, {found[name]}", flush=True)
        if given.reader is None:
            (HERE / "results" / "fuzz.md").write_text(table(found, given.inputs))


if __name__ == "__main__":
    main()
