"""Files are read only where they are files, and written whole or not at all."""

import codecs
import errno
import json
import os
import re
from pathlib import Path

import pytest

import groundkit
from groundkit.errors import CheckpointError, DataError, RunError
from groundkit.files import (
    RowWriter,
    make_folder,
    read_bytes,
    read_rows,
    read_text,
    shown,
    write_atomically,
)


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


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_are_read_with_and_without_a_byte_order_mark(tmp_path, mark, end):
    (tmp_path / "a").write_bytes(mark + end.join(["é", "b", ""]).encode())
    assert read_text(tmp_path / "a", error=DataError) == "é\nb\n"
    kept = read_text(tmp_path / "a", error=DataError, newlines=False)
    assert kept == end.join(["é", "b", ""])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ab\ncd\0e", "a:2:3: it holds a NUL byte, which no text has"),
        (b"\0\0\0", "a:1:1: it holds a NUL byte"),
        (b"ab\r\n\xffcd", "a:2:1: it is not UTF-8 text: the byte 0xff"),
        ("ab".encode("utf-16"), "a: it is not UTF-8 text but UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path, content, words):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=f"{words}(.|\n)*save it as UTF-8"):
        read_text(tmp_path / "a", error=DataError)


def test_a_file_of_exactly_the_limit_is_read_and_one_more_byte_is_not(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5, error=DataError) == b"12345"
    with pytest.raises(DataError, match="a' has 5 bytes\n  expected: at most 4 bytes"):
        read_bytes(tmp_path / "a", 4, error=DataError)


def test_a_file_whose_size_the_system_does_not_know_is_read_up_to_the_limit():
    path = Path("/proc/self/maps")
    if not path.exists():
        pytest.skip("no such file here")
    assert read_bytes(path, 1 << 24, error=DataError)
    with pytest.raises(DataError, match="goes on without end"):
        read_bytes(path, 10, error=DataError)


def test_links_are_followed_inside_a_folder_and_not_out_of_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("a")
    (tmp_path / "in" / "b").symlink_to("a")
    (tmp_path / "c").symlink_to(tmp_path / "in")
    within = tmp_path / "c"
    assert read_bytes(within / "b", error=DataError, within=within) == b"a"
    (tmp_path / "in" / "d").symlink_to("../secret")
    for there in (False, True):
        if there:
            (tmp_path / "secret").write_text("s")
        with pytest.raises(DataError, match=r"the link .*d' leaves the folder .*c'"):
            read_bytes(within / "d", error=DataError, within=within)
    with pytest.raises(FileNotFoundError):
        read_bytes(within / "e", error=DataError, within=within)
    with pytest.raises(FileNotFoundError):
        read_bytes(within / "a" / "e", error=DataError, within=within)


def test_every_file_is_opened_by_the_one_function():
    """Nobody else in the package opens, maps or reads a file that a user may name."""
    ours = {"files.py", "presets/__init__.py", "demo/server.py", "circuit/cache.py"}
    # These read ProbLog's libraries, what the task itself has written, and their own sources.
    ours |= {"program/builtins.py", "circuit/task_worker.py", "data/kept.py"}
    odd = re.compile(
        r"\.read_text\(|\.read_bytes\(|(?<![\w.])open\(|Image\.open\((?!io\.)|\.open\(\"r"
    )
    package = Path(groundkit.__file__).parent
    found = {
        f"{path.relative_to(package)}:{number}"
        for path in package.rglob("*.py")
        if str(path.relative_to(package)) not in ours
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if odd.search(line)
    }
    assert not found


@pytest.mark.parametrize(
    ("path", "words"),
    [("a\nb", "a\\nb"), ("x" * 999, "..."), ("\x1b[31mred", "\\x1b[31mred"), ("é", "é")],
)
def test_paths_are_printed_short_and_without_control_characters(path, words):
    assert words in shown(path) and len(shown(path)) <= 200 and shown(path).isprintable()
