"""The report is complete in itself, escapes a stranger's names, and says what is missing."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from groundkit.report.html import write_report

SYMBOLS = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;"]
VOID = {"meta", "link", "img", "source", "br"}


class Reader(HTMLParser):
    """Collects tags, attributes, headings and text, and checks that tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.ids, self.text, self.images = [], [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attrs = dict(attrs)
        assert not any(name.startswith("on") for name in attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "img":
            self.images.append(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def grounding(accuracy=0.5, **more):
    known = accuracy is not None
    return {
        "accuracy": accuracy, "accuracy_matched": accuracy, "nmi": accuracy, "ari": accuracy,
        "collapse": 1 / 3, "ece": 0.1 if known else None, "n": 6,
        "per_symbol": dict.fromkeys(SYMBOLS, accuracy),
        "predicted_share": dict(zip(SYMBOLS, [0.5, 0.5, 0.0], strict=True)),
        "learnt_map": dict.fromkeys(SYMBOLS, SYMBOLS[0]) if known else {},
        "confusion": [[2, 0, 0], [1, 1, 0], [2, 0, 0]] if known else None,
    } | more  # fmt: skip


@pytest.fixture
def full():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(2), 6)
    return {
        "title": SYMBOLS[0],
        "command": "groundkit run '<x>'",
        "networks": [
            {
                "name": "net</title>", "symbols": SYMBOLS, "grounding": grounding(),
                "draw": rng.random((6, 1, 5, 5)).__getitem__, "probs": np.c_[probs, np.zeros(6)],
                "truth": np.array([0, 0, 1, 1, 2, -1]), "energies": rng.random(6),
                "ood_energies": {SYMBOLS[1]: rng.random(6)},
                "ood": {
                    SYMBOLS[1]: {"auroc": 0.75, "fpr95": 0.5, "aupr": 0.7},
                    "fashion-mnist": {"auroc": None, "reason": "not on this machine"},
                },
                "samples": rng.random((2, 1, 5, 5)), "asked": np.array([0, 1]),
                "nearest": rng.random((2, 1, 5, 5)),
                "generation": {"fid": 12.0, "kid": 0.1, "fid_floor": 1.0, "n": 2,
                               "agreement": 0.5, "extractor": "convnet <b>", "reason": None},
                "reliability": {"edges": [0, 0.5, 1], "count": [0, 6], "confidence": [None, 0.8],
                                "accuracy": [None, 0.6]} | {"ece": 0.2},
            }
        ],
        "query": {"accuracy": 0.9, "nll": 0.2},
        "identify": {
            "count": 2, "permutations": 1, "collapses": 1, "convention": "identity included",
            "witnesses": [{"kind": "collapse", "words": "all become <b>0</b>"}],
            "removals": [{"by": "prior", "removed": 1, "left": 1, "why": "uses every symbol"}],
            "suggestions": [{"items": ["digit(X, 1)"], "left": 1}],
            "learnt": {"words": "identity", "admitted": True},
        },
        "history": [{"step": 1, "symbolic": -1.0}, {"step": 2, "symbolic": -0.5}],
        "events": [{"step": 2, "kind": "reground", "text": "moved 3->5"}],
        "health": [{"name": "clusters", "status": "good", "text": "9.9 of 10"}],
        "timing": {"train_s": 200.0, "sample_s": 50.0, "ground_s": None},
        "memory": {"peak_mb": 512.0},
        "environment": {"device": "cpu", "versions": {"torch": "2", "x": None}},
        "program": "a :- b.", "spec": "[query]",
    }  # fmt: skip


def rendered(data, folder):
    return write_report(data, folder).read_text(encoding="utf-8")


def test_names_are_escaped_and_nothing_is_loaded(full, tmp_path):
    text = rendered(full, tmp_path)
    page = Reader(text)
    assert "script" not in page.tags
    assert set(re.findall(r'(?:src|srcset|href)="([^"#]{0,5})', text)) <= {"data:", ""}
    assert "url(" not in text and "@import" not in text
    assert SYMBOLS[0] in page.text and "default-src 'none'" in text


def test_structure_is_right_for_a_screen_reader(full, tmp_path):
    text = rendered(full, tmp_path)
    page = Reader(text)
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(page.ids)
    assert page.images and all(image["alt"].strip() for image in page.images)
    assert '<html lang="en">' in text


def test_sections_say_what_was_found(full, tmp_path):
    text = Reader(rendered(full, tmp_path)).text
    for words in (
        "Collapsed: 1 of 3", "never given to an image", "prior rules out 1, leaves 1: uses",
        "observe digit(X, 1) (1 left)",
        "not measured: not on this machine", "Frechet distance 12.0", "Step 2: moved 3->5",
        "3 min 20 s", "of which sample", "cpu, torch 2", "nearest to each sample", "none generated",
        "512 MB",
        "groundkit run '<x>'", "is one of them",
    ):  # fmt: skip
        assert words in text, words


def test_parts_of_a_stage_do_not_count_twice(full, tmp_path):
    assert "Time in all3 min 20 s" in Reader(rendered(full, tmp_path)).text


def test_the_least_data_gives_reasons_instead_of_blanks(tmp_path):
    data = {
        "title": "t", "command": "c",
        "networks": [{"name": "n", "symbols": SYMBOLS,
                      "grounding": grounding(None, reason="the images have no labels")}],
    }  # fmt: skip
    page = Reader(rendered(data, tmp_path))
    for words in (
        "confusion matrix is missing: the images have no labels",
        "Calibration is missing: the images have no labels",
        "Curves are missing", "Energies are missing", "Samples are missing", "Timings are missing",
        "admitted groundings is missing", "Health verdicts are missing",
    ):  # fmt: skip
        assert words in " ".join(page.text.split()), words


def test_no_network_and_several_networks(full, tmp_path):
    assert "Nothing to judge" in rendered({"title": "t", "command": "c", "networks": []}, tmp_path)
    full["networks"].append(full["networks"][0] | {"name": "other"})
    page = rendered(full, tmp_path)
    Reader(page)
    for tile in ("Accuracy", "After best renaming", "NMI", "Collapse"):
        assert f"<dt>{tile} of other</dt>" in page


def test_files_are_written_and_plots_are_named_by_network(full, tmp_path):
    path = write_report(full, tmp_path)
    assert path == tmp_path / "report.html" and path.read_text().startswith("<!DOCTYPE html>")
    names = {p.name for p in (tmp_path / "plots").iterdir()}
    assert {"confusion.png", "symbols.png", "energy.png", "samples.png", "curves.png"} <= names
    full["networks"].append(full["networks"][0] | {"name": "../x"})
    write_report(full, tmp_path)
    assert (tmp_path / "plots" / "---x-confusion.png").exists()
