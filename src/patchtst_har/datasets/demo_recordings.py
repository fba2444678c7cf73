"""Real recordings to try the package on: the smart-watch data that seglearn ships.

Ten people did seven shoulder exercises with each arm, 50 Hz, 140 series in all: Burns, Leung, Hardisty,
Whyne, Henry, McLachlin (2018), Shoulder physiotherapy exercise recognition: machine learning the inertial
signals from a smartwatch, Physiological Measurement 39, 075007.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from patchtst_har.data.recording import write_recording
from patchtst_har.errors import MissingDependencyError
from patchtst_har.support.files import ensure_folder

if TYPE_CHECKING:
    import pandas as pd

WATCH_SAMPLE_RATE_HZ = 50.0
WATCH_PAUSE_S = 60.0
WATCH_START = "2018-01-01 09:00:00"
WATCH_CLASSES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
"""Names of the source's abbreviated classes."""


def write_watch_recordings(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the smart-watch recordings as one CSV per participant, ``P01.csv`` to ``P10.csv``.

    The form is CAPTURE-24's (``time,x,y,z,annotation``, acceleration in g). The source has no clock, so
    times are made up: a participant's 14 series follow each other in the order shipped, the left arm's first,
    with pauses of 60 s, from 09:00 on 1 January 2018.

    Parameters
    ----------
    folder : path-like
        Created if need be; files of these names are replaced.

    Returns
    -------
    list of pathlib.Path
        The files, in order.

    Raises
    ------
    MissingDependencyError
        If seglearn is not installed.
    """
    data = _load_watch()
    folder = ensure_folder(folder)
    paths = []
    for subject in np.unique(data["subject"]):
        paths.append(folder / f"P{int(subject):02d}.csv")
        write_recording(paths[-1], _person(data, subject))
    return paths


def _load_watch() -> dict[str, Any]:
    try:
        from seglearn.datasets import load_watch
    except ImportError as error:
        raise MissingDependencyError(
            "the demonstration recordings need seglearn: pip install 'patchtst-har[demo]'"
        ) from error
    data: dict[str, Any] = load_watch()
    return data


def _person(data: dict[str, Any], subject: Any) -> pd.DataFrame:
    """Return one participant's series on one artificial clock."""
    import pandas as pd

    own = data["subject"] == subject
    series = [index for side in (0, 1) for index in np.flatnonzero(own & (data["side"] == side))]
    clock_ns = pd.Timestamp(WATCH_START).as_unit("ns").value
    step_ns = round(1e9 / WATCH_SAMPLE_RATE_HZ)
    stamps, signals, names = [], [], []
    for index in series:
        signal = np.asarray(data["X"][index])[:, :3]
        stamps.append(clock_ns + step_ns * np.arange(len(signal), dtype=np.int64))
        clock_ns = int(stamps[-1][-1]) + round(WATCH_PAUSE_S * 1e9)
        signals.append(signal.astype(np.float32))
        names += [WATCH_CLASSES[data["y_labels"][int(data["y"][index])]]] * len(signal)
    index_ns = np.concatenate(stamps).view("datetime64[ns]")
    frame = pd.DataFrame(
        np.concatenate(signals), index=pd.DatetimeIndex(index_ns, name="time"), columns=["x", "y", "z"]
    )
    frame["annotation"] = pd.Categorical(names)
    return frame
