"""The page of a search: history, importance, trials."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from patchtst_har.records.search import SearchRecord, TrialRecord
from patchtst_har.reports import plots
from patchtst_har.reports.rendering import pictures, render
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import readable

_MOST_TRIALS = 100
# With fewer, the importance changes with every further trial.
FEW_FOR_IMPORTANCE = 20
REFUSED = "cannot be trained"
_STATES = {"complete": "complete", "pruned": "stopped early", "fail": "interrupted"}


def write_search_report(search: SearchRecord, path: Path) -> Path:
    """Write the page; return its path.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    figures = {"history": plots.plot_history(search.trials)} if search.trials else {}
    if search.importance:
        figures["importance"] = plots.plot_importance(search.importance)
    ranked = sorted(search.trials, key=_rank)
    html = render(
        "search.html.j2",
        search=search,
        best=search.best_trial,
        figures=pictures(figures),
        states=Counter(map(_state, search.trials)),
        ranked=[(trial, _state(trial), _settings(trial, search)) for trial in ranked[:_MOST_TRIALS]],
        n_more=max(len(ranked) - _MOST_TRIALS, 0),
        space=[
            (path, ", ".join(f"{key} {_of_space(value)}" for key, value in fields.items()))
            for path, fields in search.space.items()
        ],
        few=FEW_FOR_IMPORTANCE,
    )
    atomic_write_text(path, html)
    return path


def _rank(trial: TrialRecord) -> tuple[float, int]:
    return (1.0 if trial.score is None else -trial.score, trial.number)


def _state(trial: TrialRecord) -> str:
    """Return what became of a trial, in words."""
    return REFUSED if trial.reason else _STATES.get(trial.state, trial.state)


def _settings(trial: TrialRecord, search: SearchRecord) -> list[str]:
    return [_text(trial.settings[path]) if path in trial.settings else "\u2013" for path in search.space]


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else readable(value)


def _of_space(value: Any) -> str:
    """Return a value of the space; of choices, which may be lists, each stands apart."""
    return " | ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)
