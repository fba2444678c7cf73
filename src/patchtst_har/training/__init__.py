"""Fit a network: the loop, its schedule, checkpoints, the record of a run, cross-validation.

May import everything from `evaluation` down.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.support.log import TrainingLogger
    from patchtst_har.training.cross_validation import cross_validate
    from patchtst_har.training.tracker import ExperimentTracker
    from patchtst_har.training.trainer import PatchTSTTrainer

__all__ = ["ExperimentTracker", "PatchTSTTrainer", "TrainingLogger", "cross_validate"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ExperimentTracker": "patchtst_har.training.tracker",
        "PatchTSTTrainer": "patchtst_har.training.trainer",
        "TrainingLogger": "patchtst_har.support.log",
        "cross_validate": "patchtst_har.training.cross_validation",
    },
)
