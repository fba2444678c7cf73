"""How a network is trained: optimisation, and how its training windows are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

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
Monitored = Literal[
    "val_macro_f1", "val_accuracy", "val_loss", "train_macro_f1", "train_accuracy", "train_loss"
]
"""Logged metrics of which is known whether more or less is better: less of a loss, more of the others."""


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
    """Windows per step, over all processes; the last batch of an epoch may be smaller, none is dropped."""
    accumulation: Count = 1
    """Parts into which the windows of a step are divided; their gradients are added up. More parts need less
    memory and give the same step, but for dropout's draws and batch norm, which sees one part at a time."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """Passes over the training windows, at most."""
    schedule_epochs: Count | None = None
    """Epochs over which `cosine` or `one_cycle` runs, `epochs` or more; None: `epochs`. A finished run can be
    given more epochs up to it."""
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
    schedule: Literal["cosine", "one_cycle", "plateau"] = "cosine"
    """`cosine`: the rate rises linearly, then falls along a cosine to zero; `one_cycle`: it rises along a
    cosine from 1/25 of the peak and falls along one to 1e-4 of the start; `plateau`: it rises linearly and
    is multiplied by `plateau_factor` whenever `monitor` has not improved for `plateau_patience` epochs."""
    warmup_fraction: Fraction = 0.1
    """Fraction of all steps in which the rate rises; with `plateau`, of the steps of the first epoch."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor on the rate with `schedule="plateau"`."""
    plateau_patience: Count = 4
    """Epochs without improvement before the rate is lowered, with `schedule="plateau"`."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients with a larger norm are scaled down to it."""
    keep: Literal["best", "last"] = "best"
    """Which weights are kept: of the best validation epoch, or of the last one (nothing stops early)."""
    monitor: Monitored = "val_macro_f1"
    """What "best" means for `keep`, early stopping and `plateau`; ties go to the lower validation loss."""
    early_stop_patience: Count = 8
    """Epochs without a better `monitor` before training stops."""
    ema_decay: Fraction = 0.0
    """Decay per step of averaged weights, which are validated and kept in place of the last ones; 0: off.

    After n steps it is at most (1 + n) / (10 + n), so that the first weights are soon forgotten.
    """
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """`focal`: cross entropy times (1 - p)^`focal_gamma`, p the probability of the true class."""
    focal_gamma: PositiveFloat = 2.0
    """How much less windows count that are already recognised, with `loss="focal"`."""
    label_smoothing: Fraction = 0.0
    """Fraction of the target that is spread over all classes."""
    class_weights: Literal["balanced", "root", "effective", "none"] = "balanced"
    """Weight of a class in the loss: `balanced`: its inverse frequency in the training windows; `root`: the
    root of that; `effective`: the inverse of its effective number of windows, (1 - b^n) / (1 - b)."""
    effective_beta: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """b of the effective number, with `class_weights="effective"`: near 0 no weights, near 1 `balanced`."""
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
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """Mixed precision: `auto`: `bf16` on a CUDA device that has it, `off` on the CPU; `bf16`: on CUDA, or on
    a processor with bfloat16 instructions; `fp16`: on CUDA, the loss scaled. True is `auto`, False `off`."""
    compile: bool = False
    """Compile the training step by `torch.compile`; on the CPU it needs a C++ compiler."""
    calibrate: bool = True
    """Fit a temperature of the logits on the validation people, if there are any; it is kept in the model."""
    n_threads: Annotated[int, Field(ge=0, le=1024)] = 1
    """CPU threads of torch; 0 keeps torch's default. More than one helps large models on idle cores only."""

    @field_validator("amp", mode="before")
    @classmethod
    def _of_older_files(cls, amp: Any) -> Any:
        """Read the switch that it was."""
        return {True: "auto", False: "off"}[amp] if isinstance(amp, bool) else amp

    @model_validator(mode="after")
    def _check(self) -> Self:
        return refuse(self, [*self._contradictions(), *self._without_meaning()])

    def _contradictions(self) -> list[str]:
        problems = []
        if self.schedule == "one_cycle" and not BETA_SWING <= self.betas[0] < 1 - BETA_SWING:
            problems.append(
                f'betas: the first ({self.betas[0]}) must be in [0.05, 0.95) with schedule="one_cycle", '
                "which moves it by 0.05"
            )
        if self.accumulation > self.batch_size:
            problems.append(
                f"accumulation ({self.accumulation}) must not exceed batch_size ({self.batch_size})"
            )
        if self.schedule_epochs is not None and self.schedule_epochs < self.epochs:
            problems.append(
                f"schedule_epochs ({self.schedule_epochs}) must not be below epochs ({self.epochs}): "
                "the rate is at its end then"
            )
        if self.loss == "focal" and self.label_smoothing:
            problems.append(
                f'label_smoothing ({self.label_smoothing}) has no meaning with loss="focal", which weighs by '
                "the probability of one true class"
            )
        if self.amp == "fp16" and self.device == "cpu":
            problems.append('amp: "fp16" needs CUDA, and device is "cpu"; there, "bf16" or "off"')
        return problems

    def _without_meaning(self) -> list[str]:
        fields = type(self).model_fields
        plateau = self.schedule == "plateau"
        unused = {
            "early_stop_patience": ('keep="last"', self.keep == "last"),
            "monitor": ('keep="last" and no schedule="plateau"', self.keep == "last" and not plateau),
            "schedule_epochs": ('schedule="plateau"', plateau),
            "plateau_factor": (f'schedule="{self.schedule}"', not plateau),
            "plateau_patience": (f'schedule="{self.schedule}"', not plateau),
            "focal_gamma": (f'loss="{self.loss}"', self.loss != "focal"),
            "effective_beta": (f'class_weights="{self.class_weights}"', self.class_weights != "effective"),
            "distillation": ("no teachers", not self.teachers),
            "fine_tune": ("no init", self.init is None),
        }
        return [
            f"{name} ({getattr(self, name)}) has no meaning with {where}"
            for name, (where, is_unused) in unused.items()
            if is_unused and getattr(self, name) != fields[name].default
        ]

    @property
    def n_schedule_epochs(self) -> int:
        """Epochs over which the schedule runs; with `plateau`, the one in which the rate rises."""
        return 1 if self.schedule == "plateau" else self.schedule_epochs or self.epochs
