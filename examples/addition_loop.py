"""MNIST addition in a plain torch loop: digits are learnt from sums of pairs of images alone.

Run it with ``python examples/addition_loop.py [STEPS]``.
"""

import sys
from pathlib import Path

import torch
from torch import nn

import groundkit

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
data = groundkit.load_data("mnist5k")
images, labels = data.train.pixels / 255, torch.as_tensor(data.train.labels)
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
program = Path(__file__).parent.parent / "programs" / "sum.pl"
model = groundkit.NeuralProgram(program, "sum(X, Y, Z)", networks={"mnist_net": net})
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for pairs in torch.randint(len(images), (steps, 64, 2)):
    x, y = pairs.unbind(1)
    loss = -model.log_prob(X=images[x], Y=images[y], Z=labels[x] + labels[y]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

found = net(data.test.pixels / 255).argmax(1)
print(f"digits right: {(found == torch.as_tensor(data.test.labels)).float().mean():.3f}")
