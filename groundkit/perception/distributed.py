"""Several processes that train one model, each on its share of every batch.

Every process draws the same random numbers for the whole batch and computes its own rows; terms
that are no mean over rows see all rows by :meth:`ProcessGroup.gather`. The average of the
processes' gradients is then the gradient of the whole batch, so two processes learn what one would.
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from groundkit.errors import RunError, SpecError

T = TypeVar("T")
# What gloo and NCCL say of a process that is gone, in errors that have no type of their own.
_SIGNS = ("peer", "Timed out", "timeout", "timed out", "NCCL", "Gloo", "gloo", "Broken pipe")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes that train together; a process alone is a group of one.

    Attributes:
        rank: This process's number, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1
    _engines: list[_Engine] = field(default_factory=list, repr=False, compare=False)

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
        """Ends the group; every process calls it when it has no more to say.

        No thread of the group is left. One that outlived Python would ask for its lock to let a
        tensor go, and end the process by SIGABRT. So what holds the group goes first: an engine,
        whoever still holds the objectives that it computes.
        """
        if self.size == 1 or not distributed.is_initialized():
            return
        distributed.barrier()  # nobody closes a connection that another still reads from
        for engine in self._engines:
            engine.close()
        self._engines.clear()
        gc.collect()  # an engine is in circles with its hooks
        distributed.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @contextmanager
    def together(self, remedy: str) -> Iterator[None]:
        """Says what has happened when another process ends while this one waits for it.

        Args:
            remedy: How to go on.

        Raises:
            RunError: Another process has ended, or says nothing for half an hour.
        """
        try:
            yield
        except RuntimeError as error:
            words = str(error)
            if self.size == 1 or not any(sign in words for sign in _SIGNS):
                raise
            raise RunError(
                f"process {self.rank} of {self.size} waits for another that has ended",
                expected="all to train until the end; torchrun names the one that failed first",
                remedy=remedy,
            ) from error

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
                remedy="give it such a value, or start as many processes as divide it",
            )
        share = count // self.size
        return torch.arange(self.rank * share, (self.rank + 1) * share)

    def gather(self, rows: Tensor, counts: Sequence[int] | None = None) -> Tensor:
        """All processes' rows ``(B, ...)``, in rank order, from this one's ``(b, ...)``.

        Only the own rows carry gradient, multiplied by the number of processes: the average over
        processes, each of which has the term whole, is then the term's gradient. So the backward
        pass needs no collective, which could cross the gradients' own; the differentiable ones of
        torch.distributed.nn, given up in torch 2.14, send every gradient once for each process.

        Args:
            rows: This process's.
            counts: How many rows each process has; without it all have as many.
        """
        if self.size == 1:
            return rows
        counts = counts or [len(rows)] * self.size
        sent = rows.new_zeros(max(counts), *rows.shape[1:])  # a collective needs equal shapes
        sent[: len(rows)] = rows.detach()
        received = [torch.empty_like(sent) for _ in range(self.size)]
        distributed.all_gather(received, sent)
        parts = [part[:count] for part, count in zip(received, counts, strict=True)]
        parts[self.rank] = rows * self.size - rows.detach() * (self.size - 1)
        return torch.cat(parts)

    def averaging(self, parts: Sequence[nn.Module]) -> Callable[[Callable[[], Tensor]], Tensor]:
        """Returns what computes objectives whose gradient is the average of the processes'.

        DistributedDataParallel sends gradients in buckets while the backward pass still runs. It
        also gives all processes the first one's weights.

        Args:
            parts: The modules that the objectives train.

        Returns:
            A function from an objective to its value; its backward pass must have been run before
            the function is called again.
        """
        if self.size == 1:
            return lambda objective: objective()
        engine = _Engine(parts)
        self._engines.append(engine)
        return engine.compute

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


class _Engine:
    """DistributedDataParallel over modules, which holds the group's threads until it is closed."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        self._parts = parts
        self._shared: DistributedDataParallel | None = None

    def compute(self, objective: Callable[[], Tensor]) -> Tensor:
        """Returns the value of an objective whose gradient will be the processes' average."""
        # Made when it is needed: it would take what another one has trained before, such as a
        # projector, for part of its own first objective. Which parameters an objective depends on
        # differs by step, and by process where a program asks one process about one network and
        # another about the other.
        if self._shared is None:
            self._shared = DistributedDataParallel(
                _Objectives(self._parts), find_unused_parameters=True
            )
        value: Tensor = self._shared(objective)
        return value

    def close(self) -> None:
        """Lets go of the group."""
        self._shared = None


class _Objectives(nn.Module):
    """Modules that train together, and whatever is computed with them."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, objective: Callable[[], Tensor]) -> Tensor:
        value = objective()
        if value.requires_grad:
            return value
        # This process has nothing to say, but the others wait for its gradient.
        return value + 0.0 * next(self.parameters()).sum()
