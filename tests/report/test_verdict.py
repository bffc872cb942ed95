"""The verdict in words: each way a run can end."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.report import verdict
from groundkit.report.verdict import judge

DIGITS = [str(d) for d in range(10)]


def scores(accuracy=0.97, matched=None, moved=None, shares=None, **more):
    return {
        "accuracy": accuracy,
        "accuracy_matched": accuracy if matched is None else matched,
        "per_symbol": dict.fromkeys(DIGITS, accuracy),
        "predicted_share": dict.fromkeys(DIGITS, 0.1) | (shares or {}),
        "learnt_map": dict(zip(DIGITS, DIGITS, strict=True)) | (moved or {}),
    } | more


PROGRAM = {"count": 1, "permutations": 1}


def test_grounded_and_nothing_else_fits():
    v = judge({"net": scores()}, PROGRAM, {"nll": 0.1})
    assert v.status == "grounded" and "97.0 %" in v.found and "No other grounding" in v.advice


def test_grounded_where_other_groundings_only_merge_symbols():
    v = judge({"net": scores()}, {"count": 2, "permutations": 1})
    assert v.status == "grounded" and "merges symbols" in v.advice


def test_grounded_by_luck_says_so():
    v = judge({"net": scores()}, {"count": 24, "permutations": 24})
    assert v.status == "grounded" and "another seed may" in v.advice


def test_collapse_names_the_symbols_and_the_key_to_change():
    gone = dict.fromkeys(DIGITS[1:], 0.0)
    v = judge({"mnist_net": scores(0.11, shares=gone)}, {"count": 2, "permutations": 1})
    assert v.status == "collapsed"
    assert v.found.startswith("Collapsed: 9 of 10 symbols of mnist_net are never predicted")
    assert "[networks.mnist_net.perception] prior" in v.advice


def test_a_symbol_without_images_is_not_a_collapse():
    s = scores(shares={"9": 0.0})
    s["per_symbol"]["9"] = None
    assert judge({"net": s}, PROGRAM).status == "grounded"


def test_clusters_right_names_wrong():
    v = judge({"net": scores(0.4, 0.95, {"3": "5", "5": "3"})}, PROGRAM)
    assert v.status == "renamed" and v.found.startswith("Clusters right, names wrong")
    assert "40.0 %" in v.found and "95.0 %" in v.found


def test_ambiguous_when_the_learnt_map_is_another_admitted_one():
    s = scores(0.4, 0.97, {"1": "2", "2": "1"})
    v = judge({"net": s}, {"count": 24, "permutations": 24})
    assert v.status == "ambiguous" and "1 as 2, 2 as 1" in v.found and "24 groundings" in v.found


def test_a_renaming_that_was_checked_and_is_not_admitted_is_not_ambiguous():
    s = scores(0.4, 0.97, {"1": "2", "2": "1"})
    identify = {"count": 24, "permutations": 24}
    checked = {"learnt": {"admitted": False}}
    assert judge({"net": s}, identify | checked).status == "renamed"
    checked = {"learnt": {"admitted": True}}
    assert judge({"net": s}, identify | checked).status == "ambiguous"


def test_not_grounded_when_renaming_would_not_help():
    v = judge({"net": scores(0.5, 0.52)}, PROGRAM)
    assert v.status == "not grounded" and "cluster_steps" in v.advice


def test_without_truth_the_clues_are_given():
    s = scores(None, reason="no image has a known true symbol") | {"accuracy_matched": None}
    v = judge({"net": s}, PROGRAM, {"nll": 0.0513})
    assert v.status == "unknown" and "95.0 %" in v.found and "one grounding only" in v.found


def test_collapse_shows_without_truth():
    s = scores(None, shares={"7": 0.0}, n=500) | {"accuracy_matched": None}
    assert judge({"net": s}, PROGRAM).status == "collapsed"
    assert "reground" not in judge({"net": s}).advice  # without a goal nothing is relabelled


@pytest.mark.parametrize(("unused", "images", "status"), [
    (1, 12, "unknown"), (8, 12, "collapsed"), (9, 1, "unknown"), (9, 0, "unknown"),
    (1, 80, "collapsed"),
])  # fmt: skip
def test_few_images_that_show_few_symbols_are_no_collapse(unused, images, status):
    s = scores(None, shares=dict.fromkeys(DIGITS[:unused], 0.0), n=images)
    assert judge({"net": s | {"accuracy_matched": None}}).status == status


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 6), st.data())
def test_the_chance_of_missing_symbols_is_bounded_from_above(symbols, images, data):
    unused = data.draw(st.integers(0, symbols - 1))
    drawn = list(itertools.product(range(symbols), repeat=images))
    true = np.mean([len(set(one)) <= symbols - unused for one in drawn])
    assert verdict._by_chance(symbols, unused, images) >= true - 1e-12


@pytest.mark.parametrize(("matched", "status"), [(0.95, "grounded"), (0.5, "not grounded")])
def test_a_clusterer_without_program_is_judged_by_its_clusters(matched, status):
    v = judge({"net": scores(0.1, matched)})
    assert v.status == status and "without a program" in v.found


def test_the_worst_network_decides():
    v = judge({"good": scores(), "bad": scores(0.3, 0.3)}, PROGRAM)
    assert v.network == "bad"
    assert judge({}).status == "unknown"


def test_a_verdict_says_that_reasoning_was_not_exact() -> None:
    exact = judge({"net": scores()}, reasoning={"mode": "exact", "gap": 0.0})
    bounds = judge({"net": scores()}, reasoning={"mode": "bounds", "gap": 0.034})
    assert exact == judge({"net": scores()})
    assert "lower bounds, up to 0.034 below" in bounds.found and bounds.status == exact.status


def confusion(*totals):
    """Counts with so many images of each symbol, all of them in the first clusters."""
    return [[total // 2, total - total // 2] + [0] * (len(totals) - 2) for total in totals]


TWO_NETS = {
    "count": 4,
    "permutations": 4,
    "learnt": {
        "admitted": True,
        "words": "red, no obstacle->green, obstacle",
        "maps": {"red_net + obstacle_net": [0, 2, 1, 3]},
    },
}
ROWS = {
    "count": 9,
    "n": 100,
    "typical": 0.97,
    "rows": [{"place": f"sums.csv:{line}", "log_prob": -9.0} for line in range(2, 11)],
}
SUGGESTED = {"suggested": [{"image": "suggested/net-1.png", "network": "net", "symbol": "1"}]}
WRONG: dict[str, tuple[Any, ...]] = {
    "shortcut across networks": (
        scores(0.5, 0.6), TWO_NETS, {"accuracy": 1.0}, {},
        "shortcut", "red_net and obstacle_net satisfy the program", "net alone",
    ),
    "ambiguous, with the label that settles it": (
        scores(0.0, 0.97, {"1": "2", "2": "1"}), {"count": 2, "permutations": 2}, {},
        {"ambiguity": SUGGESTED},
        "ambiguous", "1 as 2, 2 as 1",
        "Labelling 1 image would leave one reading: `groundkit suggest`",
    ),
    "grounded by luck, with the label that settles it": (
        scores(), {"count": 2, "permutations": 2}, {}, {"ambiguity": SUGGESTED},
        "grounded", "97.0 %", "`groundkit label` takes labels up",
    ),
    "names wrong": (
        scores(0.4, 0.95, {"3": "5", "5": "3"}), PROGRAM, {}, {},
        "renamed", "names wrong", "reground",
    ),
    "collapsed": (
        scores(0.5, shares={"7": 0.0}), PROGRAM, {}, {}, "collapsed", "(7)", "prior",
    ),
    "imbalanced": (
        scores(0.6, 0.65, confusion=confusion(80, 10, *[10] * 8)), PROGRAM, {}, {},
        "imbalanced", "0 is 8 times as frequent as 1",
        "prior_probabilities = [0.471, 0.0588, 0.0588, 0.0588, 0.0588, 0.0588, 0.0588, 0.0588, "
        "0.0588, 0.0588]",
    ),
    "imbalanced, and learnt wrongly": (
        scores(0.6, 0.65, confusion=confusion(80, 10, *[10] * 8), prior_learnt=[0.1] * 10),
        PROGRAM, {}, {},
        "imbalanced", "training learnt other shares, 10.0 % and 10.0 %", "prior_probabilities = [",
    ),
    "imbalance that was learnt is none": (
        scores(
            0.6, 0.65, confusion=confusion(80, *[10] * 9), prior_learnt=[0.44] + [0.56 / 9] * 9
        ),
        PROGRAM, {}, {}, "not grounded", "Not grounded", "Train longer",
    ),
    "imbalance that was said is none": (
        scores(0.6, 0.65, confusion=confusion(80, *[10] * 9), prior=[0.5] + [0.05] * 9),
        PROGRAM, {}, {}, "not grounded", "Not grounded", "Train longer",
    ),
    "colour": (
        scores(0.3, 0.4, colour_nmi=0.93, nmi=0.2), PROGRAM, {}, {},
        "colour", "agreement 0.93", 'invariant = ["colour"]',
    ),
    "hard clusters": (
        scores(0.5, 0.55, embedding_accuracy=0.6), PROGRAM, {}, {},
        "hard clusters", "60.0 % of the symbols", "backbone",
    ),
    "clusters that labels could tell apart": (
        scores(0.5, 0.55, embedding_accuracy=0.97), PROGRAM, {}, {},
        "not grounded", "Not grounded", "Train longer",
    ),
    "queries right while symbols are at chance": (
        scores(0.1, 0.2), PROGRAM, {"accuracy": 0.98}, {},
        "shortcut", "Queries right, symbols not", "[[query]]",
    ),
    "few examples": (
        scores(0.4, 0.5), PROGRAM, {"accuracy": 0.3}, {"examples": 30},
        "too few examples", "30 for 10 symbols", "Give 200 or more",
    ),
    "few examples, after which held-out rows are misread": (
        scores(0.75, 0.75), PROGRAM, {"accuracy": 0.6}, {"examples": 4, "contradictions": ROWS},
        "too few examples", "4 for 10 symbols", "Give 200 or more",
    ),
    "contradictory rows": (
        scores(0.8, 0.8), PROGRAM, {"accuracy": 0.7}, {"contradictions": ROWS},
        "contradicted", "9 of 100", "sums.csv:2, sums.csv:3, sums.csv:4 first",
    ),
    "contradictory rows that did no harm": (
        scores(), PROGRAM, {}, {"contradictions": ROWS}, "contradicted", "9 of 100", "correct",
    ),
    "an untrained network contradicts everything, which says nothing of the rows": (
        scores(0.1, 0.12), PROGRAM, {"accuracy": 0.1},
        {"contradictions": ROWS | {"count": 90, "typical": 0.01}},
        "not grounded", "Not grounded", "Train longer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ["colour", "imbalanced", "hard clusters"])
def test_clusters_without_a_program_have_causes_too(case):
    own, *_, status, found, advice = WRONG[case]
    same = {name: name for name in own["per_symbol"]}
    v = judge({"net": own | {"accuracy": None, "matching": same}})
    assert v.status == status
    assert found in v.found and advice in v.advice


def test_shares_of_clusters_are_told_by_what_they_show():
    """Clusters are numbered by chance: those of the first symbol may be the third."""
    shown = {"0": "1", "1": "2", "2": "0"}
    own = {
        "accuracy": None, "accuracy_matched": 0.5, "matching": shown,
        "per_symbol": dict.fromkeys("012", 0.5), "predicted_share": dict.fromkeys("012", 1 / 3),
        "confusion": [[0, 10, 0], [0, 0, 20], [70, 0, 0]],
    }  # fmt: skip
    v = judge({"net": own})
    assert "0 is 7 times as frequent as 1" in v.found
    assert v.advice.endswith("prior_probabilities = [0.7, 0.1, 0.2]")


@pytest.mark.parametrize("case", WRONG)
def test_every_way_to_be_wrong_has_its_own_verdict(case):
    own, identify, query, signs, status, found, advice = WRONG[case]
    v = judge({"net": own}, identify, query, signs=signs)
    assert v.status == status
    assert found in v.found and advice in v.advice
