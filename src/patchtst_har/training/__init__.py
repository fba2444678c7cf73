"""Fit a network: the loop, its schedule, checkpoints, the record of a run, cross-validation.

May import everything from `evaluation` down.
"""

from patchtst_har.support.log import TrainingLogger
from patchtst_har.training.callbacks import Callback
from patchtst_har.training.cross_validation import cross_validate
from patchtst_har.training.tracker import ExperimentTracker
from patchtst_har.training.trainer import PatchTSTTrainer

__all__ = ["Callback", "ExperimentTracker", "PatchTSTTrainer", "TrainingLogger", "cross_validate"]
