"""Several processes that train one model, each on its share of every batch.

Every process draws the same random numbers for the whole batch and computes its own rows; terms
that are no mean over rows see all rows by :meth:`ProcessGroup.gather`. The average of the
processes' gradients is then the gradient of the whole batch, so two processes learn what one would.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from groundkit.errors import SpecError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes that train together; a process alone is a group of one.

    Attributes:
        rank: This process's number, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> ProcessGroup:
        """Joins the processes that ``torchrun`` has started; alone without it."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        # Functions of this module have the group as a default that exists when it is loaded. Loaded
        # later, by an optimiser, they would keep the group's threads alive after `leave`, until
        # one of them crashes the process at its end.
        importlib.import_module("torch.distributed.nn.functional")
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """Ends the group; every process calls it when it has no more to say."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def own(self, count: int, what: str) -> Tensor:
        """Positions ``(count / size,)`` of a batch that are this process's.

        Args:
            count: Rows of the whole batch.
            what: The setting that says so, for the message.

        Raises:
            SpecError: The batch has no equal shares.
        """
        if count % self.size:
            raise SpecError(
                f"{what} is {count}, which {self.size} processes cannot share evenly",
                expected=f"a multiple of {self.size}",
            )
        share = count // self.size
        return torch.arange(self.rank * share, (self.rank + 1) * share)

    def gather(self, rows: Tensor) -> Tensor:
        """All processes' rows ``(B, ...)``, in rank order, from this one's ``(B / size, ...)``.

        Only the own rows carry gradient, multiplied by the number of processes: the average over
        processes, each of which has the term whole, is then the term's gradient.
        """
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        distributed.all_gather(parts, rows.detach().contiguous())
        parts[self.rank] = rows * self.size - rows.detach() * (self.size - 1)
        return torch.cat(parts)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its mean over the processes."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.nn.utils.parameters_to_vector(gradients)
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for parameter in trained:
            end = start + parameter.numel()
            parameter.grad = flat[start:end].view_as(parameter)
            start = end

    def mean(self, values: Tensor) -> Tensor:
        """The processes' mean of a tensor, the same in all of them."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def share(self, module: nn.Module) -> None:
        """Gives all processes the first one's weights."""
        if self.size == 1:
            return
        for parameter in module.parameters():
            distributed.broadcast(parameter.data, 0)

    def least(self, value: int) -> int:
        """The smallest of the processes' numbers, in all of them."""
        if self.size == 1:
            return value
        box: list[Any] = [None] * self.size
        distributed.all_gather_object(box, value)
        return int(min(box))

    def agree(self, value: T) -> T:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box)
        agreed: T = box[0]
        return agreed
