"""Checkpoints of trainings: the record in the metadata, weights, moments, the states of generators."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch

from fuzz.choices import Choices, as_it_is, by_choice, changed_bytes, changed_document, two_ways
from fuzz.frame import Finding, Target, place
from fuzz.targets.models import changed_tensors
from patchtst_har.architecture import input_shapes
from patchtst_har.config import ModelConfig, TrainingConfig
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.training.callbacks import Checkpointing, Fit, KeepBest, LowerRate
from patchtst_har.training.checkpoint import check_resumable
from patchtst_har.training.checkpoint_file import RECORD, read_checkpoint
from patchtst_har.training.identity import Identity
from patchtst_har.training.loop import new_trainee

_MODEL = ModelConfig(window_size=40, patch_len=10, d_model=8, n_heads=2, n_layers=1, d_ff=8)
_TRAINING = TrainingConfig(epochs=6, schedule="plateau", monitor="val_loss", ema_decay=0.9)
_SETTINGS = {"training.epochs": 6, "training.early_stop_patience": 3, "training.lr": 0.1, "seed": 0}
_RUN = Identity(_SETTINGS, {"data": "a"})


def _fit(path: Path, *, resume: bool) -> Fit:
    """Return a training that writes a file after an epoch."""
    generators = {"shuffle": torch.Generator().manual_seed(1)}
    trainee = new_trainee(PatchTSTClassifier(_MODEL, 2), _TRAINING, 3, generators)
    saving = Checkpointing(path, _RUN, resume=resume)
    metrics = {"train": {"loss": 1.0}, "val": {"loss": 1.0, "macro_f1": 0.5}}
    return Fit(_TRAINING, trainee, metrics=metrics, callbacks=(KeepBest(), LowerRate(), saving))


def _step(fit: Fit) -> None:
    inputs = (torch.ones(2, *shape) for shape in input_shapes(_MODEL).values())
    fit.trainee.optimizer.zero_grad(set_to_none=True)
    fit.trainee.backward(fit.model(*inputs).square().mean())
    fit.trainee.step(_TRAINING.max_grad_norm)


@cache
def _whole() -> bytes:
    torch.manual_seed(0)
    path = place() / "whole.safetensors"
    fit = _fit(path, resume=False)
    _step(fit)
    fit.progress.epoch += 1
    fit.call("on_epoch_end")
    return path.read_bytes()


def _changed_record(content: bytes, choices: Choices) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    record = changed_document(json.loads(header["__metadata__"][RECORD]), choices)
    text = json.dumps(record, ensure_ascii=choices.flag())
    header["__metadata__"] = {
        RECORD: changed_bytes(text.encode("utf-8", "replace"), choices).decode("latin-1")
    }
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + content[8 + length :]


def _resume(data: bytes) -> None:
    content, choices = two_ways(data)
    path = place() / "last.safetensors"
    if content is None:
        change = choices.one_of((_changed_record, _changed_record, changed_tensors))
        content = change(_whole(), choices)
    path.write_bytes(content)
    check_resumable(path, _RUN)
    fit = _fit(path, resume=True)
    fit.call("on_train_begin")
    record, tensors = read_checkpoint(path)
    Checkpointing(path, _RUN).on_epoch_end(fit)
    again, written = read_checkpoint(path)
    # Settings that may differ are those of now.
    again = again.model_copy(update={"identity": record.identity})
    if again != record or any(not torch.equal(values, tensors[name]) for name, values in written.items()):
        raise Finding("promise: a training goes on with what was stored")
    _step(fit)


TARGETS = {
    "checkpoint": Target(
        "checkpoints of trainings",
        lambda: [*by_choice(24), *as_it_is(_whole(), b"\x08\0\0\0\0\0\0\0{}      ")],
        _resume,
    ),
}
