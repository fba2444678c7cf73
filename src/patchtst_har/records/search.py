"""`search.json`: what a search tried, and what came of it."""

from __future__ import annotations

from typing import Any

from patchtst_har.records.run import Record

SEARCH_FILE = "search.json"


class TrialRecord(Record):
    """One trial."""

    number: int
    state: str
    """``complete``, ``pruned``, ``running``, ``waiting`` or ``fail`` (ended by a kill or an error)."""
    score: float | None
    """Mean over its seeds of macro F1 on the validation participants; None unless it is complete."""
    settings: dict[str, Any]
    """Value of each field that varies."""
    seeds: tuple[float, ...] = ()
    """The score of each seed."""
    epochs: tuple[tuple[int, float], ...] = ()
    """Epoch and macro F1 on the validation participants, of the first seed."""
    duration_s: float | None = None
    reason: str | None = None
    """Why settings could not be trained."""
    retry_of: int | None = None
    """The trial that a kill or an error ended, whose settings are tried again here."""


class SearchRecord(Record):
    """A search."""

    name: str
    space: dict[str, dict[str, Any]]
    n_trials: int
    """Trials that were asked for."""
    pruner: str
    sampler_seed: int
    n_seeds: int
    n_epochs: int
    data: str
    data_fingerprint: str
    """Of the people who train and validate."""
    train: tuple[str, ...]
    val: tuple[str, ...]
    trials: tuple[TrialRecord, ...]
    best: int | None
    """Number of the trial with the best score; the first of equal ones."""
    importance: dict[str, float] | None
    """Share of each field in the variance of the scores, which adds up to 1; None if there are too few."""

    @property
    def best_trial(self) -> TrialRecord | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)
