"""Processes that train together: the ones that torchrun starts, or this one alone.

A step of training is the mean over `training.accumulate` batches. Processes share these batches out and add up their
gradients, so that the number of processes changes the time a step takes but not what it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from opticdesign.errors import OpticDesignError, UsageError

__all__ = ["ALONE", "Workers", "joined_workers"]


@dataclass(frozen=True)
class Workers:
    """This process among those that train together.

    Args:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, batches: int) -> range:
        """The batches of a step that are this process's.

        Raises:
            UsageError: the processes cannot share them evenly.
        """
        if batches % self.count:
            raise UsageError(
                f"{self.count} processes cannot share {batches} batches a step evenly",
                expected="training.accumulate a multiple of the number of processes",
                remedy=f"--set training.accumulate={self.count * -(-batches // self.count)}",
            )
        return range(self.rank, batches, self.count)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes.

        Raises:
            OpticDesignError: another process has ended.
        """
        if self.count > 1:
            with _together():
                for tensor in tensors:
                    distributed.all_reduce(tensor)

    def total(self, value: float, device: torch.device) -> float:
        """Sum of a number over all processes."""
        held = torch.tensor(value, dtype=torch.float64, device=device)
        self.add([held])
        return held.item()


ALONE = Workers()
"""The only process there is."""


@contextmanager
def joined_workers(device: torch.device) -> Iterator[Workers]:
    """Join the processes that torchrun started, as its environment variables say; alone without them."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(distributed.get_rank(), count)
        with _together():
            distributed.barrier()  # none leaves before the others have done their last sum
    finally:
        distributed.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """While processes wait for each other: what torch says when one of them has gone, in words that help."""
    try:
        yield
    except RuntimeError as problem:
        raise OpticDesignError(
            f"another process has ended ({str(problem).partition('. ')[0]})",
            expected="processes that train together to the end",
            remedy="see what the one that ended first says",
        ) from problem
