"""The ceiling: a program's own network, trained on the labels of the same training inputs."""

from __future__ import annotations

import torch
from torch.nn import functional

from groundkit.perception.augment_choice import choose
from groundkit.runs.assess import held_out_images
from groundkit.task.networks import build_model
from groundkit.task.task import Task


def ceiling(task: Task, network: str, seed: int, *, steps: int, batch: int) -> float:
    """Trains a network on labels, with the augmentation that it has without them.

    Args:
        task: A task whose inputs have labels.
        network: The network.
        seed: Of the weights, batches and augmentation.
        steps: Steps of AdamW, under one cycle of learning rates up to 2e-3.
        batch: Inputs of a step.

    Returns:
        The share of held-out inputs whose symbol is right.
    """
    bank, held_out = task.banks(0)[network], held_out_images(task, network)
    assert bank.labels is not None and held_out.labels is not None
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build_model(task.spec.network(network), bank.shape, len(task.domains[network]))
    model.learn_scale(bank.pixels)
    inputs, labels = model.take(bank.pixels), torch.from_numpy(bank.labels)
    known = torch.nonzero(labels >= 0).flatten()
    seen, domain = task.spec.network(network).perception, task.domains[network]
    chosen_for = choose(seen.augmentation, bank.pixels, seen.invariant, domain)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for _ in range(steps):
        chosen = known[torch.randint(len(known), (batch,), generator=generator)]
        logits = model(chosen_for.augmentation(inputs[chosen], generator))
        optimiser.zero_grad()
        functional.cross_entropy(logits, labels[chosen]).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        given = model.eval()(model.take(held_out.pixels)).argmax(-1).numpy()
    there = held_out.labels >= 0
    return float((given == held_out.labels)[there].mean())
