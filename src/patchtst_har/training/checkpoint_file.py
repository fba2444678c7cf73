"""What the file of a checkpoint holds; it may be damaged or foreign, so all is checked before it is used."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, StrictFloat, StrictInt, StrictStr, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from patchtst_har.errors import DataError
from patchtst_har.records.reading import validated
from patchtst_har.records.run import Record
from patchtst_har.support.documents import parse_json

RECORD = "progress"
"""Under this name the file's metadata hold a `CheckpointRecord`."""

# Of other types, such as those of 8 bits, torch cannot say whether they are finite.
_TYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)
Count = Annotated[StrictInt, Field(ge=0)]
Number = StrictFloat | StrictInt


class ScheduleState(Record):
    """Where a `Schedule` stands."""

    n_done: Count
    n_lowered: Count
    n_waited: Count
    best: Number | None


class StoredIdentity(Record):
    """The `Identity` of the run."""

    settings: dict[str, Any]
    data: dict[str, StrictStr] | None


class CheckpointRecord(Record):
    """What a checkpoint holds besides tensors; the fields of `Progress` have its names."""

    epoch: Count
    best_epoch: Count
    best: dict[str, Number]
    stopped: StrictStr
    callbacks: list[tuple[StrictStr, Any]]
    schedule: ScheduleState
    identity: StoredIdentity
    scaler: dict[str, Number] | None = None

    @model_validator(mode="after")
    def _check_best(self) -> Self:
        if self.best_epoch > self.epoch or bool(self.best_epoch) != bool(self.best):
            raise ValueError("the best epoch is none of those that are done, or has no metrics")
        return self


def read_checkpoint(path: Path) -> tuple[CheckpointRecord, dict[str, Tensor]]:
    """Return record and tensors of a file.

    Raises
    ------
    DataError
        If it is no regular file, no checkpoint, of another version, or damaged; the message names file and
        field.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path}: is not a regular file")
    try:
        with safe_open(path, framework="pt") as archive:
            document = parse_json((archive.metadata() or {})[RECORD], RECORD)
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 - no dict
    except KeyError as error:
        raise DataError(f"{path}: not a checkpoint (its metadata have no {RECORD})") from error
    except (SafetensorError, DataError) as error:
        raise DataError(f"{path}: not a checkpoint ({error})") from error
    if isinstance(document, dict) and "identity" not in document:
        raise DataError(f"{path}: was written by another version; it cannot be resumed")
    record = validated(document, CheckpointRecord, f"{path}: not a checkpoint: {RECORD}")
    for name, tensor in tensors.items():
        if tensor.dtype not in _TYPES:
            raise DataError(f"{path}: {name[:80]} is {_described(tensor)}, a type that no checkpoint has")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(f"{path}: {name[:80]} has values that are not finite")
    return record, tensors


def check_tensors(
    path: Path,
    found: Mapping[str, Tensor],
    needed: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: Optimizer,
) -> None:
    """Hold the tensors of a file against those of the objects that are to take them over.

    Parameters
    ----------
    path : pathlib.Path
        The file, for messages.
    found : mapping of str to Tensor
        What it holds.
    needed : mapping of str to Tensor
        What must be there; values do not matter, here and below.
    best : mapping of str to Tensor
        What is there as a whole or not at all.
    optimizer : torch.optim.Optimizer
        AdamW; parameters that had no gradient have no moments.

    Raises
    ------
    DataError
        If one is missing, of another shape or type, or has values that its kind cannot have; the message
        names file and tensor.
    """
    expected = {**needed, **best, **_moments(optimizer)}
    wanted = [needed, *(group for group in _groups(best, optimizer) if not group.keys().isdisjoint(found))]
    if missing := [name for group in wanted for name in group if name not in found]:
        raise DataError(f"{path}: lacks {missing[0]}")
    for name, tensor in found.items():
        like = expected.get(name)
        # Generators of further devices and processes may be there.
        if like is None and not name.startswith("random/"):
            raise DataError(f"{path}: holds {name[:80]}, which this training does not have")
        if like is not None and (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise DataError(f"{path}: {name} is {_described(tensor)}, needed is {_described(like)}")
        if name.startswith("optimizer/") and not name.endswith("/exp_avg") and bool((tensor < 0).any()):
            raise DataError(f"{path}: {name} has negative values")


def _groups(best: Mapping[str, Tensor], optimizer: Optimizer) -> list[Mapping[str, Tensor]]:
    """Return the sets of tensors of which a file has all or none."""
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for name, tensor in _moments(optimizer).items():
        by_parameter.setdefault(name.rpartition("/")[0], {})[name] = tensor
    return [best, *by_parameter.values()]


def _moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return what AdamW keeps of each parameter, under the names of the file."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    made = {}
    for number, parameter in enumerate(parameters):
        made[f"optimizer/{number}/step"] = torch.zeros(())
        for moment in ("exp_avg", "exp_avg_sq"):
            made[f"optimizer/{number}/{moment}"] = parameter
    return made


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {list(tensor.shape)}"
