"""Every result shows itself in a notebook, and no text of the user's becomes markup."""

import shutil

import groundkit
from tests.trained import write_digit


def test_results_of_programs_show_themselves(finished):
    folder = finished.parent
    found = groundkit.identify(folder / "sum.pl")
    assert f"{found.count} grounding" in found._repr_html_()
    for verb in (groundkit.check_program, groundkit.plan_program):
        shown = verb(folder / "sum.pl")
        assert str(shown).splitlines()[-1].strip() in shown._repr_html_()


def test_compared_runs_are_a_table(finished, tmp_path):
    other = shutil.copytree(finished, tmp_path / "other")
    spec = other / "spec.toml"
    spec.write_text(spec.read_text().replace('"digits8"', '"<b>"'))
    shown = groundkit.compare(finished, other)._repr_html_()
    assert shown.count("<tr>") == 3
    assert "<b>" not in shown and "&lt;b&gt;" in shown


def test_names_of_symbols_are_escaped(tmp_path):
    program = tmp_path / "odd.pl"
    program.write_text(
        "nn(net, [X], Y, ['<i>', b]) :: shows(X, Y).\ngoal(X, Y) :- shows(X, A), shows(Y, A).\n"
    )
    (tmp_path / "odd.toml").write_text(
        '[query]\ngoal = "goal(X, Y)"\n[examples]\nimages = ["X", "Y"]\nfile = "odd.csv"\n'
        "[networks.net]\nimage_shape = [1, 8, 8]\n"
    )
    for name in ("0.png", "1.png"):
        write_digit(tmp_path / name, 0)
    (tmp_path / "odd.csv").write_text("X,Y\n0.png,1.png\n")
    shown = groundkit.identify(tmp_path / "odd.pl")._repr_html_()
    assert "<i>" not in shown and "&lt;i&gt;" in shown
