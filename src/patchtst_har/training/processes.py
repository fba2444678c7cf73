"""Training in several processes (``torchrun``): each has the whole model and a part of every batch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from patchtst_har.errors import ProcessError

logger = logging.getLogger(__name__)

# The first process may compute features for hours. If one ends, the connection to it does, and nobody waits.
_PATIENCE = timedelta(days=7)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """The processes of a training. The first one alone writes.

    Attributes
    ----------
    rank : int
        Number of this one, from 0.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Processes:
        """Return those that this process has joined; itself alone if none."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return ALONE

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def agree(self, value: Value) -> Value:
        """Return the value of the first process; the others wait for it."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensor of every process, all of one shape."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(found, tensor)
        return found

    def take_over(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values of the first process."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that ``torchrun`` has started with this one; alone if it has not.

    Raises
    ------
    ProcessError
        If another process ends before the training does.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Processes.current()
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise ProcessError(
            "another process of this training has ended; the last checkpoint is whole: the same command with "
            f"--resume goes on from it ({' '.join(str(error).split())[:200]})"
        ) from error
    finally:
        dist.destroy_process_group()


def _is_lost(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text
