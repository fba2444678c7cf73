"""Checkpoints from which training goes on as if it had not been interrupted.

One safetensors file holds everything: weights, their averages, the best weights so far, the optimiser's
moments, the states of the random generators, and in its metadata the counters as JSON. One file means one
atomic rename: a kill leaves the previous checkpoint or the new one, never a mixture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from patchtst_har.errors import DataError
from patchtst_har.records.reading import validated
from patchtst_har.support.documents import parse_json
from patchtst_har.support.files import atomic_path
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.checkpoint_file import RECORD, CheckpointRecord, check_tensors, read_checkpoint
from patchtst_har.training.identity import Identity
from patchtst_har.training.processes import Processes
from patchtst_har.training.scheduler import Schedule


@dataclass
class Progress:
    """Where training stands after some epoch.

    Attributes
    ----------
    epoch : int
        Epochs completed.
    best_epoch : int
        The best epoch (1-based), or with ``training.keep="last"`` the last; 0 before the first.
    best : dict of str to float
        Its metrics, by ``"{phase}_{metric}"``.
    stopped : str
        Why training was stopped; empty if it was not.
    callbacks : list
        Class and state of each callback that has a state.
    best_state : dict of Tensor
        The model's state at `best_epoch`; empty with ``training.keep="last"``.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stopped: str = ""
    callbacks: list[Any] = field(default_factory=list)
    best_state: dict[str, Tensor] = field(default_factory=dict)


Network = TypeVar("Network", bound=nn.Module)
_MOST_CHARACTERS = 4000
"""Of what differs, in an error."""
_RECORDED = ("epoch", "best_epoch", "best", "stopped", "callbacks")


@dataclass(frozen=True)
class Trainee(Generic[Network]):
    """The live objects that a checkpoint captures and restores."""

    model: Network
    optimizer: Optimizer
    schedule: Schedule
    generators: Mapping[str, torch.Generator]
    average: WeightAverage | None = None
    scaler: torch.amp.GradScaler | None = None

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, scaled if they might vanish."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def step(self, max_grad_norm: float) -> None:
        """Move the weights along the gradients, which are clipped to a norm, and the averages after them."""
        if self.scaler is None:
            clip_grad_norm_(self.model.parameters(), max_grad_norm)
            self.optimizer.step()
        else:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.model.parameters(), max_grad_norm)
            # It leaves out a step whose gradients overflowed.
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.schedule.step()
        if self.average is not None:
            self.average.update(self.schedule.n_done)

    def kept_weights(self) -> Mapping[str, Tensor]:
        """Return the averaged weights if there are any, else the live ones."""
        state: Mapping[str, Tensor] = self.model.state_dict()
        return state if self.average is None else self.average.state_dict()


def save_checkpoint(path: Path, trainee: Trainee[Any], progress: Progress, identity: Identity) -> None:
    """Write the state of training to `path`, whole or not at all.

    All processes of a training call it, and the first one writes.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint file.
    trainee : Trainee
        Live objects.
    progress : Progress
        Counters and best weights.
    identity : Identity
        Of the run; `load_checkpoint` refuses another one.
    """
    random = _generator_states(trainee.generators)
    if not Processes.current().first:
        return
    tensors = {
        **_weights(trainee),
        **_prefixed("best", progress.best_state),
        **_optimizer_tensors(trainee.optimizer),
        **random,
    }
    record = {name: getattr(progress, name) for name in _RECORDED}
    record |= {"schedule": trainee.schedule.state_dict(), "identity": asdict(identity)}
    if trainee.scaler is not None:
        record["scaler"] = trainee.scaler.state_dict()
    for name, state in progress.callbacks:
        _check_state(path, name, state)
    text, source = json.dumps(record), f"{path}: {RECORD}"
    validated(parse_json(text, source), CheckpointRecord, source)
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata={RECORD: text}))


def _check_state(path: Path, callback: str, state: Any) -> None:
    """Refuse what would not be read back as it is."""
    try:
        parse_json(json.dumps(state), RECORD)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {callback} has a state that is not of JSON values ({error})") from error


def load_checkpoint(path: Path, trainee: Trainee[Any], identity: Identity) -> Progress:
    """Restore `trainee` in place and return the progress.

    Raises
    ------
    DataError
        If the file is damaged, belongs to another network, or a setting or the data differ from the run's;
        each is named. Nothing is restored then, unless the state of a random generator is none.
    """
    record, tensors = read_checkpoint(path)
    _check_identity(path, record, identity)
    generators = {f"random/{name}": generator.get_state() for name, generator in trainee.generators.items()}
    needed = {**_weights(trainee), **generators, _own_state("cpu"): torch.get_rng_state()}
    check_tensors(path, tensors, needed, _prefixed("best", trainee.model.state_dict()), trainee.optimizer)
    scaler, needed_of_it = record.scaler or {}, trainee.scaler.state_dict() if trainee.scaler else {}
    if not needed_of_it.keys() <= scaler.keys():
        raise DataError(f"{path}: not a checkpoint: {RECORD}: scaler: needs {', '.join(needed_of_it)}")
    _restore_generators(path, trainee.generators, tensors)
    trainee.model.load_state_dict(_section("model", tensors))
    _restore_optimizer(trainee.optimizer, tensors)
    trainee.schedule.load_state_dict(record.schedule.to_json())
    if trainee.scaler is not None:
        trainee.scaler.load_state_dict(scaler)
    if trainee.average is not None:
        trainee.average.load_state_dict(_section("average", tensors))
    recorded = record.model_dump(mode="json", include=set(_RECORDED))
    return Progress(**recorded, best_state=_section("best", tensors))


def check_resumable(path: Path, identity: Identity) -> int:
    """Raise what `load_checkpoint` raises without a network; return the epochs completed."""
    record, _ = read_checkpoint(path)
    _check_identity(path, record, identity)
    return record.epoch


def _check_identity(path: Path, record: CheckpointRecord, identity: Identity) -> None:
    before = Identity(record.identity.settings, record.identity.data)
    if problems := identity.refusals(before, record.epoch):
        text = "; ".join(problems)
        cut = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
        raise DataError(f"{path}: cannot be resumed: {cut}")
    most = identity.settings.get("training.epochs", record.epoch)
    if record.epoch > most:
        raise DataError(f"{path}: not a checkpoint: {RECORD}: epoch: {record.epoch}, the training has {most}")


def _weights(trainee: Trainee[Any]) -> dict[str, Tensor]:
    average = {} if trainee.average is None else trainee.average.state_dict()
    return {**_prefixed("model", trainee.model.state_dict()), **_prefixed("average", average)}


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
    """Return the states of the given generators, which all processes share, and of torch's own in each."""
    states = {f"random/{name}": generator.get_state() for name, generator in generators.items()}
    for name, state in _own_states().items():
        for rank, found in enumerate(Processes.current().gather(state)):
            states[f"random/{name}/{rank}"] = found
    return states


def _own_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(
    path: Path, generators: Mapping[str, torch.Generator], tensors: Mapping[str, Tensor]
) -> None:
    own: dict[str, tuple[Callable[[Tensor], object], Callable[[], Tensor]]]
    own = {f"random/{name}": (each.set_state, each.get_state) for name, each in generators.items()}
    own[_own_state("cpu")] = (torch.set_rng_state, torch.get_rng_state)
    if torch.cuda.is_available() and _own_state("cuda") in tensors:
        own[_own_state("cuda")] = (torch.cuda.set_rng_state, torch.cuda.get_rng_state)
    for name, (restore, state) in own.items():
        try:
            restore(tensors[name])
        except (RuntimeError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path}: {name} is no state of a random generator ({reason})") from error
        if not torch.equal(state(), tensors[name]):
            raise DataError(f"{path}: {name} is no state of a random generator")


def _own_state(device: str) -> str:
    """Return the name of the state of torch's own generator in this process."""
    return f"random/{device}/{Processes.current().rank}"
