"""A search as it goes on: trials in a storage that several processes share and that outlives them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.records.search import SearchRecord, TrialRecord
from patchtst_har.search.space import Space, with_values
from patchtst_har.search.trial import InnerData, score_settings
from patchtst_har.support.files import ensure_folder, is_orphan, owner
from patchtst_har.support.progress import OnProgress
from patchtst_har.support.sqlite import check_tables, sqlite_url, turn

logger = logging.getLogger(__name__)

Pruner = Literal["median", "hyperband", "none"]

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
# Below it, an importance says nothing.
_MIN_FOR_IMPORTANCE = 4
_FACTS, _OWNER, _REASON, _SEEDS, _RETRY_OF = "search", "owner", "reason", "seeds", "retry_of"
_WITHOUT = {"experiment_name", "output_dir", "tracking"}


@dataclass(frozen=True)
class SearchOptions:
    """How a search is led.

    Attributes
    ----------
    n_trials : int
        Trials of the whole search, of all processes and sessions; those that a kill ended do not count.
    pruner : {"median", "hyperband", "none"}
        What stops trials that are worse than others after as many epochs.
    n_seeds : int
        Trainings of a trial; its score is their mean.
    sampler_seed : int
        With it and the trials so far, the next trial is determined.
    """

    n_trials: int = 40
    pruner: Pruner = "median"
    n_seeds: int = 1
    sampler_seed: int = 0


class Search:
    """A search in an SQLite file.

    Several processes may work on one file, on one machine. A trial that a kill ended is tried again by the
    next process that looks.

    Parameters
    ----------
    config : ExperimentConfig
        What is varied.
    space : Space
        Which of its fields vary.
    storage : pathlib.Path
        The file; created if missing.
    options : SearchOptions
        How.

    Raises
    ------
    ConfigError
        If nobody validates, or the file holds a search of this name with other settings, space or data.
    DataError, OSError
        If the data set or the file cannot be used.
    """

    def __init__(self, config: ExperimentConfig, space: Space, storage: Path, options: SearchOptions) -> None:
        self._base, self._space, self._options = config, space, options
        self._inner = InnerData.of(config)
        self._path = storage
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        ensure_folder(storage.parent)
        check_tables(storage, "studies", "Optuna")
        with self._turn():
            self._study = optuna.create_study(
                storage=optuna.storages.RDBStorage(
                    sqlite_url(storage), engine_kwargs={"connect_args": {"timeout": 120}}
                ),
                study_name=config.experiment_name,
                direction="maximize",
                load_if_exists=True,
                pruner=self._pruner(),
            )
            self._check_same()

    def run(self, on_progress: OnProgress | None = None) -> None:
        """Try settings until as many trials are done as were asked for.

        Whatever ends this early, the trial under way is tried again by the next process.

        Raises
        ------
        DataError
            If no trial of the whole search has a score: none of the settings can be trained.
        """
        with self._errors_named():
            while (trial := self._next()) is not None:
                self._try(trial)
                if on_progress is not None:
                    on_progress(len(self._trials(*_DONE)), self._options.n_trials, "trials")
        if not self._trials(TrialState.COMPLETE, TrialState.RUNNING):
            reasons = [trial.user_attrs[_REASON] for trial in self._trials() if _REASON in trial.user_attrs]
            raise DataError(
                f"{self._path}: no trial has a score; the last reason: {(reasons or ['none'])[-1]}"
            )

    def record(self) -> SearchRecord:
        """Return what was tried so far."""
        trials = self._trials()
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        best = max(complete, key=lambda trial: (trial.value, -trial.number), default=None)
        data = self._inner.config.data
        return SearchRecord(
            name=self._base.experiment_name,
            space=self._space.to_json(),
            **vars(self._options),
            n_epochs=self._base.training.epochs,
            data=str(self._base.data.proc_dir),
            data_fingerprint=self._inner.fingerprint,
            train=data.train_participants,
            val=data.val_participants,
            trials=tuple(map(self._described, trials)),
            best=None if best is None else best.number,
            importance=self._importance(complete),
        )

    def best_config(self) -> ExperimentConfig | None:
        """Return the configuration of the best trial, with the data and the split of `train`."""
        best = self.record().best_trial
        if best is None:
            return None
        return with_values(self._base, best.settings).replace(
            experiment_name=f"{self._base.experiment_name}-best"
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the study for this process alone."""
        with turn(self._path), self._errors_named():
            yield

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn what the storage's libraries raise into an error that names the file."""
        try:
            yield
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self._path}: cannot be used as the storage of a search ({reason})") from error

    def _pruner(self) -> optuna.pruners.BasePruner:
        if self._options.pruner == "none":
            return optuna.pruners.NopPruner()
        if self._options.pruner == "median":
            return optuna.pruners.MedianPruner()
        epochs = self._space.parameters.get("training.epochs")
        most = None if epochs is None else max(epochs.probes)
        return optuna.pruners.HyperbandPruner(max_resource=int(most or self._base.training.epochs))

    def _check_same(self) -> None:
        """Refuse to go on with a search of other settings, space or data."""
        facts = {
            "configuration": json.loads(self._base.model_dump_json(exclude=_WITHOUT)),
            "space": self._space.to_json(),
            "data": self._inner.fingerprint,
            "seeds": self._options.n_seeds,
        }
        stored = self._study.user_attrs.get(_FACTS)
        if stored is None:
            self._study.set_user_attr(_FACTS, facts)
            return
        problems = [
            f"{self._path}: holds a search of this name with another {path} ({before}, here {now}); choose "
            "another --storage or experiment_name"
            for path, before, now in _differences(stored, json.loads(json.dumps(facts)))
        ]
        if problems:
            raise ConfigError(problems)

    def _next(self) -> optuna.Trial | None:
        """Return a trial with settings to try; None if as many as were asked for are done or under way."""
        with self._turn():
            self._retry_orphans()
            if len(self._trials(*_DONE, TrialState.RUNNING)) >= self._options.n_trials:
                return None
            # A sampler of a trial's own: a session that goes on, or another process, draws what one process
            # in one session would have drawn.
            seed = self._options.sampler_seed * 1_000_003 + len(self._trials())
            self._study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
            trial = self._study.ask(self._space.distributions())
            trial.set_user_attr(_OWNER, owner())
            return trial

    def _retry_orphans(self) -> None:
        """Mark trials whose process is gone as failed, and put their settings first in the queue."""
        for trial in self._trials(TrialState.RUNNING):
            # Between `ask` and its owner nothing else has its turn: one without was left by a kill.
            if _OWNER not in trial.user_attrs or is_orphan(self._path, trial.user_attrs[_OWNER]):
                logger.warning("trial %d was interrupted; its settings are tried again", trial.number)
                self._fail(trial.number, trial.params)

    def _fail(self, number: int, params: dict[str, Any]) -> None:
        self._study.tell(number, state=TrialState.FAIL)
        if params:
            self._study.enqueue_trial(params, user_attrs={_RETRY_OF: number})

    def _try(self, trial: optuna.Trial) -> None:
        state, scores = TrialState.COMPLETE, list[float]()
        try:
            config = with_values(self._inner.config, self._space.values(trial.params))
            scores = score_settings(config, self._options.n_seeds, self._on_epoch(trial))
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except (ConfigError, DataError) as error:
            # Not failed: the sampler learns to avoid such settings.
            state = TrialState.PRUNED
            logger.warning("trial %d cannot be trained: %s", trial.number, error)
            trial.set_user_attr(_REASON, str(error)[:500])
        except BaseException:
            with self._turn():
                self._fail(trial.number, trial.params)
            raise
        trial.set_user_attr(_SEEDS, scores)
        self._study.tell(trial, sum(scores) / len(scores) if scores else None, state)

    def _on_epoch(self, trial: optuna.Trial) -> Any:
        def report(epoch: int, score: float) -> None:
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        return report

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _described(self, trial: FrozenTrial) -> TrialRecord:
        attributes, duration = trial.user_attrs, trial.duration
        return TrialRecord(
            number=trial.number,
            state=trial.state.name.lower(),
            score=trial.value if trial.state == TrialState.COMPLETE else None,
            settings=self._space.values(trial.params),
            seeds=tuple(attributes.get(_SEEDS, ())),
            epochs=tuple(sorted(trial.intermediate_values.items())),
            duration_s=None if duration is None else duration.total_seconds(),
            reason=attributes.get(_REASON),
            retry_of=attributes.get(_RETRY_OF),
        )

    def _importance(self, complete: list[FrozenTrial]) -> dict[str, float] | None:
        if len(complete) < _MIN_FOR_IMPORTANCE or len({trial.value for trial in complete}) < 2:
            return None
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return optuna.importance.get_param_importances(self._study, evaluator=evaluator)


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield path and values of what differs in two nested mappings."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        if before != now:
            yield path, before, now
        return
    for name in dict.fromkeys([*before, *now]):
        inner = f"{path}.{name}" if path else name
        yield from _differences(before.get(name), now.get(name), inner)
