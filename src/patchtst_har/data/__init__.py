"""From recordings to aligned arrays of windows, labels and features.

The modules follow the data's way: `recording` reads it, `resample` puts it on a regular grid, `windows`
cuts it, `prepare` does so for many people and writes what `prepared` reads, `splits` assigns the people,
`featureset` adds the features. Nothing here needs torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchtst_har.data.demo import write_watch_recordings
    from patchtst_har.data.featureset import FeatureSet, load_feature_set
    from patchtst_har.data.label_map import LabelMap
    from patchtst_har.data.prepare import prepare_recordings
    from patchtst_har.data.prepared import ParticipantWindows, PreparedDataset
    from patchtst_har.data.recording import read_recording, write_recording
    from patchtst_har.data.resample import resample_recording
    from patchtst_har.data.splits import Split, split_participants
    from patchtst_har.data.times import TIME_FEATURE_NAMES, time_features
    from patchtst_har.data.units import UnitWarning
    from patchtst_har.data.windows import Windows, cut_windows

__all__ = [
    "TIME_FEATURE_NAMES",
    "FeatureSet",
    "LabelMap",
    "ParticipantWindows",
    "PreparedDataset",
    "Split",
    "UnitWarning",
    "Windows",
    "cut_windows",
    "load_feature_set",
    "prepare_recordings",
    "read_recording",
    "resample_recording",
    "split_participants",
    "time_features",
    "write_recording",
    "write_watch_recordings",
]

_MODULES = {
    "TIME_FEATURE_NAMES": "times",
    "FeatureSet": "featureset",
    "LabelMap": "label_map",
    "ParticipantWindows": "prepared",
    "PreparedDataset": "prepared",
    "Split": "splits",
    "UnitWarning": "units",
    "Windows": "windows",
    "cut_windows": "windows",
    "load_feature_set": "featureset",
    "prepare_recordings": "prepare",
    "read_recording": "recording",
    "resample_recording": "resample",
    "split_participants": "splits",
    "time_features": "times",
    "write_recording": "recording",
    "write_watch_recordings": "demo",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"patchtst_har.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
