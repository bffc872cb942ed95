"""Wrong rows of a table are found by networks that know better."""

import numpy as np
import torch

from groundkit.runs.ambiguity import read_examples
from groundkit.runs.contradictions import contradicted
from tests.loaded import load_task
from tests.trained import write_digit

PROGRAM = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
"""
SPEC = """[query]
goal = "sum(X, Y, Z)"
[examples]
file = "sums.csv"
images = ["X", "Y"]
[networks.net]
backbone = "mlp"
image_shape = [1, 8, 8]
"""
WRONG = {3: 8, 11: 0, 17: 1}


def test_wrong_rows_come_first_with_their_lines(tmp_path):
    lines = ["X,Y,Z,X.truth,Y.truth"]
    for row in range(25):
        a, b = row // 5, row % 5
        for side, digit in (("x", a), ("y", b)):
            write_digit(tmp_path / f"{side}{row}.png", digit, nth=row + 30 * (side == "y"))
        lines.append(f"x{row}.png,y{row}.png,{WRONG.get(row, a + b)},{a},{b}")
    (tmp_path / "sums.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "p.pl").write_text(PROGRAM)
    (tmp_path / "p.toml").write_text(SPEC)
    task = load_task(tmp_path / "p.pl")
    known = {}
    for split, examples in enumerate((task.examples, task.held_out)):
        for shaped in examples:
            for name, rows in shaped.examples.images.items():
                pixels = task.banks(split)["net"].pixels[torch.from_numpy(rows)]
                truth = shaped.examples.truth["net", name].tolist()
                known |= {p.numpy().tobytes(): t for p, t in zip(pixels, truth, strict=True)}

    def predict(network, pixels):
        probs = np.full((len(pixels), 5), 0.005)
        for row, one in enumerate(pixels):
            probs[row, known[one.numpy().tobytes()]] = 0.98
        return torch.from_numpy(np.log(probs))

    found = contradicted(read_examples(task, predict))
    assert found["count"] == len(WRONG) and found["n"] == 25 and found["typical"] > 0.9
    places = {row["place"].rpartition("/")[2] for row in found["rows"]}
    assert places == {f"sums.csv:{row + 2}" for row in WRONG}
    values = [row["log_prob"] for row in found["rows"]]
    assert values == sorted(values)
    assert any(row["given"] == "Z = 8" and row["read"] == "X = 0, Y = 3" for row in found["rows"])
