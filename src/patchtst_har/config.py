"""Configuration: one frozen object describes an experiment; constructing it validates it.

Fields are checked one by one, then against each other; all contradictions are reported at once. Unknown
keys are errors. A configuration names values, never code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from patchtst_har.errors import ConfigError, DataError, FeatureError
from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)
from patchtst_har.features.settings import TopologyConfig as TopologyConfig
from patchtst_har.presets import PRESETS, Preset
from patchtst_har.recipe import AugmentationConfig as AugmentationConfig
from patchtst_har.recipe import TrainingConfig as TrainingConfig
from patchtst_har.support.documents import parse_yaml
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.names import repeated
from patchtst_har.support.settings import (
    Count,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    Section,
    read_yaml,
    refuse,
)

N_STATISTICAL_FEATURES = len(STATISTICAL_FEATURE_NAMES)
N_MOVEMENT_FEATURES = len(MOVEMENT_FEATURE_NAMES)
N_TOPOLOGICAL_FEATURES = len(TOPOLOGICAL_FEATURE_NAMES)
N_TIME_FEATURES = 5


class DataConfig(Section):
    """Folder of the prepared windows, size and labels of windows, and the split into groups of people."""

    proc_dir: Path = Path("processed")
    """Folder of the prepared data set (`manifest.csv`, `classes.json`, one NPZ per participant)."""
    sample_rate_hz: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 100.0
    """Sampling rate of the prepared windows."""
    window_size: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Samples per window."""
    hop_size: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Samples between the starts of consecutive windows."""
    label_policy: Literal["mode", "unanimous", "centre"] = "mode"
    """How a window gets its label from its samples' annotations."""
    min_labelled_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A window of which less than this is annotated is dropped; 0 drops only windows without annotation."""
    max_gap_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 1.0
    """A longer gap between two samples ends a segment; no window crosses it."""
    calibration: Literal["off", "auto", "require"] = "off"
    """Scale and offset of the sensor's axes, from its moments at rest: `off`; `auto`: where a recording
    allows it, otherwise the reason is recorded; `require`: a recording that does not allow it is refused.

    A model labels recordings as it was trained, calibrated or not.
    """
    non_wear: Literal["auto", "off"] = "auto"
    """`auto`: in recordings of more than an hour, time without wear and idle sleep is a state of its own,
    `non_wear`, and not classified (annotated recordings that are prepared count as worn); `off`."""
    timezone: str | None = None
    """IANA zone in which the hour of the day is read; None: the stamps are local wall-clock time."""
    split: Literal["counts", "lists", "kfold"] = "counts"
    """`counts`: `train_n` and `val_n` people, the rest test; `lists`: named; `kfold`: folds of people."""
    train_n: Count | None = None
    """People to train on (`split="counts"`); None: all who neither validate nor test."""
    val_n: Annotated[int, Field(ge=0)] | None = None
    """People to validate on (`split="counts"` and `"kfold"`); None: 15 % of all, 1 to 20.

    0 (or no `val_participants`) needs `training.keep="last"` and `smoothing.method="none"`.
    """
    train_participants: tuple[str, ...] = ()
    """`split="lists"`: people to train on."""
    val_participants: tuple[str, ...] = ()
    """`split="lists"`: people to validate on."""
    test_participants: tuple[str, ...] = ()
    """`split="lists"` and `"counts"`: people to test on; empty with `counts`: all the others."""
    n_folds: Annotated[int, Field(ge=2, le=100_000)] = 5
    """`split="kfold"`: number of folds."""
    fold: Annotated[int, Field(ge=0)] = 0
    """`split="kfold"`: the fold held out as test."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random assignment of people."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.hop_size > self.window_size:
            problems.append(f"hop_size ({self.hop_size}) must not exceed window_size ({self.window_size})")
        if self.split == "kfold" and self.fold >= self.n_folds:
            problems.append(f"fold ({self.fold}) must be below n_folds ({self.n_folds})")
        if self.split == "lists" and not self.train_participants:
            problems.append('split="lists" needs train_participants')
        groups = ("train_participants", "val_participants", "test_participants")
        named = {name: getattr(self, name) for name in groups}
        used = {"counts": groups[2:], "kfold": (), "lists": groups}[self.split]
        unused = [name for name in groups if named[name] and name not in used]
        problems += [f'{name} has no meaning with split="{self.split}"' for name in unused]
        twice = repeated(person for people in named.values() for person in people)
        problems += [f"participants: {name!r} stands in the lists more than once" for name in twice]
        return refuse(self, problems)


class FeatureConfig(Section):
    """Which features are computed, and where they are cached."""

    groups: tuple[Literal["statistical", "movement", "topological"], ...] = ("statistical", "topological")
    """Built-in features that are computed; `statistical` always is, and `movement` follows in its vector."""
    topology: TopologyConfig = TopologyConfig()
    """Topological features."""
    plugins: tuple[str, ...] = ()
    """Registered feature plug-ins whose values follow the statistical features."""
    cache_dir: Path | None = None
    """Folder of the feature cache; None: `features_cache` inside `data.proc_dir`."""
    n_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads of the batch kernels."""

    @field_validator("groups")
    @classmethod
    def _in_order(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        if "statistical" not in groups or len(set(groups)) != len(groups):
            raise ValueError(f"must hold 'statistical', and no name twice, is {list(groups)}")
        return tuple(sorted(groups, key=("statistical", "movement", "topological").index))

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.n_plugin_outputs  # noqa: B018
        except FeatureError as error:
            return refuse(self, [f"plugins: {error}"])
        return self

    @property
    def movement(self) -> bool:
        """Whether the movement features follow the statistical ones."""
        return "movement" in self.groups

    @property
    def n_stat_features(self) -> int:
        """Length of the statistical vector: statistical, movement, outputs of the plug-ins (loads them)."""
        return N_STATISTICAL_FEATURES + self.movement * N_MOVEMENT_FEATURES + self.n_plugin_outputs

    @property
    def n_topo_features(self) -> int:
        """Length of the topological vector."""
        return N_TOPOLOGICAL_FEATURES if "topological" in self.groups else 0

    @property
    def n_plugin_outputs(self) -> int:
        """Values per window that the plug-ins add (loads them)."""
        if not self.plugins:
            return 0
        from patchtst_har.features import feature_outputs

        return len(feature_outputs(self.plugins))


class StemLayer(Section):
    """One convolution of the stem: without bias, then batch norm and activation."""

    channels: Annotated[int, Field(ge=1, le=8192)]
    """Output channels."""
    kernel: Annotated[int, Field(ge=1, le=2**20)]
    """Samples that an output sees."""
    stride: Count
    """Samples between outputs; at most the kernel."""
    padding: Annotated[int, Field(ge=0, le=2**20)] = 0
    """Zeros before and after its input; only with `stem_over: window`."""


class FeatureBranchConfig(Section):
    """Branch for the feature vectors, beside the encoder.

    Each feature is scaled to a normal distribution by its quantiles over the training windows; then come two
    layers with batch norm.
    """

    width: Annotated[int, Field(ge=1, le=8192)] = 96
    """Width of both layers."""
    input_dropout: Fraction = 0.1
    """Dropout probability of the scaled features."""
    hidden_dropout: Fraction = 0.4
    """Dropout probability between the layers."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation of the normal noise that is added to the scaled features in training."""
    drop: Fraction = 0.05
    """Probability that all features of a window are zero in training."""


class ModelConfig(Section):
    """Architecture of the PatchTST encoder. The defaults are the reference configuration."""

    window_size: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Samples per window."""
    patch_len: Count = 100
    """Samples per patch."""
    patch_stride: Count | None = None
    """Samples between the starts of patches; smaller than patch_len: they overlap; None: patch_len."""
    stem: Annotated[tuple[StemLayer, ...], Field(max_length=8)] = ()
    """Strided convolutions before the encoder.

    Each is a mapping `{channels, kernel, stride, padding}`; they must use their input to the last sample.
    """
    stem_over: Literal["patch", "window"] = "patch"
    """`patch`: the stem works inside each patch, whose outputs are projected to one token; `window`: over the
    whole window, and each of its outputs is a token: the last layer must have d_model channels.

    With `window`, patch_len is window_size and follows it if it is not set.
    """
    channels: Annotated[int, Field(ge=1, le=3)] = 3
    """Acceleration axes."""
    d_model: Annotated[int, Field(ge=1, le=8192)] = 56
    """Width of a token."""
    n_heads: Annotated[int, Field(ge=1, le=1024)] = 2
    """Attention heads; d_model / n_heads must be even (rotary pairs)."""
    n_layers: Annotated[int, Field(ge=1, le=256)] = 2
    """Encoder layers."""
    d_ff: Annotated[int, Field(ge=1, le=65_536)] = 112
    """Width of the feed-forward layers."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each residual branch (and before pooling), or after each sum."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Activation of the stem, the feature embeddings or branch, and the feed-forward layers."""
    pooling: Literal["mean", "cls", "attention", "mean_max"] = "mean"
    """From tokens to one vector: their mean, a learned token put before them, a learned weighting, or mean
    and maximum side by side."""
    dropout: Fraction = 0.3
    """Dropout probability of the encoder layers, attention included."""
    embedding_dropout: Fraction | None = None
    """Dropout probability of the tokens before the encoder and of the head's input; None: `dropout`."""
    features_as: Literal["tokens", "branch"] = "tokens"
    """Feature vectors are tokens of the encoder, or go through a branch of two layers beside it, whose output
    the head reads beside the pooled tokens."""
    branch: FeatureBranchConfig = FeatureBranchConfig()
    """`features_as: branch`: its width and regularisation."""
    auxiliary_heads: bool = False
    """In training, the encoder and the branch each have a head of their own beside the joint one
    (`features_as: branch`)."""
    n_stat_features: Annotated[int, Field(ge=0, le=100_000)] = N_STATISTICAL_FEATURES
    """Length of the statistical feature vector; 0 leaves its token out.

    In an experiment it follows `features.groups` and `features.plugins` if it is not set.
    """
    n_topo_features: Annotated[int, Field(ge=0, le=100_000)] = N_TOPOLOGICAL_FEATURES
    """Length of the topological feature vector; 0 leaves its token out.

    In an experiment it follows `features.groups` if it is not set.
    """
    n_stat_tokens: Annotated[int, Field(ge=1, le=1024)] = 1
    """Tokens that the statistical feature vector is projected to."""
    n_topo_tokens: Annotated[int, Field(ge=1, le=1024)] = 1
    """Tokens that the topological feature vector is projected to."""
    n_time_features: Annotated[int, Field(ge=0, le=1024)] = N_TIME_FEATURES
    """Length of the time vector, added once to the pooled tokens; 0 leaves it out.

    Leave it out unless the training recordings span whole days: from one session per person, a
    model can only learn when the session was.
    """
    rope_base: PositiveFloat = 10000.0
    """Base of the rotary frequencies."""
    gradient_checkpointing: bool = False
    """Recompute each encoder layer in the backward pass: less memory, more time, equal gradients."""

    @property
    def patch_hop(self) -> int:
        """Samples between the starts of patches."""
        return self.patch_len if self.patch_stride is None else self.patch_stride

    @property
    def n_patches(self) -> int:
        """Patch tokens per window."""
        return (self.window_size - self.patch_len) // self.patch_hop + 1

    @property
    def stem_lengths(self) -> tuple[int, ...]:
        """Length of a patch before the stem and after each of its convolutions."""
        lengths = [self.patch_len]
        for layer in self.stem:
            lengths.append((lengths[-1] + 2 * layer.padding - layer.kernel) // layer.stride + 1)
        return tuple(lengths)

    @property
    def n_patch_tokens(self) -> int:
        """Tokens that the samples become: one for each patch, or each output of the stem over the window."""
        return self.stem_lengths[-1] if self.stem_over == "window" else self.n_patches

    @property
    def patch_width(self) -> int:
        """Values that are projected to a patch token."""
        return self.stem_lengths[-1] * (self.stem[-1].channels if self.stem else self.channels)

    @property
    def feature_tokens(self) -> tuple[int, int]:
        """Statistical and topological tokens per window."""
        if self.features_as == "branch":
            return 0, 0
        return (
            self.n_stat_tokens if self.n_stat_features else 0,
            self.n_topo_tokens if self.n_topo_features else 0,
        )

    @property
    def n_tokens(self) -> int:
        """All tokens per window: the class token if there is one, patches, features."""
        return (self.pooling == "cls") + self.n_patch_tokens + sum(self.feature_tokens)

    @property
    def pooled_width(self) -> int:
        """Width of the pooled tokens."""
        return 2 * self.d_model if self.pooling == "mean_max" else self.d_model

    @property
    def embedding_width(self) -> int:
        """Width of the head's input: the pooled tokens, then the output of the feature branch."""
        return self.pooled_width + (self.branch.width if self.features_as == "branch" else 0)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stem_over == "window" and "patch_len" not in self.model_fields_set:
            # Frozen, but still being built; it stays unset, so that it follows again.
            object.__setattr__(self, "patch_len", self.window_size)
            self.model_fields_set.discard("patch_len")
        problems = self._cutting_problems() + self._stem_problems() + self._branch_problems()
        if self.d_model % self.n_heads:
            problems.append(f"d_model ({self.d_model}) must be divisible by n_heads ({self.n_heads})")
        elif self.head_dim % 2:
            problems.append(f"head_dim = d_model / n_heads ({self.head_dim}) must be even")
        return refuse(self, problems + self.token_problems())

    def token_problems(self) -> list[str]:
        """Return what contradicts itself in the numbers of tokens."""
        if self.features_as == "branch":
            return [
                f"{name} ({getattr(self, name)}) has no meaning with features_as branch"
                for name in ("n_stat_tokens", "n_topo_tokens")
                if getattr(self, name) != 1
            ] + (
                []
                if self.n_stat_features or self.n_topo_features
                else ["features_as: branch needs features, n_stat_features and n_topo_features are 0"]
            )
        unused = {"n_stat_tokens": self.n_stat_features, "n_topo_tokens": self.n_topo_features}
        return [
            f"{name} ({getattr(self, name)}) has no meaning with {name.replace('tokens', 'features')} 0"
            for name, n_features in unused.items()
            if not n_features and getattr(self, name) != 1
        ]

    def _branch_problems(self) -> list[str]:
        if self.features_as == "branch":
            return []
        problems = (
            [] if self.branch == FeatureBranchConfig() else ["branch has no meaning with features_as tokens"]
        )
        if self.auxiliary_heads:
            problems.append("auxiliary_heads needs features_as branch: without it, there is one head")
        return problems

    def _stem_problems(self) -> list[str]:
        """Each convolution must use its input to the last sample."""
        if self.stem_over == "window":
            if not self.stem:
                return ["stem_over: window needs a stem"]
            problems = []
            if self.patch_len != self.window_size:
                problems.append(
                    f"patch_len ({self.patch_len}) must be window_size ({self.window_size}) with "
                    "stem_over window; left out, it follows"
                )
            if self.stem[-1].channels != self.d_model:
                problems.append(
                    f"stem.{len(self.stem) - 1}.channels ({self.stem[-1].channels}) must be d_model "
                    f"({self.d_model}) with stem_over window"
                )
        else:
            problems = [
                f"stem.{i}.padding ({layer.padding}) has no meaning with stem_over patch"
                for i, layer in enumerate(self.stem)
                if layer.padding
            ]
        for i, (layer, length) in enumerate(zip(self.stem, self.stem_lengths, strict=False)):
            if layer.stride > layer.kernel:
                problems.append(f"stem.{i}.stride ({layer.stride}) must not exceed kernel ({layer.kernel})")
            if layer.padding >= layer.kernel:
                problems.append(f"stem.{i}.padding ({layer.padding}) must be below kernel ({layer.kernel})")
            left_over = (length + 2 * layer.padding - layer.kernel) % layer.stride
            if layer.kernel > length + 2 * layer.padding or left_over > layer.padding:
                problems.append(
                    f"stem.{i}: kernel ({layer.kernel}) and stride ({layer.stride}) must cover its input of "
                    f"{length} samples exactly"
                )
                break
        return problems

    def _cutting_problems(self) -> list[str]:
        """Patches must cover the window to the last sample."""
        if self.patch_len > self.window_size:
            return [f"patch_len ({self.patch_len}) must not exceed window_size ({self.window_size})"]
        problems = []
        if self.patch_stride is None and self.window_size % self.patch_len:
            problems.append(
                f"window_size ({self.window_size}) must be divisible by patch_len ({self.patch_len})"
            )
        elif self.patch_hop > self.patch_len:
            problems.append(
                f"patch_stride ({self.patch_stride}) must not exceed patch_len ({self.patch_len}): "
                "samples between patches would be ignored"
            )
        elif (self.window_size - self.patch_len) % self.patch_hop:
            problems.append(
                f"window_size - patch_len ({self.window_size - self.patch_len}) must be divisible by "
                f"patch_stride ({self.patch_hop}): the last samples would be ignored"
            )
        return problems


class SmoothingConfig(Section):
    """Temporal smoothing of the window probabilities."""

    method: Literal["auto", "viterbi", "none"] = "auto"
    """`viterbi`: hidden Markov model, most probable path over each segment (offline); `none`; `auto`: in
    training, `viterbi` unless it lowers macro F1 on the validation participants."""
    pseudo_count: PositiveFloat = 1.0
    """Added to every transition and emission count, so that no state is unreachable."""
    max_gap_s: PositiveFloat = 1.0
    """A gap longer than the hop plus this between two windows starts a new sequence."""


class ExperimentConfig(Section):
    """Everything that defines one experiment."""

    experiment_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "patchtst_har_v1"
    """Name of the run and of its folder."""
    output_dir: Path = Path("runs")
    """The run is written to `output_dir / experiment_name`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of initial weights, dropout and the order of the windows."""
    data: DataConfig = DataConfig()
    features: FeatureConfig = FeatureConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    smoothing: SmoothingConfig = SmoothingConfig()

    @model_validator(mode="after")
    def _check(self) -> Self:
        n_stat_features, n_topo_features = self.features.n_stat_features, self.features.n_topo_features
        computed = {"n_stat_features": n_stat_features, "n_topo_features": n_topo_features}
        follow = computed.keys() - self.model.model_fields_set
        if follow:
            model = self.model.model_copy(update={name: computed[name] for name in follow})
            # They stay unset, so that they follow again where the features are replaced.
            model.model_fields_set.difference_update(follow)
            # The experiment is frozen, but still being built.
            object.__setattr__(self, "model", model)
        problems = [f"model.{problem}" for problem in self.model.token_problems()] if follow else []
        problems += self._training_problems()
        if self.data.window_size != self.model.window_size:
            problems.append(
                f"data.window_size ({self.data.window_size}) and model.window_size "
                f"({self.model.window_size}) must be equal"
            )
        if self.model.n_stat_features not in (0, n_stat_features):
            problems.append(
                f"model.n_stat_features must be 0 or {n_stat_features}, is {self.model.n_stat_features} "
                f"(features.plugins adds {self.features.n_plugin_outputs} to the "
                f"{n_stat_features - self.features.n_plugin_outputs}; left out, it follows)"
            )
        if self.model.n_topo_features not in (0, n_topo_features):
            needed = f"0 or {n_topo_features}" if n_topo_features else "0: features.groups leaves them out"
            problems.append(f"model.n_topo_features must be {needed}")
        if self.model.n_time_features not in (0, N_TIME_FEATURES):
            problems.append(f"model.n_time_features must be 0 or {N_TIME_FEATURES}")
        if self.model.channels != 3:
            problems.append(f"model.channels must be 3 for tri-axial recordings, not {self.model.channels}")
        return refuse(self, problems)

    def _training_problems(self) -> list[str]:
        """Return what contradicts itself between the recipe and the data."""
        data, training, problems = self.data, self.training, []
        window_s = data.window_size / data.sample_rate_hz
        if training.hop_s is not None and not 1 / data.sample_rate_hz <= training.hop_s <= window_s:
            problems.append(
                f"training.hop_s ({training.hop_s:g}) must be from one sample to one window, that is from "
                f"{1 / data.sample_rate_hz:g} to {window_s:g}"
            )
        if training.augmentation.low_rate and data.sample_rate_hz <= 20:
            problems.append(
                "training.augmentation.low_rate: resamples to 20 Hz and more, data.sample_rate_hz is "
                f"{data.sample_rate_hz:g}"
            )
        return problems

    @property
    def run_dir(self) -> Path:
        """The run's folder."""
        return self.output_dir / self.experiment_name

    def without_paths(self) -> Self:
        """Return a copy whose folders are the defaults, for a model folder that others read.

        Of teachers and of the initial model, the names of their folders are kept.
        """
        default = type(self)()
        training = self.training
        changes: dict[str, Any] = {"teachers": tuple(Path(path.name) for path in training.teachers)}
        if training.init is not None:
            changes["init"] = Path(training.init).name
        return self.replace(
            output_dir=default.output_dir,
            data=self.data.replace(proc_dir=default.data.proc_dir),
            features=self.features.replace(cache_dir=default.features.cache_dir),
            training=training.replace(**changes),
        )

    def to_yaml(self) -> str:
        """Return the configuration as YAML text."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return text

    def save(self, path: Path | str) -> None:
        """Write the configuration as YAML."""
        atomic_write_text(path, self.to_yaml())

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> Self:
        """Read a YAML file, apply `section.field=value` overrides, validate.

        Parameters
        ----------
        path : path-like
            A YAML file; fields left out take their defaults.
        overrides : sequence of str
            For example ``["training.epochs=5", "data.proc_dir=processed"]``; values are YAML.

        Raises
        ------
        ConfigError
            If the file is not YAML, has unknown keys, or the whole is contradictory; all at once.
        """
        return cls.from_mapping(read_yaml(Path(path)), overrides, source=str(path))

    @classmethod
    def from_mapping(
        cls, values: Mapping[str, Any], overrides: Sequence[str] = (), source: str = "configuration"
    ) -> Self:
        """Build from nested mappings and `section.field=value` overrides (see `load`).

        ``preset`` at the top names one of `patchtst_har.presets.PRESETS`, which fills in what is left out.
        """
        merged = with_overrides(values, overrides)
        name = merged.pop("preset", "seed")
        if not isinstance(name, str) or name not in PRESETS:
            raise ConfigError([f"preset: must be one of {', '.join(PRESETS)}, is {name!r}"], source)
        try:
            return cls(**_filled(merged, PRESETS[name]))
        except ConfigError as error:
            raise ConfigError(error.problems, source) from None

    @classmethod
    def preset(cls, name: Preset, **sections: Any) -> Self:
        """Return the experiment of a preset (`patchtst_har.presets`), with other values in some sections.

        Parameters
        ----------
        name : {"seed", "small", "base"}
            `seed` is ``ExperimentConfig()``; `base` is what ``patchtst-har train`` takes by default.
        **sections
            Mappings or sections; what they leave out is the preset's.

        Raises
        ------
        ConfigError
            If there is no such preset, or the whole is contradictory.
        """
        given = {
            key: value.model_dump(exclude_unset=True) if isinstance(value, Section) else value
            for key, value in sections.items()
        }
        return cls.from_mapping({**given, "preset": name})


def _filled(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested `values`, with `defaults` where they say nothing."""
    filled = {**defaults, **values}
    for key in defaults.keys() & values.keys():
        if isinstance(defaults[key], Mapping) and isinstance(values[key], Mapping):
            filled[key] = _filled(values[key], defaults[key])
    return filled


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of nested `values` with each `section.field=value` applied.

    Raises
    ------
    ConfigError
        If an override has another form, or names a field of what is no section.
    """
    merged = dict(values)
    for override in overrides:
        merged = _override(merged, override)
    return merged


def _override(values: dict[str, Any], override: str) -> dict[str, Any]:
    """Return a copy of nested `values` with one `a.b.c=value` applied."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigError([f"--set {override!r}: needs the form section.field=value"])
    try:
        value = parse_yaml(text, f"--set {override!r}")
    except DataError as error:
        raise ConfigError([str(error)]) from error
    return _set(values, path, value, override)


def _set(values: dict[str, Any], path: list[str], value: Any, override: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**values, head: value}
    inner = values.get(head, {})
    if not isinstance(inner, dict):
        raise ConfigError([f"--set {override!r}: {head!r} is a value, not a section"])
    return {**values, head: _set(inner, rest, value, override)}
