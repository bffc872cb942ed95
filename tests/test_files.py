"""Files are written whole or not at all, and a failure names the file and what to do."""

import errno
import json
import os
from pathlib import Path

import pytest

from groundkit.errors import CheckpointError, RunError
from groundkit.files import RowWriter, make_folder, read_rows, write_atomically


def fail(number):
    def failing(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize(
    ("call", "number", "remedy"),
    [
        ("fsync", errno.ENOSPC, "free some space"),
        ("replace", errno.EACCES, "may write to"),
        ("replace", errno.EIO, "check the path"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, call, number, remedy
):
    path = tmp_path / "a"
    write_atomically(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail(number))
        with pytest.raises(RunError, match=f"a' cannot be written: {os.strerror(number)}") as info:
            write_atomically(path, b"new")
    assert remedy in info.value.remedy
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file/runs' cannot be written: Not a directory"):
        make_folder(tmp_path / "file" / "runs")
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        write_atomically(tmp_path, b"")


def test_devices_are_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"words")
    assert os.read(reader, 10) == b"words"
    os.close(reader)
    assert pipe.is_fifo()


def test_rows_come_back_and_a_cut_last_line_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    writer = RowWriter(path, [{"step": 0}])
    writer.add({"step": 1, "words": "a\nb"})
    assert read_rows(path) == [{"step": 0}, {"step": 1, "words": "a\nb"}]
    writer.add({"step": 2})
    writer.close()
    whole = path.read_bytes()
    last = len(json.dumps({"step": 2}))
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        assert [row["step"] for row in read_rows(path)] == [0, 1]
    path.write_bytes(whole.replace(b'"step": 1', b'"step" 1'))
    with pytest.raises(CheckpointError, match="not a JSON object") as info:
        read_rows(path)
    assert info.value.at.line == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_named_when_a_row_does_not_fit(tmp_path):
    path = tmp_path / "history.jsonl"
    path.symlink_to("/dev/full")
    writer = RowWriter(path)
    with pytest.raises(RunError, match=r"history.jsonl' cannot be written: No space left"):
        writer.add({"step": 1})
