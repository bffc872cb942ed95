"""What a network cannot learn from is refused before training, and before a folder is made."""

import numpy as np
import pytest

from groundkit.errors import InputError
from groundkit.runs.check import check_program
from groundkit.runs.run import run

DIFFERENT = np.arange(40, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
BLANK = np.zeros((40, 8, 8), dtype=np.uint8)
NOTHING_TO_TELL_APART = {
    "one symbol": ("[a]", {"images": DIFFERENT}, "few.pl:1:1: network 'net' has 1 symbol: a"),
    "equal images": ("[a,b]", {"images": BLANK}, "the 32 training images of network 'net' are all"),
    "equal rows": ("[a,b]", {"rows": BLANK[:, 0] + 0.5}, "the 32 training rows of network 'net'"),
    "rows that differ in what is missing": (
        "[a,b]",
        {"rows": np.where(np.eye(40, 8) > 0, np.nan, 1.0)},
        None,
    ),
    "one image": ("[a,b]", {"images": DIFFERENT[:2]}, "network 'net' has 1 training image for 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTHING_TO_TELL_APART)
def test_nothing_to_tell_apart_is_refused_before_training(tmp_path, case):
    symbols, arrays, said = NOTHING_TO_TELL_APART[case]
    (tmp_path / "few.pl").write_text(f"nn(net, [X], Y, {symbols}) :: kind(X, Y).\n")
    (tmp_path / "few.toml").write_text(
        '[examples]\ndata = "few.npz"\n[networks.net]\nbackbone = "mlp"\n'
    )
    np.savez(tmp_path / "few.npz", **arrays)
    if said is None:
        check_program(tmp_path / "few.pl")
        return
    with pytest.raises(InputError) as checked:
        check_program(tmp_path / "few.pl")
    with pytest.raises(InputError) as started:
        run(tmp_path / "few.pl", out=tmp_path / "run")
    assert said in str(checked.value) and str(started.value) == str(checked.value)
    assert not (tmp_path / "run").exists()  # it would be in the way of the next try
