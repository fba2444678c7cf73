"""One recording: file to windows.

The modules follow the data's way: `recording` reads a file through `formats`, `resample` puts it on a regular
grid, `windows` cuts it. May import `pretrained`, `records` and everything below; imports `config`, `support`
and `errors`. Nothing here needs torch. The functions for many participants live in `datasets` and can be
imported from here, too.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.data.annotations import LabelMap
    from patchtst_har.data.recording import read_recording, write_recording
    from patchtst_har.data.resample import resample_recording
    from patchtst_har.data.times import TIME_FEATURE_NAMES, time_features
    from patchtst_har.data.units import UnitWarning
    from patchtst_har.data.windows import Windows, cut_windows
    from patchtst_har.datasets.demo_recordings import write_watch_recordings
    from patchtst_har.datasets.featureset import FeatureSet, load_feature_set
    from patchtst_har.datasets.prepare import prepare_recordings
    from patchtst_har.datasets.prepared import ParticipantWindows, PreparedDataset
    from patchtst_har.datasets.splits import Split, split_participants

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "TIME_FEATURE_NAMES": "patchtst_har.data.times",
        "FeatureSet": "patchtst_har.datasets.featureset",
        "LabelMap": "patchtst_har.data.annotations",
        "ParticipantWindows": "patchtst_har.datasets.prepared",
        "PreparedDataset": "patchtst_har.datasets.prepared",
        "Split": "patchtst_har.datasets.splits",
        "UnitWarning": "patchtst_har.data.units",
        "Windows": "patchtst_har.data.windows",
        "cut_windows": "patchtst_har.data.windows",
        "load_feature_set": "patchtst_har.datasets.featureset",
        "prepare_recordings": "patchtst_har.datasets.prepare",
        "read_recording": "patchtst_har.data.recording",
        "resample_recording": "patchtst_har.data.resample",
        "split_participants": "patchtst_har.datasets.splits",
        "time_features": "patchtst_har.data.times",
        "write_recording": "patchtst_har.data.recording",
        "write_watch_recordings": "patchtst_har.datasets.demo_recordings",
    },
)
