"""Plots as SVG text: deterministic, without scripts, and safe to put several into one page.

May import what `reports` may, but no page of it.
"""

from patchtst_har.reports.plots.cohort import plot_histogram, plot_shares
from patchtst_har.reports.plots.comparison import plot_differences, plot_runs
from patchtst_har.reports.plots.feasibility import plot_capacity, plot_changes, plot_mean_stages
from patchtst_har.reports.plots.latency import plot_latency
from patchtst_har.reports.plots.prediction import (
    plot_daily_minutes,
    plot_days,
    plot_hours,
    plot_probabilities,
)
from patchtst_har.reports.plots.scores import (
    plot_confusions,
    plot_learning_curves,
    plot_participants,
    plot_reliability,
)
from patchtst_har.reports.plots.search import plot_history, plot_importance
from patchtst_har.reports.plots.tail import plot_distributions, plot_outliers
from patchtst_har.reports.plots.timeline import plot_timelines
from patchtst_har.reports.plots.topology import plot_topology

__all__ = [
    "plot_capacity",
    "plot_changes",
    "plot_confusions",
    "plot_daily_minutes",
    "plot_days",
    "plot_differences",
    "plot_distributions",
    "plot_histogram",
    "plot_history",
    "plot_hours",
    "plot_importance",
    "plot_latency",
    "plot_learning_curves",
    "plot_mean_stages",
    "plot_outliers",
    "plot_participants",
    "plot_probabilities",
    "plot_reliability",
    "plot_runs",
    "plot_shares",
    "plot_timelines",
    "plot_topology",
]
