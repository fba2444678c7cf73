import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.windows import WindowBatches, cut_windows
from patchtst_har.synthetic import recording as make_recording

CONFIG = DataConfig(window_size=200, hop_size=200)


def annotated(names: list[tuple[str | None, int]]) -> pd.DataFrame:
    recording = make_recording(bouts=(("sitting", sum(count for _, count in names) / 100),))
    labels = [name for name, count in names for _ in range(count)]
    return recording.assign(annotation=pd.Series(labels, index=recording.index, dtype=object))


def test_windows_follow_each_other_with_their_stamps_and_labels() -> None:
    recording = make_recording(bouts=(("sitting", 6.0), ("walking", 6.5)))
    cut = cut_windows(recording, CONFIG)
    signal = recording[["x", "y", "z"]].to_numpy()
    assert cut.windows.shape == (6, 200, 3)
    assert cut.windows.dtype == np.float32
    assert cut.windows.flags.c_contiguous
    np.testing.assert_array_equal(cut.windows.reshape(-1, 3), signal[:1200])
    np.testing.assert_array_equal(cut.start_ns, recording.index.astype("int64")[:1200:200])
    assert cut.labels is not None
    assert cut.labels.tolist() == ["sitting"] * 3 + ["walking"] * 3
    assert cut.dropped == {"unlabelled": 0, "mixed_labels": 0, "too_few_labels": 0, "short_stretches": 0}


@pytest.mark.parametrize("hop", [1, 50, 77, 199])
def test_overlapping_windows(hop: int) -> None:
    recording = make_recording(bouts=(("walking", 6.0),))
    cut = cut_windows(recording, CONFIG.replace(hop_size=hop))
    signal = recording[["x", "y", "z"]].to_numpy()
    assert len(cut) == (600 - 200) // hop + 1
    for number in (0, len(cut) // 2, len(cut) - 1):
        np.testing.assert_array_equal(cut.windows[number], signal[number * hop : number * hop + 200])
        assert cut.start_ns[number] == recording.index.astype("int64")[number * hop]


@pytest.mark.parametrize("policy", ["mode", "unanimous", "centre"])
@pytest.mark.parametrize("hop", [70, 200])
def test_blocks_give_the_same_as_the_whole(monkeypatch: pytest.MonkeyPatch, policy: str, hop: int) -> None:
    recording = make_recording(
        bouts=(("sitting", 7.3), (None, 4.1), ("walking", 9.9), (None, 0.7), ("running", 5.0)),
        sample_rate_hz=97.1,
    )
    config = CONFIG.replace(hop_size=hop, label_policy=policy)
    whole = cut_windows(recording, config)
    monkeypatch.setattr("patchtst_har.data.windows._BLOCK_SAMPLES", 500)
    pieces = cut_windows(recording, config)
    np.testing.assert_array_equal(pieces.windows, whole.windows)
    np.testing.assert_array_equal(pieces.start_ns, whole.start_ns)
    assert whole.labels is not None
    assert pieces.labels is not None
    assert pieces.labels.tolist() == whole.labels.tolist()
    assert pieces.dropped == whole.dropped
    assert whole.dropped["unlabelled"] > 0


@pytest.mark.parametrize(
    ("policy", "names", "expected"),
    [
        ("mode", [("b", 120), ("a", 80)], "b"),
        ("mode", [("b", 100), ("a", 100)], "a"),
        ("mode", [("b", 1), (None, 199)], "b"),
        ("mode", [(None, 200)], "unlabelled"),
        ("unanimous", [("b", 200)], "b"),
        ("unanimous", [("b", 50), (None, 150)], "b"),
        ("unanimous", [("b", 199), ("a", 1)], "mixed_labels"),
        ("unanimous", [(None, 200)], "unlabelled"),
        ("centre", [("b", 101), ("a", 99)], "b"),
        ("centre", [("b", 100), ("a", 100)], "a"),
        ("centre", [("b", 90), (None, 20), ("b", 90)], "unlabelled"),
    ],
)
def test_label_policies(policy: str, names: list[tuple[str | None, int]], expected: str) -> None:
    cut = cut_windows(annotated(names), CONFIG.replace(label_policy=policy))
    assert cut.labels is not None
    if expected in cut.dropped:
        assert len(cut) == 0
        assert cut.dropped[expected] == 1
    else:
        assert cut.labels.tolist() == [expected]


@pytest.mark.parametrize("policy", ["mode", "unanimous", "centre"])
def test_annotations_that_nobody_else_has_change_no_label(policy: str) -> None:
    """More annotations than samples in a window are counted in another way: those that occur in a block."""
    few = annotated([("b", 130), ("a", 70), (None, 200), ("c", 150), (None, 50), ("b", 200)])
    many = pd.concat([few, annotated([(f"b{number}", 1) for number in range(250)])])
    many.index = few.index.append(
        few.index[-1] + (many.index[len(few) :] - many.index[len(few)]) + pd.Timedelta("1h")
    )
    config = CONFIG.replace(label_policy=policy)
    expected, found = cut_windows(few, config), cut_windows(many, config)
    assert expected.labels is not None
    assert found.labels is not None
    assert found.labels.tolist()[: len(expected)] == expected.labels.tolist()
    assert {"mode": ["b0"], "unanimous": [], "centre": ["b100"]}[policy] == found.labels.tolist()[
        len(expected) :
    ]


@pytest.mark.parametrize(("n_labelled", "kept"), [(99, 0), (100, 1), (200, 1)])
def test_the_least_labelled_part(n_labelled: int, kept: int) -> None:
    names = [("a", n_labelled), (None, 200 - n_labelled)]
    cut = cut_windows(annotated(names), CONFIG.replace(min_labelled_fraction=0.5))
    assert len(cut) == kept
    assert cut.dropped["too_few_labels"] == 1 - kept


def test_empty_strings_and_nan_are_no_labels_in_any_dtype() -> None:
    labels = ["a"] * 200 + [""] * 200 + [np.nan] * 200
    recording = make_recording(bouts=(("sitting", 6.0),))
    for dtype in (object, "category", "str"):
        column = pd.Series(labels, index=recording.index, dtype=object).astype(dtype)
        cut = cut_windows(recording.assign(annotation=column), CONFIG)
        assert cut.labels is not None
        assert cut.labels.tolist() == ["a"]
        assert cut.dropped["unlabelled"] == 2


def test_without_annotation_every_window_is_kept() -> None:
    cut = cut_windows(make_recording().drop(columns="annotation"), CONFIG)
    assert cut.labels is None
    assert len(cut) == 45
    assert cut.dropped["unlabelled"] == 0


def test_a_column_without_any_annotation_drops_every_window() -> None:
    cut = cut_windows(make_recording(bouts=((None, 10.0),)), CONFIG)
    assert len(cut) == 0
    assert cut.dropped["unlabelled"] == 5


def test_labels_come_from_the_nearest_original_sample() -> None:
    recording = make_recording(bouts=(("sitting", 10.0),), sample_rate_hz=10.0)
    labels = ["a"] * 10 + ["b"] * 90
    recording = recording.assign(annotation=pd.Series(labels, index=recording.index, dtype=object))
    # The nearest to 0.94 s is the sample at 0.9 s (a), to 0.96 s the one at 1.0 s (b).
    cut = cut_windows(recording, CONFIG.replace(window_size=1, hop_size=1, label_policy="centre"))
    assert cut.labels is not None
    assert cut.labels[[94, 96]].tolist() == ["a", "b"]


def test_no_window_crosses_a_gap_or_holds_what_is_not_finite() -> None:
    recording = make_recording(bouts=(("sitting", 30.0),))
    recording.iloc[500:700, :3] = np.nan
    recording.iloc[1500:1800, :3] = 0.0
    recording = pd.concat([recording.iloc[:2200], recording.iloc[2500:]])
    cut = cut_windows(recording, CONFIG)
    assert np.isfinite(cut.windows).all()
    first_rows = (cut.start_ns - cut.start_ns[0]) // 10_000_000
    assert first_rows.tolist() == [0, 200, 700, 900, 1100, 1300, 1800, 2000, 2500, 2700]
    assert cut.info["n_nonfinite"] == 200
    assert cut.info["n_zero"] == 300
    assert cut.info["n_gaps"] == 3
    assert np.linalg.norm(cut.windows, axis=2).min() > 0.9


def test_segments_that_are_too_short_are_counted() -> None:
    recording = make_recording(bouts=(("sitting", 10.0),))
    keep = np.r_[0:199, 400:600]
    cut = cut_windows(recording.iloc[keep], CONFIG)
    assert len(cut) == 1
    assert cut.dropped["short_stretches"] == 1


def test_idle_sleep_by_repeats_zeros_and_missing_minutes() -> None:
    recording = make_recording(bouts=(("walking", 60.0), ("sitting", 300.0), ("walking", 60.0)))
    repeats, zeros = recording.copy(), recording.copy()
    repeats.iloc[6000:36_000, :3] = [0.0, 0.6, 0.8]
    zeros.iloc[6000:36_000, :3] = 0.0
    missing = recording.drop(recording.index[6000:36_000])
    config = DataConfig()
    assert len(cut_windows(repeats, config)) == 42
    assert cut_windows(repeats, config).info["repeated_s"] == pytest.approx(300, abs=0.1)
    for frame in (zeros, missing):
        cut = cut_windows(frame, config)
        assert len(cut) == 12
        assert cut.info["n_gaps"] == 1
    assert cut_windows(zeros, config).info["n_zero"] == 30_000


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_constant_signals_raise_nothing(value: float) -> None:
    recording = make_recording(bouts=(("sitting", 10.0),))
    recording.iloc[:, :3] = value
    cut = cut_windows(recording, CONFIG)
    assert len(cut) == (5 if value == 1.0 else 0)
    assert cut.windows.shape[1:] == (200, 3)
    assert (cut.windows == value).all()


@pytest.mark.parametrize("n_samples", [0, 1, 199])
def test_recordings_shorter_than_a_window(n_samples: int) -> None:
    cut = cut_windows(make_recording().iloc[:n_samples], CONFIG)
    assert cut.windows.shape == (0, 200, 3)
    assert cut.start_ns.shape == (0,)
    assert cut.labels is not None
    assert len(cut.labels) == 0


def test_zones_give_utc_and_naive_stamps_their_wall_clock() -> None:
    recording = make_recording(bouts=(("sitting", 4.0),), start="2024-07-01 12:00:00")
    naive = cut_windows(recording, CONFIG)
    zoned = cut_windows(recording.tz_localize("Europe/London"), CONFIG)
    assert naive.start_ns[0] == pd.Timestamp("2024-07-01 12:00").as_unit("ns").value
    assert naive.start_ns[0] - zoned.start_ns[0] == 3600 * 10**9
    assert (naive.clock, zoned.clock) == ("wall", "utc")


@pytest.mark.parametrize(("size", "hop"), [(1, 200), (3, 77), (7, 200), (1000, 50)])
def test_batches_are_the_windows_cut_at_once(monkeypatch: pytest.MonkeyPatch, size: int, hop: int) -> None:
    monkeypatch.setattr("patchtst_har.data.windows._BLOCK_SAMPLES", 900)
    recording = make_recording(bouts=(("walking", 40.0),), sample_rate_hz=97.1)
    recording = pd.concat([recording.iloc[:1500], recording.iloc[1700:1800], recording.iloc[2100:]])
    config = CONFIG.replace(hop_size=hop)
    whole = cut_windows(recording.drop(columns="annotation"), config)
    batches = WindowBatches(recording, config)
    np.testing.assert_array_equal(batches.start_ns, whole.start_ns)
    assert (batches.clock, batches.info) == (whole.clock, whole.info)
    assert batches.n_short == whole.dropped["short_stretches"] == 1
    rows, parts = zip(*batches.batches(size), strict=True)
    assert [row.start for row in rows] == list(range(0, len(whole), size))
    assert rows[-1].stop == len(batches) == len(whole)
    np.testing.assert_array_equal(np.concatenate(parts), whole.windows)


def test_of_a_recording_without_a_window_there_is_no_batch() -> None:
    batches = WindowBatches(make_recording().iloc[:199], CONFIG)
    assert (len(batches), batches.n_short, list(batches.batches(4))) == (0, 1, [])


MULTI_WEEK = """
import resource
import numpy as np, pandas as pd
from patchtst_har.data.windows import cut_windows
stamps = np.concatenate([np.arange(2000), 10**9 + np.arange(2000)]) * 10**7
index = pd.DatetimeIndex(stamps.view("datetime64[ns]"), name="time")
frame = pd.DataFrame(np.ones((4000, 3), np.float32), index=index, columns=list("xyz"))
cut_windows(frame.iloc[:2000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(cut_windows(frame)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.spawns
def test_a_gap_of_four_months_needs_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MULTI_WEEK], capture_output=True, text=True, check=True)
    n_windows, grown_kib = map(int, done.stdout.split())
    assert n_windows == 4
    assert grown_kib < 50_000, "10^9 samples would fill the gap"
