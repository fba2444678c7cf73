"""Windows cut by the clock of the file, against the published rule written as slowly as it is stated."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchtst_har.config import DataConfig
from patchtst_har.data.file_windows import cut_file_windows
from patchtst_har.data.windows import cut_windows
from patchtst_har.synthetic import recording as make_recording

SIZE = 20
CONFIG = DataConfig(window_size=SIZE, hop_size=SIZE)


def published(
    recording: pd.DataFrame, size: int, rate_hz: float = 100.0
) -> list[tuple[int, str, np.ndarray]]:
    """Begin, label and samples of each window: pandas cuts the time and finds the mode."""
    found = []
    for start, part in recording.resample(pd.Timedelta(size / 100, unit="s"), origin="start"):
        annotation = part["annotation"].astype(object)
        samples = part[["x", "y", "z"]].to_numpy()
        if annotation.isna().all() or len(part) != size or not np.isfinite(samples).all():
            continue
        found.append((start.as_unit("ns").value, annotation.dropna().mode().iloc[0], samples))
    return found


def assert_as_published(recording: pd.DataFrame, config: DataConfig = CONFIG) -> int:
    cut = cut_file_windows(recording, config)
    expected = published(recording, config.window_size)
    assert cut.labels is not None
    assert cut.start_ns.tolist() == [start_ns for start_ns, _, _ in expected]
    assert cut.labels.tolist() == [label for _, label, _ in expected]
    for window, (_, _, samples) in zip(cut.windows, expected, strict=True):
        np.testing.assert_array_equal(window, samples)
    return len(cut)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_windows_are_those_of_the_published_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_samples = int(rng.integers(1, 300))
    names = np.array(["b walk", "a sit", "c;MET 1.0", None], dtype=object)
    steps_ns = np.full(n_samples, 10_000_000)
    # Gaps, repeated stamps and jitter; most samples stand where they should.
    odd = rng.random(n_samples) < rng.choice([0.0, 0.02, 0.2])
    steps_ns[odd] = rng.choice([0, 9_000_000, 11_000_000, 10_000_001, 350_000_000, 2 * 10**9], np.sum(odd))
    values = rng.normal(0, 1, (n_samples, 3)).astype(np.float32)
    values[rng.random(n_samples) < 0.01] = np.nan
    values[rng.random(n_samples) < 0.05] = 0
    recording = pd.DataFrame(values, columns=["x", "y", "z"])
    recording.index = pd.DatetimeIndex(1_460_000_000_000_000_123 + np.cumsum(steps_ns), name="time")
    runs = np.repeat(rng.integers(0, 4, n_samples), rng.integers(1, 30))[:n_samples]
    recording["annotation"] = pd.Categorical(names[runs], categories=["b walk", "c;MET 1.0", "a sit"])
    assert_as_published(recording)


def test_a_regular_recording_is_cut_as_ever() -> None:
    recording = make_recording(bouts=(("sitting", 3.1), (None, 2.0), ("walking", 4.25)))
    assert assert_as_published(recording, CONFIG) == 37
    by_clock, on_grid = cut_file_windows(recording, CONFIG), cut_windows(recording, CONFIG)
    np.testing.assert_array_equal(by_clock.windows, on_grid.windows)
    np.testing.assert_array_equal(by_clock.start_ns, on_grid.start_ns)
    np.testing.assert_array_equal(by_clock.labels, on_grid.labels)
    assert by_clock.dropped == {"unlabelled": 9, "incomplete": 1, "unusable": 0}


def test_where_it_differs_from_the_cut_on_a_grid() -> None:
    recording = make_recording(bouts=(("walking", 2.0),))
    late = recording.drop(recording.index[45:50])
    # Five samples are missing: their window is incomplete, and the next one begins where it would have.
    by_clock = cut_file_windows(late, CONFIG)
    assert len(by_clock) == 9
    assert by_clock.dropped["incomplete"] == 1
    assert len(cut_windows(late, CONFIG)) == 10, "a short gap is bridged there"
    zero = recording.copy()
    zero.iloc[25:35, :3] = 0
    np.testing.assert_array_equal(cut_file_windows(zero, CONFIG).windows[1], zero.iloc[20:40, :3])
    assert cut_file_windows(zero, CONFIG).info["n_zero"] == 10
    assert (cut_windows(zero, CONFIG).windows[1, 5:15] != 0).all()
    bad = recording.copy()
    bad.iloc[3, 1] = np.nan
    bad.iloc[23, 2] = np.inf
    bad.iloc[43, 0] = 9999.0
    assert cut_file_windows(bad, CONFIG).dropped == {"unlabelled": 0, "incomplete": 0, "unusable": 3}


def test_ties_and_windows_with_little_annotation() -> None:
    recording = make_recording(bouts=(("walking", 0.6),))
    names = [None] * 19 + ["walk"] + ["walk"] * 8 + ["sit"] * 8 + [None] * 4 + [None] * 20
    recording["annotation"] = pd.Series(names, index=recording.index, dtype=object)
    cut = cut_file_windows(recording, CONFIG)
    assert cut.labels is not None
    assert cut.labels.tolist() == ["walk", "sit"]
    assert cut.dropped == {"unlabelled": 1, "incomplete": 0, "unusable": 0}


def test_a_gap_of_years_costs_nothing() -> None:
    recording = make_recording(bouts=(("walking", 1.0),))
    later = recording.copy()
    later.index = later.index + pd.Timedelta(days=365 * 200)
    cut = cut_file_windows(pd.concat([recording, later]), CONFIG)
    assert len(cut) == 10


def test_without_annotation_and_with_a_zone() -> None:
    recording = make_recording(bouts=(("walking", 1.0),)).drop(columns="annotation")
    cut = cut_file_windows(recording.tz_localize("UTC"), CONFIG)
    assert cut.labels is None
    assert (len(cut), cut.clock) == (5, "utc")


@pytest.mark.parametrize("n_samples", [0, 1, SIZE - 1, SIZE, SIZE + 1])
def test_short_recordings(n_samples: int) -> None:
    recording = make_recording(bouts=(("walking", 1.0),)).iloc[:n_samples]
    assert len(cut_file_windows(recording, CONFIG)) == n_samples // SIZE
