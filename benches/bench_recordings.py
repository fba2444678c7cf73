"""An hour of samples with jitter, put on a grid and cut into windows, by the rate of the device.

The samples of a slow, smooth movement are known at every time: the grid is compared with them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data import cut_windows

START_NS = 1_700_000_000_000_000_000
CONFIG = DataConfig()
N_WINDOWS = 359  # the hour ends before the last grid point of window 360


def movement(time_s):
    """Return (n, 3) acceleration in g at 0.5 Hz: slow enough to be interpolated well."""
    phase = np.pi * time_s[:, np.newaxis] + np.array([0.0, 1.0, 2.0])
    return 0.3 * np.sin(phase) + np.array([0.1, 0.2, 0.9])


def hour_at(rate_hz):
    rng = np.random.default_rng(0)
    times_s = np.arange(round(3595 * rate_hz)) / rate_hz
    times_s[1:] += rng.uniform(-0.2, 0.2, len(times_s) - 1) / rate_hz
    stamps = START_NS + np.rint(times_s * 1e9).astype(np.int64)
    frame = pd.DataFrame(movement(times_s).astype(np.float32), columns=["x", "y", "z"])
    return frame.set_index(pd.DatetimeIndex(stamps, name="time"))


@pytest.mark.parametrize("rate_hz", [50, 100, 128])
def test_cut_an_hour_per_window(rate_hz, measure):
    """At 128 Hz the samples are low-passed first."""
    recording = hour_at(rate_hz)
    cut = cut_windows(recording, CONFIG)
    assert len(cut) == N_WINDOWS
    np.testing.assert_array_equal(cut.start_ns, START_NS + 10_000_000_000 * np.arange(N_WINDOWS))
    for number in (1, 100, 357):
        at_s = number * 10 + np.arange(1000) / 100
        np.testing.assert_allclose(cut.windows[number], movement(at_s), rtol=0, atol=2e-3)
    measure(lambda frame: cut_windows(frame, CONFIG), [recording], rounds=20, per_round=N_WINDOWS)
