"""Self-supervised pre-training of an encoder: predict hidden samples of windows, labels are not used."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from patchtst_har.architecture import cut_patches
from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.several_sets import SeveralSets
from patchtst_har.errors import DataError
from patchtst_har.models.batches import to_tensors
from patchtst_har.models.masked import PRETRAINED, MaskedPatches, hide_stretches, masked_loss
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.records.run import Pretraining
from patchtst_har.training.batches import TrainingBatches
from patchtst_har.training.checkpoint import Progress, Trainee, load_checkpoint, save_checkpoint
from patchtst_har.training.identity import Identity
from patchtst_har.training.initial import in_parts
from patchtst_har.training.loop import new_trainee
from patchtst_har.training.machine import Machine
from patchtst_har.training.pretraining import NO_CLASSES, EncoderPretraining
from patchtst_har.training.tracker import EpochRecord

_MASK_STREAM = 2**33
_BATCH = 256


@dataclass(kw_only=True)
class MaskedPretraining(EncoderPretraining):
    """Train an encoder to predict hidden samples from the others (`MaskedPatches`).

    Parameters
    ----------
    mask_fraction : float
        Part of the samples that is hidden, above 0 and below 1.
    """

    mask_fraction: float = 0.4

    labelled: ClassVar[bool] = False

    def judge(self, network: nn.Module, windows: FeatureSet) -> dict[str, float]:
        """Return the loss on windows, and that of zeros in place of the prediction; always the same masks."""
        network.eval()
        model = self.config.model
        device = next(network.parameters()).device
        masks = torch.Generator().manual_seed(self.config.seed)
        sums = torch.zeros(3, dtype=torch.float64)
        for start in range(0, len(windows), _BATCH):
            (cut,) = to_tensors([windows.windows[start : start + _BATCH]])
            patches = cut_patches(cut, model.patch_len, model.patch_hop).to(device)
            hidden = hide_stretches(len(cut), model, self.mask_fraction, masks).to(device)
            with torch.no_grad():
                prediction, target, weight = network(patches, hidden)
            n_hidden = float(weight.sum())
            losses = (masked_loss(guess, target, weight) for guess in (prediction, torch.zeros_like(target)))
            sums += n_hidden * torch.tensor([*map(float, losses), 1.0], dtype=torch.float64)
        loss, zero_loss, n = sums.tolist()
        return {"loss": loss / n, "zero_loss": zero_loss / n}

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if not 0 < self.mask_fraction < 1:
            problems.append(f"mask_fraction: must be above 0 and below 1, is {self.mask_fraction}")
        training = self.config.training
        unused = {
            "accumulation": training.accumulation > 1,
            "amp": training.amp in ("bf16", "fp16"),
            "compile": training.compile,
            "schedule": training.schedule == "plateau",
        }
        problems += [
            f"training.{name}: {getattr(training, name)} is not for pre-training without labels"
            for name, is_set in unused.items()
            if is_set
        ]
        if self.config.model.n_patch_tokens < 2:
            problems.append("model: a window of one patch leaves nothing to predict it from")
        return problems

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "mask_fraction": self.mask_fraction}

    def _is_trained(self, tensor: str) -> bool:
        return in_parts(tensor, PRETRAINED)

    def _fit(
        self, data: SeveralSets, machine: Machine, record: EpochRecord, identity: Identity, *, resume: bool
    ) -> tuple[PatchTSTClassifier, Pretraining]:
        config = self.config
        model = PatchTSTClassifier(config.model, len(NO_CLASSES))
        model.patch_embedding.scale.fit(data.train.windows)
        network = MaskedPatches(model).to(machine.device)
        batches = TrainingBatches(data.training, config.model, config.training, machine.device, config.seed)
        masks = torch.Generator().manual_seed(config.seed + _MASK_STREAM)
        generators = {**batches.generators, "masks": masks}
        trainee = new_trainee(network, config.training, len(batches), generators)
        progress = load_checkpoint(self.checkpoint, trainee, identity) if resume else Progress()
        while progress.epoch < config.training.epochs:
            trained = self._train_epoch(trainee, batches, progress.epoch + 1)
            with trainee.average.in_model() if trainee.average else nullcontext():
                judged = {} if data.val is None else self.judge(network, data.val)
            progress.epoch += 1
            record(progress.epoch, trained, judged)
            save_checkpoint(self.checkpoint, trainee, progress, identity)
            if self.on_progress is not None:
                self.on_progress(progress.epoch, config.training.epochs, "pre-training")
        if trainee.average is not None:
            network.load_state_dict(trainee.average.state_dict())
        judged = self.judge(network, data.train if data.val is None else data.val)
        set_batch_statistics(model, data.train, config)
        return model, Pretraining(kind="masked", data=data.sets, mask_fraction=self.mask_fraction, **judged)

    def _train_epoch(
        self, trainee: Trainee[MaskedPatches], batches: TrainingBatches, epoch: int
    ) -> dict[str, float]:
        network, optimizer = trainee.model.train(), trainee.optimizer
        masks = trainee.generators["masks"]
        total, rate = 0.0, optimizer.param_groups[0]["lr"]
        for batch in batches.epoch():
            patches = batch.inputs[0]
            hidden = hide_stretches(len(patches), self.config.model, self.mask_fraction, masks)
            optimizer.zero_grad(set_to_none=True)
            loss = masked_loss(*network(patches, hidden.to(patches.device)))
            loss.backward()
            trainee.step(self.config.training.max_grad_norm)
            total += loss.item() * len(patches)
        mean = total / batches.n_windows
        if not np.isfinite(mean):
            raise DataError(f"pre-training diverged: the loss of epoch {epoch} is {mean}; lower training.lr")
        return {"loss": mean, "lr": rate}


@torch.no_grad()
def set_batch_statistics(model: PatchTSTClassifier, windows: FeatureSet, config: ExperimentConfig) -> None:
    """Take the running statistics of the stem's batch norms from windows of which nothing is hidden.

    Those of pre-training are of windows with zeros in them, which a trained model never meets.
    """
    norms = [part for part in model.patch_embedding.modules() if isinstance(part, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # The plain mean over batches.
        norm.momentum = None
    model.patch_embedding.train()
    order = np.random.default_rng(config.seed).permutation(len(windows))
    for rows in np.array_split(order, -(-len(order) // _BATCH)):
        (cut,) = to_tensors([windows.windows[rows]])
        patches: Tensor = cut_patches(cut, config.model.patch_len, config.model.patch_hop)
        model.patch_embedding(patches.to(model.rope_cos.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
