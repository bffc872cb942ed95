"""Tests of the table of the zoo."""

from __future__ import annotations

from benchmarks import zoo
from groundkit import identify

SHIPPED = {file.stem for file in (zoo.ROOT / "programs").glob("*.pl")}


def test_no_program_is_left_out() -> None:
    elsewhere = {name for names in zoo.ELSEWHERE.values() for name in names}
    assert {*zoo.PROGRAMS, *elsewhere} == SHIPPED


def test_labels_go_to_the_network_that_they_are_suggested_for() -> None:
    found = identify(zoo.ROOT / "programs" / "coins.pl")
    assert zoo.suggested(found.to_dict(), ["red_net", "blue_net"]) == (
        "networks.blue_net.labels.per_symbol=5",
        'networks.blue_net.labels.symbols=["+"]',
    )
