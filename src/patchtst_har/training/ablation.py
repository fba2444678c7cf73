"""What each part of the input brings: models trained with ever more of it, on the same folds."""

from __future__ import annotations

import logging
from typing import Any

from patchtst_har.config import ExperimentConfig, FeatureConfig
from patchtst_har.data.times import check_clock
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.confusion import Labels
from patchtst_har.evaluation.held_out import HeldOut, pool
from patchtst_har.network_config import N_TIME_FEATURES
from patchtst_har.records.run import Ablation, AblationArm, Intervals
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.cross_validation import require_folds, train_folds

logger = logging.getLogger(__name__)

FILE, FOLDER = "ablation.json", "ablation"


def ablate(
    config: ExperimentConfig, *, resume: bool = False, on_progress: OnProgress | None = None
) -> Ablation:
    """Train with the patches alone, and add to them one by one what else a model can be given.

    In this order: the statistical features (and those of movement and of plug-ins, if the configuration has
    them), the topological ones, the time of day; smoothing is judged on the last of these networks. Every
    arm is cross-validated on the same folds, otherwise as the configuration says.

    Parameters
    ----------
    config : ExperimentConfig
        With ``data.split: kfold``. Arms are trained in ``run_dir/ablation``.
    resume : bool
        Go on with the arms of an interrupted ablation: what was trained is not trained again.
    on_progress : callable, optional
        See `PatchTSTTrainer`.

    Returns
    -------
    Ablation
        What is written to ``run_dir/ablation.json``.

    Raises
    ------
    ConfigError
        If ``data.split`` is not ``kfold``, or training begins with a stored model, whose inputs are given.
    DataError
        If another process writes into the run folder, or as `PatchTSTTrainer.train`.
    """
    require_folds(config)
    if config.training.init is not None:
        raise ConfigError(["training.init: has no meaning with --ablate: a stored model has its own inputs"])
    with folder_lock(config.run_dir):
        configs, left_out = arm_configs(config)
        decided: dict[str, tuple[HeldOut, Labels]] = {}
        for name, arm in configs.items():
            logger.info("ablation: %s", name)
            folds = train_folds(
                arm, resume=resume and arm.run_dir.exists(), on_progress=_of_arm(name, on_progress)
            )
            held_out = pool([fold.held_out for fold in folds])
            decided[name] = held_out, held_out.decisions.raw
        if arm.smoothing.method == "none":
            left_out["HMM"] = "nobody validates, and its emissions are fitted on people who do not train"
        else:
            decided["+ HMM"] = held_out, held_out.decisions.smoothed
        found = _compared(decided, config.data.n_folds, left_out)
        atomic_write_json(config.run_dir / FILE, found.to_json())
    return found


def arm_configs(config: ExperimentConfig) -> tuple[dict[str, ExperimentConfig], dict[str, str]]:
    """Return the configuration of each arm, by its name, and why others are left out."""
    groups = ("topological", *(name for name in config.features.groups if name != "topological"))
    features = config.features.replace(groups=groups)
    inputs = _inputs(features)
    left_out = {}
    dataset = PreparedDataset.open(config.data.proc_dir)
    try:
        check_clock(dataset.clock, config.data.timezone, str(dataset.folder))
    except DataError as error:
        left_out["time of day"] = str(error)
        del inputs["+ time of day"]
    configs = {}
    for number, (name, model) in enumerate(inputs.items(), start=1):
        last = number == len(inputs)
        nobody_validates = config.data.val_n == 0
        configs[name] = config.replace(
            experiment_name=f"arm_{number}",
            output_dir=config.run_dir / FOLDER,
            features=features,
            smoothing=config.smoothing.replace(method="viterbi" if last and not nobody_validates else "none"),
            **_network(config, model),
        )
    return configs, left_out


def _inputs(features: FeatureConfig) -> dict[str, dict[str, int]]:
    """Return the numbers of features of each arm, by its name."""
    names = ["statistical", *(["movement"] if features.movement else []), *features.plugins]
    told = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    stats, topo = {"n_stat_features": features.n_stat_features}, {"n_topo_features": features.n_topo_features}
    nothing = {"n_stat_features": 0, "n_topo_features": 0, "n_time_features": 0}
    return {
        "patches only": nothing,
        f"+ {told} features": nothing | stats,
        "+ topological features": nothing | stats | topo,
        "+ time of day": nothing | stats | topo | {"n_time_features": N_TIME_FEATURES},
    }


def _network(config: ExperimentConfig, inputs: dict[str, int]) -> dict[str, Any]:
    """Return the sections of an arm: without an input, what says how it enters has no meaning."""
    model, changes = config.model, dict[str, Any](inputs)
    tokens = {"n_stat_tokens": "n_stat_features", "n_topo_tokens": "n_topo_features"}
    changes |= {name: 1 for name, of in tokens.items() if not inputs[of]}
    heads = config.training.heads
    if model.features_as == "branch" and not (inputs["n_stat_features"] or inputs["n_topo_features"]):
        changes |= {"features_as": "tokens", "branch": {}, "auxiliary_heads": False}
        heads = "joint"
    return {"model": model.replace(**changes), "training": config.training.replace(heads=heads)}


def _compared(decided: dict[str, tuple[HeldOut, Labels]], n_folds: int, left_out: dict[str, str]) -> Ablation:
    arms, before = [], None
    for name, (held_out, labels) in decided.items():
        scores = held_out.pooled(labels)
        arms.append(
            AblationArm(
                name=name,
                macro_f1=scores["macro_f1"],
                accuracy=scores["accuracy"],
                bootstrap=_intervals(held_out, labels),
                minus_before=None if before is None else _intervals(held_out, labels, before),
            )
        )
        before = labels
    return Ablation(
        n_folds=n_folds,
        n_participants=len(set(held_out.participants.tolist())),
        n_windows=len(held_out.labels),
        arms=tuple(arms),
        left_out=left_out,
    )


def _intervals(held_out: HeldOut, labels: Labels, other: Labels | None = None) -> Intervals | None:
    people = held_out.participants
    if (people == people[0]).all():
        return None
    return bootstrap_intervals(held_out.labels, labels, people, len(held_out.classes), other=other)


def _of_arm(name: str, on_progress: OnProgress | None) -> OnProgress | None:
    if on_progress is None:
        return None
    return lambda done, total, what: on_progress(done, total, f"{what}, {name}")
