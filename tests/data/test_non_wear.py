import numpy as np
import pandas as pd
import pytest

import signal_reference
from patchtst_har.config import DataConfig
from patchtst_har.data.non_wear import merged, overlapped, without
from patchtst_har.data.windows import WindowBatches, cut_windows

RATE_HZ = 20.0
MINUTE = round(60 * RATE_HZ)
START_NS = pd.Timestamp("2024-05-01 08:00").as_unit("ns").value


def worn(minutes: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([0.1, -0.4, 0.9]) + rng.normal(0, 0.1, (round(minutes * MINUTE), 3))


def quiet(minutes: float, seed: int = 1, std_g: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([0.0, 0.02, -1.0]) + rng.normal(0, std_g, (round(minutes * MINUTE), 3))


def table_of(*parts: np.ndarray) -> pd.DataFrame:
    samples = np.concatenate(parts).astype(np.float32)
    index = pd.DatetimeIndex(START_NS + np.arange(len(samples)) * round(1e9 / RATE_HZ), name="time")
    return pd.DataFrame(samples, index=index, columns=["x", "y", "z"])


def spans_min(recording: pd.DataFrame, config: DataConfig | None = None) -> list[list[float]]:
    """Return begin and end of the time without wear, in minutes since the first sample."""
    batches = WindowBatches(recording, config or DataConfig())
    return np.round((batches.non_wear_ns - START_NS) / 60e9, 2).tolist()


def test_an_hour_on_the_table_is_non_wear_and_has_no_windows() -> None:
    recording = table_of(worn(30), quiet(105), worn(40))
    assert spans_min(recording) == [[30.0, 135.0]]
    batches = WindowBatches(recording, DataConfig())
    minutes = (batches.start_ns - START_NS) / 60e9
    assert not ((minutes > 30 - 10 / 60 + 1e-6) & (minutes < 135)).any()
    # At 20 Hz, the last window of a piece lacks its last grid points.
    assert len(batches) == 30 * 6 - 1 + 40 * 6 - 1
    facts = batches.info["non_wear"]
    assert facts["applied"]
    assert facts["non_wear_s"] == pytest.approx(105 * 60)
    assert (facts["idle_s"], facts["n_spans"]) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_rule_is_that_of_the_definition(seed: int) -> None:
    """Hours around the limits of deviation and range, with a gap that leaves some of them too empty."""
    rng = np.random.default_rng(seed)
    parts = [
        quiet(rng.uniform(20, 70), seed * 10 + k, std_g=rng.choice([0.004, 0.0128, 0.0132]))
        + (k % 3 == 0) * np.array([0.03, 0.0, 0.0]) * rng.choice([0, 1], p=[0.99, 0.01])
        for k in range(8)
    ]
    recording = table_of(*parts)
    recording.iloc[: 10 * MINUTE, :2] += np.sin(np.arange(10 * MINUTE) / 5).astype(np.float32)[:, None]
    begin = int(rng.uniform(60, 120) * MINUTE)
    recording = recording.drop(recording.index[begin : begin + 20 * MINUTE]).iloc[::5]
    time_ns = recording.index.as_unit("ns").asi8
    expected = signal_reference.non_wear_of_samples(
        (time_ns - START_NS) / 1e9, recording.to_numpy(np.float64), RATE_HZ / 5
    )
    spans = WindowBatches(recording, DataConfig()).non_wear_ns
    found = np.zeros(len(recording), bool)
    for low, high in spans:
        found |= (time_ns >= low) & (time_ns < high)
    np.testing.assert_array_equal(found, expected)
    assert 0 < expected.mean() < 1


def test_one_axis_may_move() -> None:
    """A sensor that hangs on a door: two quiet axes are enough."""
    swinging = quiet(120)
    swinging[:, 1] += 0.3 * np.sin(np.arange(len(swinging)) / 30)
    assert spans_min(table_of(worn(30), swinging, worn(30))) == [[30.0, 150.0]]
    swinging[:, 0] += 0.3 * np.sin(np.arange(len(swinging)) / 30)
    assert spans_min(table_of(worn(30), swinging, worn(30))) == []


def test_a_short_recording_is_as_it_was() -> None:
    recording = table_of(quiet(30), np.tile(quiet(1)[:1], (5 * MINUTE, 1)), quiet(25))
    assert len(recording) == 60 * MINUTE
    batches = WindowBatches(recording, DataConfig())
    assert len(batches) == 359
    assert batches.info["non_wear"]["reason"] == "the recording does not last more than 60 min"
    longer = table_of(recording.to_numpy(), quiet(1))
    assert spans_min(longer) == [[0.0, 61.0]]
    assert spans_min(longer, DataConfig(non_wear="off")) == []
    assert len(WindowBatches(longer, DataConfig(non_wear="off"))) == 365


@pytest.mark.parametrize("value", ["zeros", "repeats"])
def test_idle_sleep_is_non_wear(value: str) -> None:
    """Devices that sleep write zeros, or their last value again and again."""
    first = worn(40)
    asleep = np.zeros((10 * MINUTE, 3)) if value == "zeros" else np.tile(first[-1], (10 * MINUTE, 1))
    recording = table_of(first, asleep, worn(40, seed=3))
    ((begin, end),) = spans_min(recording)
    assert (begin, end) == (pytest.approx(40, abs=0.01), pytest.approx(50, abs=0.01))
    batches = WindowBatches(recording, DataConfig())
    assert batches.info["non_wear"]["idle_s"] == pytest.approx(600, abs=0.2)
    assert batches.info["n_gaps"] == (value == "zeros")
    assert len(batches) == 2 * (40 * 6 - 1)


def test_sleep_that_the_file_lists_is_non_wear_though_nothing_was_written() -> None:
    recording = table_of(worn(40), quiet(30), worn(40, seed=3))
    recording = recording.drop(recording.index[45 * MINUTE : 70 * MINUTE])
    listed = START_NS + np.array([[45, 70], [20, 20.5]]) * 60 * 10**9
    assert spans_min(recording) == []
    batches = WindowBatches(recording, DataConfig(), idle_ns=listed.astype(np.int64).tolist())
    assert ((batches.non_wear_ns - START_NS) / 60e9).tolist() == [[45.0, 70.0]]
    facts = batches.info["non_wear"]
    assert (facts["idle_s"], facts["non_wear_s"]) == (25 * 60, 25 * 60)
    plain = WindowBatches(recording, DataConfig())
    np.testing.assert_array_equal(batches.start_ns, plain.start_ns)
    assert len(WindowBatches(recording, DataConfig(), idle_ns=[]).non_wear_ns) == 0
    cut = cut_windows(recording, idle_ns=listed.astype(np.int64))
    assert cut.info == batches.info


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_block_that_could_not_be_read_is_a_gap(value: float) -> None:
    """Half a minute of zeros is no idle sleep, and what is no number never is."""
    minutes = 0.5 if value == 0 else 10.0
    recording = table_of(worn(40), np.full((round(minutes * MINUTE), 3), value), worn(40, seed=3))
    batches = WindowBatches(recording, DataConfig())
    assert len(batches.non_wear_ns) == 0
    assert batches.info["n_gaps"] == 1
    assert batches.info["gaps_s"] == pytest.approx(60 * minutes, abs=0.1)
    steps_s = np.diff(batches.start_ns) / 1e9
    assert np.count_nonzero(np.abs(steps_s - 10) > 0.1) == 1


def test_missing_minutes_are_a_gap_and_no_non_wear() -> None:
    """What is not there says nothing, also with a few quiet minutes on either side."""
    recording = table_of(worn(40), quiet(55), worn(40, seed=3))
    missing = recording.drop(recording.index[45 * MINUTE : 90 * MINUTE])
    assert spans_min(missing) == []
    assert WindowBatches(missing, DataConfig()).info["gaps_s"] == pytest.approx(45 * 60, abs=0.1)


def test_a_gap_within_non_wear_has_no_state() -> None:
    recording = table_of(worn(30), quiet(120), worn(30))
    holed = recording.drop(recording.index[80 * MINUTE : 90 * MINUTE])
    assert spans_min(holed) == [[30.0, 80.0], [90.0, 150.0]]


def test_a_recording_that_nobody_wore_has_no_windows() -> None:
    for parts in ((quiet(100),), (np.zeros((100 * MINUTE, 3)),), (np.tile(quiet(1)[:1], (100 * MINUTE, 1)),)):
        batches = WindowBatches(table_of(*parts), DataConfig())
        assert len(batches) == 0
        assert spans_min(table_of(*parts)) == [[0.0, 100.0]]


def test_annotated_time_counts_as_worn() -> None:
    recording = table_of(worn(30), quiet(105), worn(40)).assign(annotation="sleep")
    cut = cut_windows(recording)
    assert len(cut) == 175 * 6 - 1
    facts = cut.info["non_wear"]
    assert (facts["applied"], facts["non_wear_s"]) == (False, pytest.approx(105 * 60))
    assert facts["reason"] == "annotated recordings count as worn"
    plain = cut_windows(recording.drop(columns="annotation"))
    assert len(plain) == 418
    np.testing.assert_array_equal(plain.start_ns, WindowBatches(recording, DataConfig()).start_ns)


@pytest.mark.parametrize("n_samples", [0, 1, 2, 30])
@pytest.mark.parametrize("value", [0.0, 0.5, np.nan, np.inf])
def test_tiny_and_degenerate_recordings(n_samples: int, value: float) -> None:
    cut = cut_windows(table_of(np.full((n_samples, 3), value)))
    assert len(cut) == 0
    assert not cut.info["non_wear"]["applied"]


def test_two_samples_far_apart() -> None:
    recording = table_of(worn(1)).iloc[[0, -1]]
    recording.index = pd.DatetimeIndex([START_NS, START_NS + 10**17], name="time")
    assert spans_min(recording, DataConfig(max_gap_s=3600)) == []


def test_spans_are_joined_and_taken_out() -> None:
    spans = merged(np.array([[50, 60], [0, 10]]), np.array([[10, 20], [55, 58]]), np.empty((0, 2), np.int64))
    assert spans.tolist() == [[0, 20], [50, 60]]
    assert merged(np.empty((0, 2), np.int64)).shape == (0, 2)
    begin = np.array([0, 15, 20, 40, 49, 60])
    assert overlapped(begin, begin + 5, spans).tolist() == [True, True, False, False, True, False]
    assert not overlapped(begin, begin + 5, spans[:0]).any()
    time_ns = np.array([0, 5, 10, 25, 30, 35, 52, 53, 70])
    bounds, taken = without(time_ns, [(0, 6), (6, 9)], spans, 1)
    assert bounds == [(3, 6), (8, 9)]
    assert taken.tolist() == [[0, 25], [52, 70]]
    assert without(time_ns, [(0, 6), (6, 9)], spans[:0], 1)[0] == [(0, 6), (6, 9)]
