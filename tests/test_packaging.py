"""What is installed and what is distributed: versions, programs in the wheel, licences."""

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import groundkit.cli.starters as starters
from groundkit.cli.app import app
from tests.test_docs import SMALL

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PROGRAMS = sorted(path.stem for path in (ROOT / "programs").glob("*.pl"))


def _build(hook, folder):
    """Builds with the hook that pip calls, in a copy, so that no build folder is left here."""
    copy = folder / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split("\n")  # fmt: skip
    if not any(listed):
        pytest.skip("no git checkout to build from")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    code = f"import setuptools.build_meta as b; print(b.{hook}({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1], {name for name in listed if name}


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(tmp_path):
    wheel, _ = _build("build_wheel", tmp_path)
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()

    def call(*words):
        done = subprocess.run(
            [sys.executable, "-m", "groundkit", *words], cwd=empty, capture_output=True,
            text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert call("--version") == f"groundkit {PROJECT['version']}\n"
    for name in PROGRAMS:
        call("new", name, "--like", name)
    call("new", "mine", "--like", "addition")
    call("run", "mine.pl", "--out", "out", *(w for one in SMALL for w in ("--set", one)))
    assert (empty / "out" / "report.html").exists()


@pytest.mark.slow
def test_the_source_archive_holds_every_file_of_the_checkout(tmp_path):
    archive, listed = _build("build_sdist", tmp_path)
    with tarfile.open(archive) as opened:
        packed = {name.partition("/")[2] for name in opened.getnames()}
    assert {name for name in listed if (ROOT / name).is_file()} - packed <= {".gitignore"}


def test_every_program_is_a_start():
    found = starters.starts()
    assert set(PROGRAMS) | {"own"} == set(found)
    assert all(words and "\n" not in words for words in found.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_shipped_program_is_copied_under_its_new_name(name, tmp_path):
    files = starters.write_starter("mine", name, tmp_path)
    assert [file.name for file in files] == ["mine.pl", "mine.toml", "mine.md"]
    assert f"programs/{name}." not in files[2].read_text()


def test_a_name_in_place_of_a_file_is_told_of_new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["run", "addition"])
    assert found.exit_code == 2
    assert "groundkit new" in found.stderr


@pytest.mark.parametrize("asked", ["-h", "--help"])
@pytest.mark.parametrize("command", [(), ("run",), ("query",)])
def test_help_has_a_short_name(command, asked):
    found = CliRunner().invoke(app, [*command, asked])
    assert found.exit_code == 0 and "Usage" in found.stdout


def test_version_and_citation_agree():
    found = CliRunner().invoke(app, ["--version"])
    assert found.stdout == f"groundkit {PROJECT['version']}\n"
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_licence_of_every_dependency_is_listed():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    listed = (ROOT / "docs" / "licences.md").read_text("utf-8")
    for names in licences.direct().values():
        for name in names:
            assert re.search(rf"^\| {re.escape(name)} \| \w", listed, re.MULTILINE), name
    assert "not installed" not in listed and "not stated" not in listed


def test_what_finds_faults_is_pinned():
    pinned = [one for one in PROJECT["optional-dependencies"]["dev"] if "==" in one]
    assert {one.partition("==")[0] for one in pinned} == {"ruff", "mypy"}
