"""Memory and speed of sets that are larger than what groundkit holds in memory.

    python -m benchmarks.large [--folder DIR] [--parts 28x28] [--small]

Draws random images into archives, trains ``programs/clusters.pl`` on each in a process of its own,
and notes the process's resident memory at every step and at its peak. Then measures how many images
a second are decoded from a folder and gathered in batches from disk and from memory. Writes
benchmarks/results/large.json and large.md, where parts that are not measured stay as they are;
``--small`` prints them for a few images instead.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from pyarrow import parquet

from benchmarks.machine import circumstances
from benchmarks.memory import resident_mb
from groundkit import run
from groundkit.data import files, stored
from groundkit.data.archives import load_npz
from groundkit.data.features import load_table
from groundkit.data.kept import KeptImages

HERE = Path(__file__).parent
# Images, their shape, and how many a step sees.
SETS = {"28x28": (1_000_000, (1, 28, 28), 4000), "224x224": (100_000, (3, 224, 224), 256)}
SMALL = {"28x28": (600, (1, 28, 28), 40), "224x224": (60, (3, 224, 224), 4)}
DECODED, GATHERED, BATCH = 5_000, 200, 256
CLUSTER_STEPS = 10
SETTINGS = [
    "networks.digit_net.backbone=mlp", "networks.digit_net.options.width=16",
    "networks.digit_net.perception.augmentation=none",
    "networks.digit_net.perception.sampler.buffer=64",
    "networks.digit_net.perception.sampler.batch=32",
    "train.min_steps=0", "train.epochs=1", f"train.cluster_steps={CLUSTER_STEPS}",
    "evaluate.ood=[]", "evaluate.samples=0",
]  # fmt: skip


def draw(path: Path, count: int, shape: tuple[int, ...]) -> None:
    """Writes an archive as numpy.savez would, without holding its images in memory."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        labels = archive.open("labels.npy", "w")
        with labels:
            np.lib.format.write_array(labels, rng.integers(0, 10, count))
        with archive.open("images.npy", "w", force_zip64=True) as stream:
            head = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
            np.lib.format.write_array_header_1_0(stream, head)
            for start in range(0, count, 1000):
                part = (min(1000, count - start), *shape)
                stream.write(rng.integers(0, 256, part, dtype=np.uint8).tobytes())


class Watch:
    """Notes resident memory at every step."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float | str]] = []

    def say(self, text: str) -> None:
        """Prints what happens."""
        print(text, flush=True)

    def step(self, done: int, total: int, what: str) -> None:
        """Measures."""
        if done % 10 == 0:
            self.rows.append({"step": done, "what": what, "resident_mb": round(resident_mb())})


def train(archive: Path, batch: int, most: int) -> dict[str, object]:
    """Trains an epoch on an archive; returns memory at steps, and the process's peak."""
    torch.set_num_threads(1)
    stored.MOST_IN_MEMORY = most
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        run(
            HERE.parent / "programs" / "clusters.pl",
            out=Path(folder) / "run",
            settings=[*SETTINGS, f'examples.data="{archive}"', f"train.pool_batch={batch}"],
            device="cpu",
            progress=watch,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"steps": watch.rows, "peak_mb": round(peak)}


def speed(folder: Path, archive: Path, decoded: int) -> list[dict[str, object]]:
    """Images a second: decoded from a folder, and gathered in random batches."""
    rng = np.random.default_rng(1)
    (folder / "images").mkdir()
    named = []
    for number in range(decoded):
        path = folder / "images" / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
        named.append((path, None))
    begun = time.perf_counter()
    for path, at in named:
        files.read_image(path, (1, 28, 28), at)
    one = decoded / (time.perf_counter() - begun)
    begun = time.perf_counter()
    kept, _ = KeptImages(named, "speed").make(
        (1, 28, 28), lambda one: files._decode(one[0], (1, 28, 28), one[1])
    )
    cached = time.perf_counter() - begun
    table = table_of(folder, rng, decoded)
    begun = time.perf_counter()
    load_table(table)
    taken = time.perf_counter() - begun
    rows: list[dict[str, object]] = [
        {"from": "a folder of PNG files, one after the other", "images_s": one},
        {"from": "a folder into the cache", "images_s": decoded / cached},
        {"from": "a Parquet table, a list of 784 features a row", "images_s": decoded / taken},
    ]
    pool = load_npz(archive).train.pixels
    for what, images in (
        ("the cache", kept),
        ("an archive, where it stands", pool),
        ("memory", pool[:100_000].float().to(torch.uint8)),
    ):
        begun = time.perf_counter()
        for _ in range(GATHERED):
            images[torch.randint(len(images), (BATCH,))].float()
        rate = GATHERED * BATCH / (time.perf_counter() - begun)
        rows.append({"from": f"{what}, random batches of {BATCH}", "images_s": rate})
    return [row | {"size": "28x28", "images_s": round(float(str(row["images_s"])))} for row in rows]


def table_of(folder: Path, rng: np.random.Generator, count: int) -> Path:
    """Writes a Parquet table of as many values a row as an image has pixels."""
    values = pa.array(list(rng.random((count, 784), dtype=np.float32)))
    parquet.write_table(pa.table({"features": values}), folder / "table.parquet")
    return folder / "table.parquet"


def page(found: dict[str, dict]) -> str:
    """Words the tables."""
    made = {case["made"] for case in found.values()}
    lines = [
        "# Sets larger than memory", "",
        *(f"Made by {one}." for one in sorted(made)), "",
        "Resident memory of a process that trains an epoch on an archive: at every tenth step, and "
        "at its peak, reading and evaluation with it.", "",
        "| images | size | set, MB | largest at a step, MB | peak of the run, MB |",
        "|---:|---|---:|---:|---:|",
    ]  # fmt: skip
    for name in SETS:
        case = found.get(name)
        if case is not None:
            most = max(row["resident_mb"] for row in case["steps"])
            cells = f"{case['set_mb']:,} | {most:,} | {case['peak_mb']:,}"
            lines.append(f"| {case['images']:,} | {name} | {cells} |")
    if "speed" in found:
        lines += ["", "| 28x28 images from | images a second |", "|---|---:|"]
        lines += [f"| {row['from']} | {row['images_s']:,} |" for row in found["speed"]["rows"]]
    return "\n".join(lines) + "\n"


def measure(part: str, folder: Path, small: bool) -> dict[str, object]:
    """Measures one part."""
    sets, most = (SMALL, 1 << 18) if small else (SETS, stored.MOST_IN_MEMORY)
    size = "28x28" if part == "speed" else part
    count, shape, batch = sets[size]
    archive = folder / f"{size}.npz"
    if not archive.exists():
        draw(archive, count, shape)
    if part == "speed":
        stored.MOST_IN_MEMORY = most
        return {"rows": speed(folder, archive, 100 if small else DECODED)}
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        case = alone.apply(train, (archive, batch, most))
    return {"images": count, "set_mb": round(archive.stat().st_size / 2**20), **case}


def main() -> None:
    """Draws, trains and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--parts", nargs="+", default=[*SETS, "speed"], choices=[*SETS, "speed"])
    parser.add_argument("--small", action="store_true")
    wanted = parser.parse_args()
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    rows = HERE / "results" / "large.json"
    found = json.loads(rows.read_text()) if rows.exists() and not wanted.small else {}
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        for part in wanted.parts:
            case = measure(part, Path(name), wanted.small)
            command = f"`python -m benchmarks.large --parts {part}`"
            made = f"{command}, {circumstances('torch', 'numpy', 'pillow')}"
            found[part] = {"made": made, "commit": commit, "date": f"{date.today()}", **case}
            print(part, json.dumps(found[part]), flush=True)
    if wanted.small:
        sys.stdout.write(page(found))
        return
    rows.write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "results" / "large.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
