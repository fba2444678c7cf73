"""Checkpoints from which training goes on as if it had not been interrupted.

One safetensors file holds everything: weights, their averages, the best weights so far, the optimiser's
moments, the states of the random generators, and in its metadata the counters as JSON. One file means one
atomic rename: a kill leaves the previous checkpoint or the new one, never a mixture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from patchtst_har.errors import DataError
from patchtst_har.support.documents import parse_json
from patchtst_har.support.files import atomic_path
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.scheduler import Schedule


@dataclass
class Progress:
    """Where training stands after some epoch.

    Attributes
    ----------
    epoch : int
        Epochs completed.
    best_epoch, best_score, best_loss : int, float, float
        Epoch (1-based) of the best validation score, the score, and the validation loss that breaks ties; 0,
        -1 and 0 before the first. With ``training.keep="last"``, of the last epoch.
    best_state : dict of Tensor
        The model's state at `best_epoch`; empty with ``training.keep="last"``.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -1.0
    best_loss: float = 0.0
    best_state: dict[str, Tensor] = field(default_factory=dict)


Network = TypeVar("Network", bound=nn.Module)
_COUNTERS = ("epoch", "best_epoch", "best_score", "best_loss")


@dataclass(frozen=True)
class Trainee(Generic[Network]):
    """The live objects that a checkpoint captures and restores."""

    model: Network
    optimizer: Optimizer
    schedule: Schedule
    generators: Mapping[str, torch.Generator]
    average: WeightAverage | None = None

    def step(self, max_grad_norm: float) -> None:
        """Move the weights along the gradients, which are clipped to a norm, and the averages after them."""
        clip_grad_norm_(self.model.parameters(), max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update(self.schedule.n_done)


def save_checkpoint(path: Path, trainee: Trainee[Any], progress: Progress, fingerprint: str) -> None:
    """Write the state of training to `path`, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint file.
    trainee : Trainee
        Live objects.
    progress : Progress
        Counters and best weights.
    fingerprint : str
        Identifies configuration and data; `load_checkpoint` refuses another one.
    """
    tensors = {
        **_prefixed("model", trainee.model.state_dict()),
        **_prefixed("best", progress.best_state),
        **_optimizer_tensors(trainee.optimizer),
        **_generator_states(trainee.generators),
    }
    if trainee.average is not None:
        tensors |= _prefixed("average", trainee.average.state_dict())
    counters = {name: getattr(progress, name) for name in _COUNTERS}
    counters |= {"n_steps": trainee.schedule.n_done, "fingerprint": fingerprint}
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata={"progress": json.dumps(counters)}))


def load_checkpoint(path: Path, trainee: Trainee[Any], fingerprint: str) -> Progress:
    """Restore `trainee` in place and return the progress.

    Raises
    ------
    DataError
        If the file is damaged or belongs to another configuration or data set.
    """
    counters, tensors = _read(path)
    _check_fingerprint(path, counters, fingerprint)
    trainee.model.load_state_dict(_section("model", tensors))
    _restore_optimizer(trainee.optimizer, tensors)
    trainee.schedule.go_to(counters["n_steps"])
    _restore_generators(trainee.generators, tensors)
    if trainee.average is not None:
        trainee.average.load_state_dict(_section("average", tensors))
    return Progress(**{name: counters[name] for name in _COUNTERS}, best_state=_section("best", tensors))


def check_resumable(path: Path, fingerprint: str) -> int:
    """Raise what `load_checkpoint` would raise; return the epochs completed, without restoring anything."""
    counters, _ = _read(path)
    _check_fingerprint(path, counters, fingerprint)
    return int(counters["epoch"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as archive:
            counters = parse_json(archive.metadata()["progress"], "progress")
            return counters, {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 - no dict
    except (SafetensorError, KeyError, TypeError, DataError) as error:
        raise DataError(f"{path}: not a checkpoint ({error})") from error


def _check_fingerprint(path: Path, counters: Mapping[str, Any], fingerprint: str) -> None:
    if counters["fingerprint"] != fingerprint:
        raise DataError(f"{path}: belongs to another configuration or data set; it cannot be resumed")


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _section(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Flatten the moments to ``optimizer/<parameter>/<moment>``."""
    state: Mapping[int, Mapping[str, Tensor]] = optimizer.state_dict()["state"]
    return {
        name: tensor
        for parameter, moments in state.items()
        for name, tensor in _prefixed(f"optimizer/{parameter}", moments).items()
    }


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in _section("optimizer", tensors).items():
        parameter, _, moment = name.partition("/")
        state.setdefault(int(parameter), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _generator_states(generators: Mapping[str, torch.Generator]) -> dict[str, Tensor]:
    states = {f"random/{name}": generator.get_state() for name, generator in generators.items()}
    states["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        states["random/cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(generators: Mapping[str, torch.Generator], tensors: Mapping[str, Tensor]) -> None:
    for name, generator in generators.items():
        generator.set_state(tensors[f"random/{name}"])
    torch.set_rng_state(tensors["random/cpu"])
    if torch.cuda.is_available() and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"])
