"""Training in several processes (``torchrun``): each has the whole model and a part of every batch."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from patchtst_har.errors import ProcessError
from patchtst_har.support.files import atomic_write_json

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

# The first process may compute features for hours. If one ends, the connection to it does, and nobody waits.
_PATIENCE = timedelta(days=7)
_ERRORS = "errors"
"""Under it, the processes count the errors that they raise."""

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
    SystemExit
        With status 2, in place of an error that another process has raised already, or that has led to the
        loss of this one: an error is reported once.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    # Not everywhere where torch is.
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield Processes.current()
    except Exception as error:
        named = _named(error)
        if not isinstance(named, ProcessError):
            _write_for_torchrun(named)
        if _is_said(store, named):
            raise SystemExit(2) from error
        if named is error:
            raise
        raise named from error
    except BaseException:
        # An interruption; the others need not say that this process has ended.
        _count(store, _ERRORS)
        raise
    finally:
        dist.destroy_process_group()


def _named(error: Exception) -> Exception:
    """Return an error that says what a lost connection means, or the error itself."""
    text = " ".join(str(error).split())
    is_lost = isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text
    if not isinstance(error, RuntimeError) or not is_lost:
        return error
    # Behind the place in the source of the library; what follows the first sentence is advice on torch.
    reason = text.rpartition(".cc:")[2].partition("] ")[2] or text
    return ProcessError(
        "another process of this training has ended; the same command with --resume goes on from the last "
        f"checkpoint, or begins if there is none ({reason.partition('. ')[0][:200]})"
    )


def _is_said(store: Store, error: Exception) -> bool:
    """Whether another process has raised the same error, or any, if this one lost its connection."""
    n_errors, text = _count(store, _ERRORS), f"{type(error).__name__}: {error}"
    n_same = _count(store, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest())
    return (n_errors if isinstance(error, ProcessError) else n_same) > 1


def _count(store: Store, name: str) -> int:
    """Return how often all processes have counted, this time included; 1 if the store is gone."""
    try:
        return int(store.add(name, 1))
    except RuntimeError:
        return 1


def _write_for_torchrun(error: Exception) -> None:
    """Let the report of ``torchrun``, the last thing a user sees, have the error as its cause."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is not None:
        facts = {"py_callstack": str(error), "timestamp": str(int(time.time()))}
        atomic_write_json(Path(path), {"message": {"message": str(error), "extraInfo": facts}})
