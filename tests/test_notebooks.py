"""Every notebook runs from top to bottom at a small size, and is committed as it should be."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_at_a_small_size(path, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDKIT_NOTEBOOK", "small")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the kernel works in a folder of its own
    shutil.copytree(ROOT / "programs", tmp_path / "programs")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="python3", timeout=280, resources=resources).execute()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_outputs_and_nothing_of_its_author(path):
    assert path.stat().st_size < 500_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    outputs = []
    for cell in notebook.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            outputs += cell.outputs
    assert all(output.output_type != "error" for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    for picture in pictures:  # read out where it cannot be seen
        assert len(picture.metadata["image/png"]["alt"]) > 40
    shown = "".join(
        str(text)
        for output in outputs
        for kind, text in output.get("data", {"text": output.get("text", "")}).items()
        if kind != "image/png"
    )
    for trace in ("/home/", "/root/", "/tmp/", "/Users/"):
        assert trace not in shown


def test_every_notebook_is_named_in_the_documentation():
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert path.name in page
