"""Your own network and DataLoader, with examples of any length: lists of digits and their total.

Run it with ``python examples/own_loader.py [STEPS]``. A batch mixes lists of two to four images;
the program is compiled once for each length. A learnable probability says how often a total was
written down wrongly.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import groundkit

PROGRAM = """
nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
t(0.2) :: wrong.

total([], 0).
total([X|Xs], N) :- total(Xs, M), digit(X, D), N is M+D.

noted(Xs, N) :- total(Xs, N), \\+ wrong.
noted(Xs, N) :- total(Xs, M), wrong, N is M+1.
"""


class Totals(Dataset):
    """Lists of images with the total of their digits, one in ten of which is 1 too high."""

    def __init__(self, images, labels, count):
        self.images, self.labels = images, labels
        draw = torch.Generator().manual_seed(0)
        sizes = torch.randint(2, 5, (count,), generator=draw).tolist()
        self.lists = [torch.randint(len(images), (size,), generator=draw) for size in sizes]
        self.wrong = torch.rand(count, generator=draw) < 0.1

    def __len__(self):
        return len(self.lists)

    def __getitem__(self, index):
        chosen = self.lists[index]
        return self.images[chosen], int(self.labels[chosen].sum()) + int(self.wrong[index])


def collate(examples):
    """Keeps lists of different lengths apart; the model groups them by length."""
    return {"Xs": [images for images, _ in examples], "N": [total for _, total in examples]}


class Net(nn.Module):
    """Two convolutions and a linear layer: ``(N, 1, 8, 8)`` to ``(N, 10)`` logits."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


steps = int(sys.argv[1]) if len(sys.argv) > 1 else 600
torch.manual_seed(0)
data = groundkit.load_data("digits8")
totals = Totals(data.train.pixels / 255, torch.as_tensor(data.train.labels), 32 * steps)
loader = DataLoader(totals, batch_size=32, collate_fn=collate)
net = Net()
model = groundkit.NeuralProgram(PROGRAM, "noted(Xs, N)", networks={"net": net})
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step, batch in enumerate(loader):
    loss = -model.log_prob(**batch).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.3f}")

found = net(data.test.pixels / 255).argmax(1)
print(f"digits right: {(found == torch.as_tensor(data.test.labels)).float().mean():.3f}")
print(f"learnt: {model.layer.learned_probabilities()}")
example = [data.test.pixels[:3] / 255]
print(f"three images: {model.predict(Xs=example).top(2)[0]}; their digits {data.test.labels[:3]}")
