"""An error says where, what, and what to do."""

from groundkit.errors import InputError, Location, RunError, choose_from, nearest


def test_message_has_place_expectation_and_remedy():
    error = InputError("bad", expected="good", remedy="mend it", at=Location("a.pl", 3, 7))
    assert str(error) == "a.pl:3:7: bad\n  expected: good\n  remedy: mend it"


def test_exit_codes_tell_wrong_input_from_failed_runs():
    assert (InputError("x").exit_code, RunError("x").exit_code) == (2, 1)


def test_nearest_finds_typos_and_nothing_else():
    assert nearest("mnist_nett", ["mnist_net", "other"]) == "mnist_net"
    assert nearest("zzz", ["mnist_net"]) is None
    assert choose_from("zzz", []) == "valid: (none)"
