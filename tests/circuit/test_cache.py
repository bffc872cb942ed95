"""Compiled shapes on disk: found again, damaged entries rebuilt, several processes at once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from groundkit.circuit import cache
from groundkit.circuit.prepare import prepare
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

TEXT = """
nn(net,[X],Y,[0,1,2])::digit(X,Y). t(0.2)::noisy. 0.3::a; 0.1::b. evidence(\\+b).
q(X,Z) :- \\+noisy, digit(X,Z). q(X,7) :- noisy, a.
"""


def shape_of(text: str = TEXT) -> Shape:
    return Shape(parse_program(text), parse_goal("q(X,Z)"), ("X",))


def test_an_entry_is_read_back_as_it_was(tmp_path: Path) -> None:
    program, compiled = prepare(shape_of(), tmp_path, None)
    again = cache.load(tmp_path, shape_of())
    assert again is not None
    assert again[0] == program
    assert again[1].circuit == compiled.circuit
    assert again[1].stage == compiled.stage


def test_another_program_or_shape_is_another_entry(tmp_path: Path) -> None:
    prepare(shape_of(), tmp_path, None)
    assert cache.load(tmp_path, shape_of(TEXT + "r.")) is None
    assert cache.load(tmp_path, replace(shape_of(), observed_values={"Z": ["1"]})) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_entry_is_noticed_and_rebuilt(tmp_path: Path, damage: str) -> None:
    prepare(shape_of(), tmp_path, None)
    (entry,) = tmp_path.iterdir()
    raw = bytearray(entry.read_bytes())
    if damage == "flip":
        raw[-10] ^= 255
    entry.write_bytes({"cut": bytes(raw[:-20]), "flip": bytes(raw), "empty": b""}[damage])
    with pytest.warns(UserWarning, match="damaged"):
        prepare(shape_of(), tmp_path, None)
    assert cache.load(tmp_path, shape_of()) is not None


def test_a_folder_that_cannot_be_written_only_warns(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="is not kept"):
        prepare(shape_of(), tmp_path / "file" / "cache", None)


def test_programs_that_may_load_files_are_not_kept(tmp_path: Path) -> None:
    shape = shape_of()
    prepare(replace(shape, program=parse_program(TEXT, trust=True)), tmp_path, None)
    assert list(tmp_path.iterdir()) == []


SHARING = """
import hashlib, json, sys, time
from pathlib import Path
from groundkit.circuit.codec import encode
from tests.circuit.test_cache import TEXT, prepare, shape_of
folder, start = map(Path, sys.argv[1:])
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
for text in (TEXT, TEXT + "0.5::c."):
    program, compiled = prepare(shape_of(text), folder, None)
    found = encode(program, compiled)
    plain = [found[name] for name in ("choices", "nodes", "answers", "roots", "circuit")]
    print(hashlib.sha256(json.dumps(plain).encode()).hexdigest())
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    folder, start = tmp_path / "cache", tmp_path / "start"
    command = [sys.executable, "-W", "error", "-c", SHARING, str(folder), str(start)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    start.touch()
    told = {process.communicate()[0] for process in running}
    assert {process.returncode for process in running} == {0}
    assert len(told) == 1 and len(told.pop().split()) == 2
    assert [path.suffix for path in folder.iterdir()] == [".shape", ".shape"]


def test_an_entry_whose_content_reads_well_but_differs_from_its_checksum_is_refused(tmp_path):
    prepare(shape_of(), tmp_path, None)
    (entry,) = tmp_path.iterdir()
    raw = bytearray(entry.read_bytes())
    raw[len(cache._MAGIC)] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        cache.unpack(bytes(raw))


def test_an_entry_of_another_format_is_refused_by_its_name(tmp_path: Path) -> None:
    prepare(shape_of(), tmp_path, None)
    (entry,) = tmp_path.iterdir()
    with pytest.raises(ValueError, match="its format is 'groundkit-shape-0'"):
        cache.unpack(entry.read_bytes().replace(b"shape-1", b"shape-0", 1))
