"""One recording: file to windows.

The modules follow the data's way: `recording` reads a file through `formats`, `resample` puts it on a regular
grid, `windows` cuts it. May import `pretrained`, `records` and everything below; imports `config`, `support`
and `errors`. Nothing here needs torch. The functions for many participants live in `datasets` and can be
imported from here, too.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.data.annotations import LabelMap as LabelMap
    from patchtst_har.data.recording import read_recording as read_recording
    from patchtst_har.data.recording import write_recording as write_recording
    from patchtst_har.data.resample import resample_recording as resample_recording
    from patchtst_har.data.times import TIME_FEATURE_NAMES as TIME_FEATURE_NAMES
    from patchtst_har.data.times import time_features as time_features
    from patchtst_har.data.units import UnitWarning as UnitWarning
    from patchtst_har.data.windows import Windows as Windows
    from patchtst_har.data.windows import cut_windows as cut_windows
    from patchtst_har.datasets.capture24 import prepare_capture24 as prepare_capture24
    from patchtst_har.datasets.demo_recordings import write_watch_recordings as write_watch_recordings
    from patchtst_har.datasets.featureset import FeatureSet as FeatureSet
    from patchtst_har.datasets.featureset import load_feature_set as load_feature_set
    from patchtst_har.datasets.prepare import prepare_recordings as prepare_recordings
    from patchtst_har.datasets.prepared import ParticipantWindows as ParticipantWindows
    from patchtst_har.datasets.prepared import PreparedDataset as PreparedDataset
    from patchtst_har.datasets.simulated_capture24 import write_capture24 as write_capture24
    from patchtst_har.datasets.splits import Split as Split
    from patchtst_har.datasets.splits import split_participants as split_participants
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "patchtst_har.data.annotations": ["LabelMap"],
            "patchtst_har.data.recording": ["read_recording", "write_recording"],
            "patchtst_har.data.resample": ["resample_recording"],
            "patchtst_har.data.times": ["TIME_FEATURE_NAMES", "time_features"],
            "patchtst_har.data.units": ["UnitWarning"],
            "patchtst_har.data.windows": ["Windows", "cut_windows"],
            "patchtst_har.datasets.capture24": ["prepare_capture24"],
            "patchtst_har.datasets.demo_recordings": ["write_watch_recordings"],
            "patchtst_har.datasets.featureset": ["FeatureSet", "load_feature_set"],
            "patchtst_har.datasets.prepare": ["prepare_recordings"],
            "patchtst_har.datasets.prepared": ["ParticipantWindows", "PreparedDataset"],
            "patchtst_har.datasets.simulated_capture24": ["write_capture24"],
            "patchtst_har.datasets.splits": ["Split", "split_participants"],
        },
    )
