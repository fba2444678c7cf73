"""Grouped k-fold: every participant is held out once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError
from patchtst_har.evaluation.baselines import (
    BASELINES,
    LabelledFeatures,
    check_baselines,
    compare_with_baselines,
)
from patchtst_har.evaluation.held_out import HeldOut, pool
from patchtst_har.records.run import Baselines, CrossValidation, Fold
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.trainer import PatchTSTTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedFold:
    """One trained and judged fold."""

    number: int
    train: LabelledFeatures
    test: LabelledFeatures
    held_out: HeldOut

    @classmethod
    def of(cls, number: int, trainer: PatchTSTTrainer) -> TrainedFold:
        """Take the results out of a trainer that has trained."""
        if trainer.data is None or trainer.data.test is None or trainer.held_out is None:
            raise ValueError(f"fold {number} has not been trained and judged")
        train, test = (LabelledFeatures.of(part) for part in (trainer.data.train, trainer.data.test))
        return cls(number, train, test, trainer.held_out)


def cross_validate(
    config: ExperimentConfig,
    *,
    done: PatchTSTTrainer | None = None,
    resume: bool = False,
    baselines: Sequence[str] = tuple(BASELINES),
    on_progress: OnProgress | None = None,
) -> CrossValidation:
    """Train one model per fold; score the pooled held-out participants, and baselines likewise.

    Parameters
    ----------
    config : ExperimentConfig
        With ``data.split: kfold``. Fold k is trained in ``run_dir/folds/fold_k``.
    done : PatchTSTTrainer, optional
        A trainer that has already trained the fold ``config.data.fold``; it is not trained again.
    resume : bool
        Go on with the folds of an interrupted cross-validation.
    baselines : sequence of str
        Of `patchtst_har.evaluation.baselines.BASELINES`, fitted and judged on the same folds.
    on_progress : callable, optional
        See `PatchTSTTrainer`.

    Returns
    -------
    CrossValidation
        What is written to ``run_dir/cross_validation.json``.

    Raises
    ------
    ConfigError
        If ``data.split`` is not ``kfold``.
    DataError
        If another process writes into the run folder, or as `PatchTSTTrainer.train`.
    """
    require_folds(config)
    check_baselines(baselines)
    with folder_lock(config.run_dir):
        folds = train_folds(config, done=done, resume=resume, on_progress=on_progress)
        scores = _score(folds, baselines, on_progress)
        config.run_dir.mkdir(parents=True, exist_ok=True)
        atomic_write_json(config.run_dir / "cross_validation.json", scores.to_json())
    return scores


def train_folds(
    config: ExperimentConfig,
    *,
    done: PatchTSTTrainer | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> list[TrainedFold]:
    """Train and judge one model per fold; parameters as `cross_validate`."""
    folds = []
    for number in range(config.data.n_folds):
        trainer = done if done is not None and number == config.data.fold else None
        if trainer is None:
            trainer = _train_fold(config, number, resume, on_progress)
        folds.append(TrainedFold.of(number, trainer))
    return folds


def require_folds(config: ExperimentConfig) -> None:
    """Raise `ConfigError` unless the configuration splits participants into folds."""
    if config.data.split != "kfold":
        raise ConfigError([f"data.split: cross-validation needs kfold, is {config.data.split}"])


def _train_fold(
    config: ExperimentConfig, number: int, resume: bool, on_progress: OnProgress | None
) -> PatchTSTTrainer:
    logger.info("fold %d of 0 to %d", number, config.data.n_folds - 1)

    def report(done: int, total: int, what: str) -> None:
        if on_progress is not None:
            on_progress(done, total, f"{what}, fold {number}")

    fold_config = config.replace(
        experiment_name=f"fold_{number}",
        output_dir=config.run_dir / "folds",
        data=config.data.replace(fold=number),
    )
    # A fold that an interrupted cross-validation began, or finished, goes on from its checkpoint, if any.
    begun = fold_config.run_dir.exists()
    trainer = PatchTSTTrainer(fold_config, resume=resume and begun, on_progress=report)
    trainer.train()
    return trainer


def judge_baselines(
    trainer: PatchTSTTrainer,
    baselines: Sequence[str] = tuple(BASELINES),
    on_progress: OnProgress | None = None,
) -> Baselines | None:
    """Compare a trained model with baselines on its test participants; write ``baselines.json``.

    Parameters
    ----------
    trainer : PatchTSTTrainer
        Has trained.
    baselines : sequence of str
        Of `patchtst_har.evaluation.baselines.BASELINES`.
    on_progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Baselines or None
        None, and nothing is written, if nobody tests or no baseline is asked for.
    """
    if not check_baselines(baselines) or trainer.held_out is None:
        return None
    fold = TrainedFold.of(0, trainer)
    found = Baselines(
        baselines=compare_with_baselines(
            fold.held_out, [(fold.train, fold.test)], baselines, on_progress=on_progress
        )
    )
    atomic_write_json(trainer.config.run_dir / "baselines.json", found.to_json())
    return found


def _score(
    folds: Sequence[TrainedFold], baselines: Sequence[str], on_progress: OnProgress | None
) -> CrossValidation:
    pooled = pool([fold.held_out for fold in folds])
    pairs = [(fold.train, fold.test) for fold in folds]
    return CrossValidation(
        n_folds=len(folds),
        **dict(pooled.scores()),
        folds=tuple(_describe(fold) for fold in folds),
        baselines=compare_with_baselines(pooled, pairs, baselines, on_progress=on_progress),
    )


def _describe(fold: TrainedFold) -> Fold:
    made = fold.held_out.decisions
    raw, smoothed = (fold.held_out.pooled(labels)["macro_f1"] for labels in (made.raw, made.smoothed))
    return Fold(
        fold=fold.number,
        test=tuple(sorted(set(fold.test.participants.tolist()))),
        macro_f1_raw=raw,
        macro_f1_smoothed=smoothed,
    )
