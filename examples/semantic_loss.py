"""Semantic loss: a constraint on the outputs of any network, beside a few labels.

Run it with ``python examples/semantic_loss.py [STEPS]``. Thirty images are labelled. About all
others it is only known that the second image of a pair shows the digit that comes after the
first's, which a program expresses.
"""

import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import groundkit

CONSTRAINT = """
nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
next(X, Y) :- digit(X, A), digit(Y, B), B is (A+1) mod 10.
"""

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
torch.manual_seed(0)
data = groundkit.load_data("digits8")
images, labels = data.train.pixels / 255, torch.as_tensor(data.train.labels)
first = torch.arange(len(images))
following = [(labels == (digit + 1) % 10).nonzero()[:, 0] for digit in range(10)]
second = torch.stack([following[d][torch.randint(len(following[d]), ())] for d in labels.tolist()])
layer = groundkit.ProgramLayer(CONSTRAINT, "next(X, Y)", inputs=["X", "Y"])

for weight in (0.0, 1.0):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(steps):
        few, pair = torch.randint(30, (32,)), torch.randint(len(images), (64,))
        loss = cross_entropy(net(images[few]), labels[few])
        both = torch.stack([net(images[first[pair]]), net(images[second[pair]])], 1)
        loss = loss - weight * layer.log_prob({"net": both.log_softmax(-1)}).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = net(data.test.pixels / 255).argmax(1) == torch.as_tensor(data.test.labels)
    print(f"weight {weight:g} of the constraint: {right.float().mean():.3f} of the digits right")
