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
from patchtst_har.features.settings import TopologyConfig as TopologyConfig
from patchtst_har.network_config import (
    N_MOVEMENT_FEATURES,
    N_STATISTICAL_FEATURES,
    N_TIME_FEATURES,
    N_TOPOLOGICAL_FEATURES,
)
from patchtst_har.network_config import ModelConfig as ModelConfig
from patchtst_har.presets import PRESETS, Preset
from patchtst_har.recipe import AugmentationConfig as AugmentationConfig
from patchtst_har.recipe import TrainingConfig as TrainingConfig
from patchtst_har.support.documents import parse_yaml
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.names import repeated
from patchtst_har.support.settings import Section, read_yaml, refuse
from patchtst_har.support.sqlite import sqlite_path

_MOST_PEOPLE = 100_000

Capture24Split = Literal["capture24-benchmark", "capture24-seed"]
SplitName = Literal["counts", "lists", "kfold", Capture24Split]


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
    split: SplitName = "counts"
    """`counts`: `train_n` and `val_n` people, the rest test; `lists`: named; `kfold`: folds of people;
    `capture24-benchmark`: P101 to P151 of CAPTURE-24 test, as `counts` for the others; `capture24-seed`: 20
    of P001 to P100, drawn by `split_seed`, validate besides.
    """
    split_missing: Literal["refuse", "leave_out"] = "refuse"
    """With a split of CAPTURE-24, a data set that lacks some of its 151 people: `refuse` it; `leave_out`
    divides those who are there."""
    train_n: Annotated[int, Field(ge=1, le=_MOST_PEOPLE)] | None = None
    """People to train on (`split="counts"` and `"capture24-benchmark"`); None: all who neither validate nor
    test."""
    val_n: Annotated[int, Field(ge=0, le=_MOST_PEOPLE)] | None = None
    """People to validate on (`split="counts"`, `"kfold"` and `"capture24-benchmark"`); None: 15 % of all,
    1 to 20.

    0 (or no `val_participants`) needs `training.keep="last"` and `smoothing.method="none"`.
    """
    train_participants: tuple[str, ...] = ()
    """`split="lists"`: people to train on."""
    val_participants: tuple[str, ...] = ()
    """`split="lists"`: people to validate on."""
    test_participants: tuple[str, ...] = ()
    """`split="lists"` and `"counts"`: people to test on; empty with `counts`: all the others."""
    n_folds: Annotated[int, Field(ge=2, le=_MOST_PEOPLE)] = 5
    """`split="kfold"`: number of folds."""
    fold: Annotated[int, Field(ge=0)] = 0
    """`split="kfold"`: the fold held out as test."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
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
        used = {"counts": groups[2:], "lists": groups}.get(self.split, ())
        unused = [name for name in groups if named[name] and name not in used]
        if self.split == "capture24-seed":
            unused += [name for name in ("train_n", "val_n") if getattr(self, name) is not None]
        if self.split_missing != "refuse" and not self.split.startswith("capture24"):
            unused.append("split_missing")
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


class SmoothingConfig(Section):
    """Temporal smoothing of the window probabilities."""

    method: Literal["auto", "viterbi", "none"] = "auto"
    """`viterbi`: hidden Markov model, most probable path over each segment (offline); `none`; `auto`: in
    training, `viterbi` unless it lowers macro F1 on the validation participants."""
    pseudo_count: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    """Added to every transition and emission count, so that no state is unreachable."""
    max_gap_s: Annotated[float, Field(gt=0, le=86_400)] = 1.0
    """A gap longer than the hop plus this between two windows starts a new sequence."""


class TrackingConfig(Section):
    """A copy of the record of a training elsewhere; the run folder is the record."""

    mlflow: str | None = None
    """Store of MLflow that gets settings, metrics, scores and the model, too: `sqlite:///PATH` or the path of
    an SQLite file, or `http://` or `https://` and a server; None: no copy."""
    mlflow_experiment: Annotated[str, Field(min_length=1, max_length=200)] = "patchtst-har"
    """The experiment of MLflow to which the run belongs."""

    @field_validator("mlflow")
    @classmethod
    def _known(cls, uri: str | None) -> str | None:
        if uri is None:
            return None
        if not uri.startswith(("http://", "https://")):
            sqlite_path(uri)
        elif "@" in uri or not uri.partition("://")[2].strip("/"):
            raise ValueError(
                "needs a server, without a user or password: MLflow reads them from MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD"
            )
        return uri


class ExperimentConfig(Section):
    """Everything that defines one experiment.

    Its sections are `data`, `model`, `features`, `smoothing`, `training` and `tracking`.
    """

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
    tracking: TrackingConfig = TrackingConfig()

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
        if training.heads == "all" and not self.model.auxiliary_heads:
            problems.append('training.heads: "all" needs model.auxiliary_heads')
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
            tracking=default.tracking,
        )

    def to_yaml(self) -> str:
        """Return the configuration as YAML text."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return text

    def save(self, path: Path | str) -> None:
        """Write the configuration as YAML to the file `path`."""
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
        """Build from nested mappings `values` and `overrides`, each ``section.field=value``.

        Errors are those of `load`; they name `source`. ``preset`` at the top names one of
        `patchtst_har.presets.PRESETS`, which fills in what is left out.
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
