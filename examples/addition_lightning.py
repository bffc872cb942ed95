"""MNIST addition with Lightning, which handles devices, checkpoints and several processes.

Run it with ``python examples/addition_lightning.py [STEPS]``; it needs ``pip install lightning``.
"""

import sys
from pathlib import Path

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import groundkit

PROGRAM = Path(__file__).parent.parent / "programs" / "sum.pl"


class Addition(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        self.model = groundkit.NeuralProgram(PROGRAM, "sum(X, Y, Z)", networks={"mnist_net": net})

    def training_step(self, batch, _):
        x, y, z = batch
        return -self.model(X=x, Y=y, Z=z).mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
data = groundkit.load_data("mnist5k").train
x, y = torch.randint(len(data.labels), (2, 64 * steps))
images, labels = data.pixels / 255, torch.as_tensor(data.labels)
loader = DataLoader(TensorDataset(images[x], images[y], labels[x] + labels[y]), batch_size=64)
trainer = lightning.Trainer(max_epochs=1, logger=False, enable_checkpointing=False)
trainer.fit(Addition(), loader)
