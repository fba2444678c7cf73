"""Training that begins with the weights of a stored model, and which of them it keeps."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from patchtst_har.architecture import expected_tensors
from patchtst_har.config import DataConfig, ExperimentConfig
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import ConfigError
from patchtst_har.inference.class_order import HEADS, in_order
from patchtst_har.model_folder import WEIGHTS_FILE, read_model_folder, read_provenance, untrained_parts
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.presets import PRESETS
from patchtst_har.pretrained import find_model, names_of
from patchtst_har.recipe import FineTune
from patchtst_har.records.run import InitialModel

logger = logging.getLogger(__name__)

_ALL_BUT_HEADS = (
    "patch_embedding",
    "stat_embedding",
    "topo_embedding",
    "branch",
    "time_embedding",
    "class_token",
    "dropout",
    "layers",
    "head.norm",
    "head.pool",
)
_FIRST = ("patch_embedding", "stat_embedding.project.0", "topo_embedding.project.0", "branch.layers.0")
KEPT: dict[FineTune, tuple[str, ...]] = {"full": (), "partial": _FIRST, "frozen": _ALL_BUT_HEADS}
"""Parts of a `PatchTSTClassifier` that keep their weights and running statistics, without dropout."""

# What changes neither a tensor nor what it means.
_FREE = {"dropout", "embedding_dropout", "gradient_checkpointing", "auxiliary_heads"}
_FREE_OF_BRANCH = {"input_dropout", "hidden_dropout", "noise", "drop"}
_FREE_OF_TOPOLOGY = {"engine", "on_error"}


@dataclass(frozen=True)
class Initial:
    """A stored model with which a training begins.

    Attributes
    ----------
    tensors : dict of str to ndarray
        What is taken over, by the names of `PatchTSTClassifier`.
    kept : tuple of str
        Parts that are not trained.
    record : InitialModel
        What `provenance.json` says of it.
    people : tuple of str
        Names of who trained it, as far as its folder says (`pretrained.names_of`).
    """

    tensors: dict[str, NDArray[Any]]
    kept: tuple[str, ...]
    record: InitialModel
    people: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: ExperimentConfig, classes: Sequence[str]) -> Initial | None:
        """Read the model that ``training.init`` names; None if it names none.

        Every tensor whose name and shape fit is taken over; those of the heads only if the classes are the
        same, put into their order; those of parts that its own training left as they were made are not.

        Raises
        ------
        ModelFolderError
            If there is no such model, or it is damaged.
        ConfigError
            If its features or architecture are not those of the experiment; each field is named.
        """
        model, fine_tune = config.training.init, config.training.fine_tune
        if model is None:
            return None
        folder = find_model(model)
        stored = read_model_folder(folder)
        name = _name_of(folder)
        check_same(name, stored.config, config)
        provenance = read_provenance(folder) or {}
        untrained = untrained_parts(folder)
        same = set(classes) == set(stored.classes)
        tensors = in_order(stored, classes) if same else stored.tensors
        left_out = (*(() if same else HEADS), *untrained)
        expected = expected_tensors(config.model, len(classes))
        taken = {
            tensor: tensors[tensor]
            for tensor, spec in expected.items()
            if not in_parts(tensor, left_out) and tensor in tensors and tensors[tensor].shape == spec.shape
        }
        weights = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
        new = tuple(tensor for tensor in expected if tensor not in taken)
        return cls(
            taken,
            tuple(part for part in KEPT[fine_tune] if not in_parts(part, untrained)),
            InitialModel(name=name, weights=weights, fine_tune=fine_tune, new=new),
            names_of(folder, provenance["split"]["train"]) if provenance else (),
        )

    def put_into(self, model: PatchTSTClassifier) -> None:
        """Copy the tensors, and log what is new."""
        state = model.state_dict()
        with torch.no_grad():
            for name, values in self.tensors.items():
                state[name].copy_(torch.from_numpy(values.copy()))
        new = dict.fromkeys(name.rpartition(".")[0] or name for name in self.record.new)
        logger.info("begins with the weights of %s; new: %s", self.record.name, ", ".join(new) or "nothing")

    def warn_of(self, people: Sequence[str]) -> None:
        """Log a warning if names of people to judge on are among those whom the model was trained on."""
        if shared := sorted(set(self.people).intersection(people)):
            logger.warning(
                "%s: %d of its training people have names of people to validate or test on (%s); if they are "
                "the same, the scores say nothing of new people",
                self.record.name,
                len(shared),
                ", ".join(shared[:3]) + ", ..." * (len(shared) > 3),
            )


def check_same(name: str, theirs: ExperimentConfig, ours: ExperimentConfig) -> None:
    """Raise `ConfigError` unless a stored model has the features and the architecture of an experiment.

    Regularisation and auxiliary heads may differ. The message names each field that does not fit.
    """
    its, wanted = _decisive(theirs), _decisive(ours)
    # A setting unused by one model depends on another that differs, which is reported.
    problems = [
        f"{field}: {name} has {value}, the experiment {wanted[field]}"
        for field, value in its.items()
        if field in wanted and value != wanted[field]
    ]
    if problems:
        raise ConfigError([f"training.init: {problems[0]}", *problems[1:]])


def following(values: Mapping[str, Any], model: str, source: str = "configuration") -> ExperimentConfig:
    """Return a configuration in which features and model are a stored model's where nothing is said of them.

    Length, hop and rate of the windows are then those of the data set, if it says, else also the model's.

    Parameters
    ----------
    values : mapping
        Sections, as `ExperimentConfig.from_mapping` takes them.
    model : str
        Shipped model or model folder.
    source : str
        What errors name.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    DataError
        If the data set is damaged.
    ConfigError
        If the configuration contradicts the model, or itself.
    """
    folder = find_model(model)
    config = read_model_folder(folder).config
    taken: dict[str, dict[str, Any]] = {
        "data": {**config.data.model_dump(include={"window_size", "hop_size"}), **_prepared(values)},
        "features": config.features.model_dump(mode="json", include={"groups", "topology", "plugins"}),
        "model": config.model.model_dump(mode="json", exclude={"gradient_checkpointing"}),
        "training": {} if config.model.auxiliary_heads else {"heads": "joint"},
    }
    window_s = config.data.window_size / config.data.sample_rate_hz
    recipe = PRESETS.get(values.get("preset", "seed"), {}).get("training", {})
    if recipe.get("hop_s", 0.0) > window_s:
        # As `fit_to_data` has it for windows of another length than the preset's.
        taken["training"]["hop_s"] = window_s / 4
    filled = dict(values)
    for section, theirs in taken.items():
        given = filled.get(section) or {}
        # A section that is no mapping is refused by the configuration.
        filled[section] = {**theirs, **given} if isinstance(given, Mapping) else given
    try:
        return ExperimentConfig.from_mapping(filled, source=source)
    except ConfigError:
        name = _name_of(folder)
        unlike = [*_unlike_windows(name, config, values, filled, source)]
        for section in ("features", "model"):
            unlike += _unlike(section, name, taken[section], values.get(section))
        if unlike:
            raise ConfigError([f"training.init: {unlike[0]}", *unlike[1:]]) from None
        raise


def _unlike_windows(
    name: str,
    theirs: ExperimentConfig,
    values: Mapping[str, Any],
    filled: Mapping[str, Any],
    source: str,
) -> Iterator[str]:
    """Yield what is wrong if windows are not as long as a stored model needs them."""
    section, given = filled["data"], values.get("data") or {}
    if not isinstance(section, Mapping):
        return
    wanted = {field: getattr(theirs.data, field) for field in ("window_size", "sample_rate_hz")}
    found = {field: section.get(field, wanted[field]) for field in wanted}
    if found == wanted or not all(isinstance(value, int | float) and value > 0 for value in found.values()):
        return
    where = "the data set has" if not wanted.keys() & given.keys() else f"{source} says"
    needs, has = (
        f"{one['window_size'] / one['sample_rate_hz']:g} s of {one['sample_rate_hz']:g} Hz"
        for one in (wanted, found)
    )
    yield f"{name} needs windows of {needs}, {where} {has}"


def _unlike(prefix: str, name: str, theirs: Mapping[str, Any], given: Any) -> Iterator[str]:
    """Yield the fields in which what was given differs from what a stored model has."""
    for field, value in given.items() if isinstance(given, Mapping) else ():
        its = theirs.get(field)
        if isinstance(its, Mapping):
            yield from _unlike(f"{prefix}.{field}", name, its, value)
        elif field in theirs and field not in _FREE | _FREE_OF_BRANCH and value != its:
            yield f"{prefix}.{field}: {name} has {its}, the experiment {value}"


def _prepared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return length, hop and rate of the windows of the data set that is named, as far as known."""
    section = values.get("data")
    named = section.get("proc_dir") if isinstance(section, Mapping) else None
    folder = DataConfig().proc_dir if named is None else Path(named)
    # A folder that is missing is refused where it is read.
    prepared = (PreparedDataset.open(folder).preparation or {}) if folder.is_dir() else {}
    return {
        name: prepared[name] for name in ("window_size", "hop_size", "sample_rate_hz") if name in prepared
    }


@contextmanager
def keeping(model: nn.Module, parts: Sequence[str]) -> Iterator[None]:
    """Take the gradients of some parts of a model away while inside."""
    kept = [tensor for name, tensor in model.named_parameters() if in_parts(name, parts)]
    for tensor in kept:
        tensor.requires_grad_(False)
    try:
        yield
    finally:
        for tensor in kept:
            tensor.requires_grad_(True)


def train_others(model: nn.Module, parts: Sequence[str]) -> None:
    """Put a model into training mode, but for some parts: no dropout there, running statistics stay."""
    model.train()
    for name, module in model.named_modules():
        if name in parts:
            module.eval()


def _decisive(config: ExperimentConfig) -> dict[str, Any]:
    """Return the fields, by name, that must be equal."""
    model = config.model.model_dump(mode="json", exclude={*_FREE, "branch"})
    branch = config.model.branch.model_dump(mode="json", exclude=_FREE_OF_BRANCH)
    features = config.features
    fields = {
        "data.sample_rate_hz": config.data.sample_rate_hz,
        "features.groups": list(features.groups),
        "features.plugins": list(features.plugins),
        **{f"model.{name}": value for name, value in model.items()},
    }
    if config.model.features_as == "branch":
        fields |= {f"model.branch.{name}": value for name, value in branch.items()}
    if "topological" in features.groups:
        topology = features.topology.model_dump(mode="json", exclude=_FREE_OF_TOPOLOGY)
        fields |= {f"features.topology.{name}": value for name, value in topology.items()}
    return fields


def _name_of(folder: Path) -> str:
    """Return a folder's name; of the model in a run folder, the run's."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "model" else whole.name


def in_parts(name: str, parts: Sequence[str]) -> bool:
    """Whether a tensor or module belongs to some parts of a model."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)
