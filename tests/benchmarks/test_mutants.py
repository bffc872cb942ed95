"""The list of mutants fits the package: every line is there once, every mutant can be compiled."""

import ast

from benchmarks.mutants import ROOT, read_list

MUTANTS = read_list()


def test_every_line_stands_in_its_file_and_its_mutant_is_python():
    for mutant in MUTANTS:
        ast.parse(mutant.apply((ROOT / mutant.file).read_text("utf-8")), mutant.file)
        assert mutant.mutated != mutant.line


def test_every_mutant_is_listed_once_with_tests_that_there_are():
    assert len({mutant.key for mutant in MUTANTS}) == len(MUTANTS) >= 150
    missing = {
        test for one in MUTANTS for test in one.tests if not (ROOT / test.split("::")[0]).exists()
    }
    assert missing == set()
