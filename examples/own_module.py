"""Your own network, data set and optimiser in ``Grounder``: digits are named by their sums.

Run it with ``python examples/own_module.py [STEPS]``. No digit has a label in training: the program
says how the sum of a pair comes about. A callback prints what training reports, and the fitted
grounder is saved as the folder of a run, from which ``groundkit query`` and ``explain`` answer.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import groundkit

PROGRAM = """
nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
"""
SPEC = {
    "query": {"goal": "sum(X, Y, Z)"},
    "examples": {"inputs": ["X", "Y"]},
    "networks": {"net": {"perception": {"generative": 0.0, "augmentation": "small-digits"}}},
}


class Net(nn.Module):
    """Two convolutions; ``(B, C, H, W)`` in [-1, 1] to features ``(B, F)``, without batch norm."""

    def __init__(self, image_shape, widths=(16, 32), features=64):
        super().__init__()
        channels, height, width = image_shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, padding=1), nn.SiLU(),
            nn.Conv2d(widths[0], widths[1], 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(widths[1] * (height // 2) * (width // 2), features),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


class Pairs(Dataset):
    """Pairs of images with the sum of their digits."""

    def __init__(self, images, labels, count):
        draw = torch.Generator().manual_seed(0)
        self.images, self.labels = images, torch.as_tensor(labels)
        self.places = torch.randint(len(images), (count, 2), generator=draw)

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        x, y = self.places[index]
        return {"X": self.images[x], "Y": self.images[y], "Z": self.labels[x] + self.labels[y]}


class Print(groundkit.Callback):
    """Prints what training reports."""

    def on_step(self, row):
        if row.step % 100 == 0:
            print(row.phase, row.step, {name: round(v, 3) for name, v in row.terms.items()})

    def on_names(self, row):
        print(row.step, row.words)

    def on_evaluate(self, metrics):
        print("held-out pairs:", metrics["query"])


steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
data = groundkit.load_data("digits8")
loader = DataLoader(Pairs(data.train.pixels, data.train.labels, 1000), batch_size=100)
with tempfile.TemporaryDirectory() as folder:
    program = Path(folder, "sum.pl")
    program.write_text(PROGRAM)
    grounder = groundkit.Grounder(
        program,
        SPEC,
        networks={"net": Net},
        networks__net__options={"widths": [16, 32]},
        optimiser=partial(torch.optim.RAdam, lr=2e-3),
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR,
        train__min_steps=steps,
        train__cluster_steps=steps,
        train__epochs=1,
    )
    later = Pairs(data.test.pixels, data.test.labels, 200)
    grounder.fit(loader, held_out=later, callbacks=[Print()])
    right = (grounder.predict(data.test.pixels) == data.test.labels.astype(str)).mean()
    print(f"digits right: {right:.3f}")
    again = groundkit.Grounder.load(grounder.save(Path(folder, "run")), networks={"net": Net})
    print(f"log-likelihood of a pair, loaded: {again.score(later):.3f}")
