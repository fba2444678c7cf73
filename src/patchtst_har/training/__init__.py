"""Training: the loop, its record, and the trainer that ties them together."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchtst_har.log import TrainingLogger
    from patchtst_har.training.cross_validation import cross_validate
    from patchtst_har.training.tracker import ExperimentTracker
    from patchtst_har.training.trainer import PatchTSTTrainer

__all__ = ["ExperimentTracker", "PatchTSTTrainer", "TrainingLogger", "cross_validate"]

_LAZY = {
    "ExperimentTracker": "patchtst_har.training.tracker",
    "PatchTSTTrainer": "patchtst_har.training.trainer",
    "TrainingLogger": "patchtst_har.log",
    "cross_validate": "patchtst_har.training.cross_validation",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
