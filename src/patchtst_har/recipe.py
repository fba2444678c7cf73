"""How a network is trained: optimisation, and how its training windows are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from patchtst_har.support.settings import (
    Count,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    Probability,
    Section,
    refuse,
)

BETA_SWING = 0.05
"""With the schedule `one_cycle`, how far the first beta goes above and below its value."""

Spread = Annotated[float, Field(ge=0, le=0.2)]
"""A standard deviation about the factor 1: five of them leave it positive."""
Degrees = Annotated[float, Field(ge=0, le=180)]


FineTune = Literal["full", "partial", "frozen"]


class AugmentationConfig(Section):
    """Random variations of the training windows, drawn anew for every window in every epoch; 0: off.

    They change the signal alone; the features stay those of the unchanged window.
    """

    time_warp: Spread = 0.0
    """SD of a factor on time, about the window's centre; the samples are those of the recording around it."""
    shift_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """The window is moved by up to this, earlier or later, within samples of its label."""
    rotation_deg: Degrees = 0.0
    """SD of the angle of a rotation about a random axis."""
    forearm_rotation_deg: Degrees = 0.0
    """SD of the angle of a rotation about the forearm."""
    forearm_axis: Literal["x", "y", "z"] = "x"
    """The sensor's axis that lies along the forearm."""
    octahedral: Probability = 0.0
    """Probability of one of the 24 rotations that map axes to axes: a sensor mounted otherwise."""
    reversed: Probability = 0.0
    """Probability of a half turn about z (x and y change sign): a sensor worn the other way round."""
    scale: Spread = 0.0
    """SD of a factor on all axes."""
    axis_scale: Spread = 0.0
    """SD of a factor on each axis."""
    offset_g: Annotated[float, Field(ge=0, le=1)] = 0.0
    """SD of a constant added to each axis, in g."""
    jitter_g: Annotated[float, Field(ge=0, le=1)] = 0.0
    """White noise whose SD is drawn for each window from 0 to this, in g."""
    clip_2g: Probability = 0.0
    """Probability of clipping at 2 g, as by a sensor of that range."""
    low_rate: Probability = 0.0
    """Probability of resampling to a random rate from 20 to 100 Hz and back, as from a slower sensor."""


class TrainingConfig(Section):
    """Optimisation."""

    batch_size: Annotated[int, Field(ge=1, le=10_000_000)] = 32
    """Windows per step; the last batch of an epoch may be smaller, none is dropped."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """Passes over the training windows, at most."""
    epoch_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Part of the training windows that an epoch sees, drawn anew each time."""
    min_epoch_windows: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Least windows of an epoch: a smaller training set is gone through more than once."""
    hop_s: PositiveFloat | None = None
    """Seconds between the starts of training windows, cut from prepared windows that follow each other.

    At most a window. None: the prepared windows as they are. Validation and test windows always are.
    """
    lr: PositiveFloat = 1e-3
    """Peak learning rate of AdamW."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay rates of AdamW's two moments; with `one_cycle`, the first swings by 0.05 against the rate."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decoupled weight decay of AdamW."""
    decay: Literal["all", "matrices"] = "all"
    """What decays: all parameters, or those with two dimensions or more, not biases and norms."""
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    """`cosine`: the rate rises linearly, then falls along a cosine to zero; `one_cycle`: it rises along a
    cosine from 1/25 of the peak and falls along one to 1e-4 of the start."""
    warmup_fraction: Fraction = 0.1
    """Fraction of all steps in which the rate rises."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients with a larger norm are scaled down to it."""
    keep: Literal["best", "last"] = "best"
    """Which weights are kept: of the best validation epoch, or of the last one (nothing stops early)."""
    early_stop_patience: Count = 8
    """Epochs without a better validation macro F1 (ties: loss) before training stops."""
    ema_decay: Fraction = 0.0
    """Decay per step of averaged weights, which are validated and kept in place of the last ones; 0: off.

    After n steps it is at most (1 + n) / (10 + n), so that the first weights are soon forgotten.
    """
    label_smoothing: Fraction = 0.0
    """Fraction of the target that is spread over all classes."""
    class_weights: Literal["balanced", "root", "none"] = "balanced"
    """Weight of a class in the cross entropy: `balanced`: its inverse frequency in the training windows;
    `root`: the root of that."""
    auxiliary_weight: NonNegativeFloat = 0.5
    """Weight of the loss of each auxiliary head, if the model has any; that of the joint head is 1."""
    heads: Literal["joint", "all"] = "joint"
    """Whose probabilities the trained model gives: the joint head's, or the geometric mean of those of all
    heads, which is a linear function of the embedding too and is kept in the joint head's place."""
    teachers: tuple[Path, ...] = ()
    """Model folders whose mean class probabilities are learned in addition to the labels (distillation)."""
    distillation: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of the teachers' probabilities; the labels have the rest. Without teachers, labels have all."""
    init: str | None = None
    """Shipped model or model folder with whose weights and scaling training begins.

    Features and architecture must be its own. Its heads are taken over if its classes are those of the data
    set.
    """
    fine_tune: FineTune = "full"
    """What of the `init` model is trained: all of it; `partial`: not its first layers (the stem, the first
    layer of the branch); `frozen`: only the heads, on embeddings that stay as they were."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Random variations of the training windows."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` uses CUDA if there is a device and logs its choice; `cuda` without a device is an error."""
    amp: bool = True
    """Automatic mixed precision on CUDA; no effect on the CPU."""
    calibrate: bool = True
    """Fit a temperature of the logits on the validation people, if there are any; it is kept in the model."""
    n_threads: Annotated[int, Field(ge=0, le=1024)] = 1
    """CPU threads of torch; 0 keeps torch's default. More than one helps large models on idle cores only."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.schedule == "one_cycle" and not BETA_SWING <= self.betas[0] < 1 - BETA_SWING:
            problems.append(
                f'betas: the first ({self.betas[0]}) must be in [0.05, 0.95) with schedule="one_cycle", '
                "which moves it by 0.05"
            )
        fields = type(self).model_fields
        unused = {
            "early_stop_patience": ('keep="last"', self.keep == "last"),
            "distillation": ("no teachers", not self.teachers),
            "fine_tune": ("no init", self.init is None),
        }
        for name, (where, is_unused) in unused.items():
            if is_unused and getattr(self, name) != fields[name].default:
                problems.append(f"{name} ({getattr(self, name)}) has no meaning with {where}")
        return refuse(self, problems)
