import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.recording import read_recording
from patchtst_har.data.resample import clean_samples, resample_recording
from patchtst_har.data.units import UNUSABLE
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import DataError
from patchtst_har.synthetic import recording as make_recording


def recording_of(time_s: np.ndarray, signal: np.ndarray) -> pd.DataFrame:
    stamps = np.rint(np.asarray(time_s) * 1e9).astype(np.int64) + 1_700_000_000 * 10**9
    index = pd.DatetimeIndex(stamps.view("datetime64[ns]"), name="time")
    return pd.DataFrame(np.asarray(signal, np.float32), index=index, columns=["x", "y", "z"])


def slow_wave(time_s: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.sin(2 * np.pi * 0.5 * time_s), np.cos(2 * np.pi * 0.3 * time_s), 1 + 0 * time_s], axis=1
    )


def test_a_regular_recording_at_the_target_rate_is_unchanged() -> None:
    recording = make_recording(bouts=(("walking", 12.0),))
    (segment,) = resample_recording(recording, 100.0)
    np.testing.assert_array_equal(segment.samples, recording[["x", "y", "z"]].to_numpy())
    assert segment.samples.dtype == np.float32
    assert segment.start_ns == recording.index.astype("int64")[0]


@pytest.mark.parametrize("rate", [31.25, 50.0, 97.1, 102.75, 104.26])
def test_jittered_samples_land_where_they_belong(rate: float) -> None:
    rng = np.random.default_rng(0)
    time_s = np.arange(int(30 * rate)) / rate
    time_s = time_s + np.clip(rng.normal(0, 0.1 / rate, len(time_s)), -0.3 / rate, 0.3 / rate)
    (segment,) = resample_recording(recording_of(time_s, slow_wave(time_s)), 100.0)
    grid = time_s[0] + np.arange(len(segment.samples)) / 100.0
    # The error of linear interpolation of a wave of 0.5 Hz between samples up to 1.6 periods apart.
    bound = (1.6 * 2 * np.pi * 0.5 / rate) ** 2 / 8 + 1e-6
    np.testing.assert_allclose(segment.samples[:-1], slow_wave(grid)[:-1], atol=bound)
    # The last grid point may lie up to half a step past the last sample, whose value it then has.
    np.testing.assert_allclose(segment.samples[-1], slow_wave(grid)[-1], atol=0.02)
    assert len(segment.samples) == pytest.approx((time_s[-1] - time_s[0]) * 100, abs=1.5)


def test_a_grid_does_not_drift_over_a_day() -> None:
    rate = 99.7
    time_s = np.arange(86_400 * 2) / 2.0
    (segment,) = resample_recording(recording_of(time_s, slow_wave(time_s / 1000)), rate / 50)
    at_end = (len(segment.samples) - 1) / (rate / 50)
    assert at_end == pytest.approx(time_s[-1], abs=0.5)
    np.testing.assert_allclose(segment.samples[-1], slow_wave(np.array([at_end / 1000]))[0], atol=2e-3)


@pytest.mark.parametrize("rate", [200.0, 250.0, 400.0])
def test_a_faster_device_is_low_passed_without_a_shift(rate: float) -> None:
    time_s = np.arange(int(20 * rate)) / rate
    kept, removed = np.sin(2 * np.pi * 3 * time_s), np.sin(2 * np.pi * 85 * time_s)
    signal = np.stack([kept, removed, np.ones_like(time_s)], axis=1)
    (segment,) = resample_recording(recording_of(time_s, signal), 100.0)
    grid = np.arange(len(segment.samples)) / 100.0
    inner = slice(50, -50)
    np.testing.assert_allclose(segment.samples[inner, 0], np.sin(2 * np.pi * 3 * grid)[inner], atol=0.01)
    assert np.abs(segment.samples[inner, 1]).max() < 0.02, "85 Hz must not alias to 15 Hz"
    np.testing.assert_allclose(segment.samples[:, 2], 1.0, atol=2e-3)


@pytest.mark.parametrize("rate", [100.0, 250.0])
def test_the_filter_is_recorded(rate: float) -> None:
    time_s = np.arange(int(15 * rate)) / rate
    info = cut_windows(recording_of(time_s, slow_wave(time_s))).info
    assert info["resampling"] == {
        "sample_rate_hz": 100.0,
        "method": "linear",
        "n_low_passed_segments": int(rate > 110),
    }


@pytest.mark.parametrize("rate", [100.0, 250.0])
def test_blocks_give_the_same_as_the_whole(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    recording = make_recording(bouts=(("walking", 8.0), ("running", 8.0)), sample_rate_hz=rate)
    (whole,) = resample_recording(recording, 100.0)
    monkeypatch.setattr("patchtst_har.data.resample.BLOCK_ROWS", 333)
    (pieces,) = resample_recording(recording, 100.0)
    np.testing.assert_allclose(pieces.samples, whole.samples, rtol=0, atol=1e-6)


def test_a_pause_ends_a_segment_and_is_not_bridged() -> None:
    time_s = np.arange(3000) / 100.0
    time_s[1000:] += 1.5
    time_s[2000:] += 0.5
    recording = recording_of(time_s, slow_wave(time_s))
    first, second = resample_recording(recording, 100.0, max_gap_s=1.0)
    assert len(first.samples) == 1000
    assert len(second.samples) == pytest.approx(2050, abs=1)
    assert second.start_ns - first.start_ns == 11_500_000_000
    assert len(resample_recording(recording, 100.0, max_gap_s=2.0)) == 1


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 50.1, -9999.0, 32767.0, 3.4e38])
def test_bad_blocks_are_gaps_and_counted(value: float) -> None:
    recording = make_recording(bouts=(("sitting", 60.0),))
    recording.iloc[2000:2500, :3] = value
    clean = clean_samples(recording, 1.0)
    reason = "n_zero" if value == 0 else "n_out_of_range" if np.isfinite(value) else "n_nonfinite"
    assert {name: clean.info[name] for name in UNUSABLE} == {**dict.fromkeys(UNUSABLE, 0), reason: 500}
    assert clean.info["n_gaps"] == 1
    first, second = resample_recording(recording, 100.0)
    assert (len(first.samples), len(second.samples)) == (2000, 3500)
    for segment in (first, second):
        assert np.linalg.norm(segment.samples, axis=1).min() > 0.9


def test_the_strongest_impact_is_kept_and_one_axis_beyond_it_is_not() -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    recording.iloc[500, 0], recording.iloc[600, 2] = 50.0, np.nextafter(np.float32(50), np.float32(51))
    clean = clean_samples(recording, 1.0)
    assert clean.info["n_out_of_range"] == 1
    assert len(clean.time_ns) == 1999
    assert clean.acceleration.max() == 50.0


@pytest.mark.parametrize("jitter_s", [0.0, 0.003])
def test_batches_that_are_stamped_once_a_second_are_no_pauses(jitter_s: float) -> None:
    rng = np.random.default_rng(0)
    stamps = np.arange(60) + rng.uniform(-jitter_s, jitter_s, 60)
    time_s = np.arange(6000) / 100.0
    recording = recording_of(stamps[np.arange(6000) // 100], slow_wave(time_s))
    clean = clean_samples(recording, 1.0)
    assert clean.sample_rate_hz == pytest.approx(100.0, abs=0.5)
    assert clean.info["n_gaps"] == 0
    (segment,) = resample_recording(recording)
    at = (segment.start_ns - 1_700_000_000 * 10**9) / 1e9 + np.arange(len(segment.samples)) / 100.0
    assert np.abs(segment.samples - slow_wave(at))[200:-200].max() < 0.03


def test_a_pause_after_a_batch_is_a_pause() -> None:
    stamps = np.arange(60.0)
    stamps[30:] += 1.5
    recording = recording_of(stamps[np.arange(6000) // 100], slow_wave(np.arange(6000) / 100.0))
    assert clean_samples(recording, 1.0).info["n_gaps"] == 1
    assert clean_samples(recording, 2.0).info["n_gaps"] == 0


def test_a_part_at_a_higher_rate_is_low_passed() -> None:
    """80 Hz, sampled at 200 Hz after ten minutes at 50 Hz, must not appear as 20 Hz."""
    time_s = np.concatenate([np.arange(30_000) / 50.0, 600.0 + np.arange(6000) / 200.0])
    wave = np.sin(2 * np.pi * 80.0 * time_s) * (time_s >= 600.0)
    signal = np.stack([wave, 0 * wave, 1.0 + 0 * wave], axis=1)
    (segment,) = resample_recording(recording_of(time_s, signal))
    assert segment.samples[-2500:, 0].std() < 0.05
    assert segment.samples[:59_000, 2].std() < 1e-3


def test_a_short_hole_is_bridged_by_interpolation() -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    recording.iloc[500:550, 0] = np.nan
    (segment,) = resample_recording(recording, 100.0)
    assert len(segment.samples) == 2000
    ends = recording[["x", "y", "z"]].to_numpy()[[499, 550]]
    np.testing.assert_allclose(segment.samples[524], ends[0] + (ends[1] - ends[0]) * 25 / 51, atol=1e-5)


def test_a_single_zero_axis_is_a_value_not_a_fault() -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    recording.iloc[:, :2] = 0.0
    assert clean_samples(recording, 1.0).info["n_zero"] == 0


def test_batched_stamps_are_spread() -> None:
    time_s = np.arange(5000) / 100.0
    batched = np.floor(time_s)
    (segment,) = resample_recording(recording_of(batched, slow_wave(time_s)), 100.0)
    clean = clean_samples(recording_of(batched, slow_wave(time_s)), 1.0)
    assert clean.info["n_repeated_stamps"] == 4950
    assert clean.sample_rate_hz == pytest.approx(100.0, rel=0.02)
    np.testing.assert_allclose(segment.samples[:4900], slow_wave(time_s[:4900]), atol=2e-3)


def test_repeated_values_are_reported_and_kept() -> None:
    recording = make_recording(bouts=(("walking", 30.0), ("sitting", 120.0), ("walking", 30.0)))
    recording.iloc[3000:15_000, :3] = [0.0, 0.6, 0.8]
    clean = clean_samples(recording, 1.0)
    assert clean.info["repeated_s"] == pytest.approx(120.0, abs=0.02)
    assert clean.info["n_gaps"] == 0
    assert clean_samples(make_recording(), 1.0).info["repeated_s"] == 0


@pytest.mark.parametrize(("value", "n_segments"), [(0.0, 0), (np.nan, 0), (1.0, 1)])
def test_constant_signals(value: float, n_segments: int) -> None:
    recording = make_recording(bouts=(("sitting", 5.0),))
    recording.iloc[:, :3] = value
    segments = resample_recording(recording, 100.0)
    assert len(segments) == n_segments
    for segment in segments:
        np.testing.assert_array_equal(segment.samples, np.full((500, 3), value, np.float32))


def test_a_gap_of_weeks_allocates_nothing() -> None:
    time_s = np.concatenate([np.arange(500) / 100.0, 60 * 86_400 + np.arange(700) / 100.0])
    segments = resample_recording(recording_of(time_s, slow_wave(time_s)), 100.0)
    assert [len(segment.samples) for segment in segments] == [500, 700]


@pytest.mark.parametrize("n_samples", [0, 1, 2])
def test_tiny_recordings(n_samples: int) -> None:
    time_s = np.arange(n_samples) / 100.0
    segments = resample_recording(recording_of(time_s, slow_wave(time_s)), 100.0)
    assert [len(segment.samples) for segment in segments] == [n_samples] * (n_samples > 0)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_stamps_of_every_unit_and_zone_give_the_same_nanoseconds(unit: str, zone: str | None) -> None:
    index = pd.date_range("2024-03-01 08:00", periods=30, freq="s", tz=zone, name="time").as_unit(unit)  # type: ignore[arg-type]
    frame = pd.DataFrame({"x": 0.0, "y": 0.0, "z": 1.0}, index=index)
    (segment,) = resample_recording(frame, 10.0)
    assert segment.start_ns == pd.Timestamp("2024-03-01 08:00", tz=zone).as_unit("ns").value
    assert len(segment.samples) == 291


def test_what_is_no_recording_is_refused() -> None:
    recording = make_recording(bouts=(("sitting", 1.0),))
    with pytest.raises(DataError, match="needs a DatetimeIndex, has RangeIndex"):
        resample_recording(recording.reset_index(drop=True))
    with pytest.raises(DataError, match=r"no column 'z' \(found: 'x', 'y', 'annotation'\)"):
        resample_recording(recording.drop(columns="z"))
    with pytest.raises(DataError, match="column 'x' holds object, numbers are needed"):
        resample_recording(recording.assign(x=recording["x"].astype(object)))
    with pytest.raises(DataError, match="time runs backwards at row 1"):
        resample_recording(recording.iloc[::-1])
    with pytest.raises(DataError, match=r"row 3 \(counted from 0\) has no time stamp \(NaT\)"):
        resample_recording(recording.set_index(recording.index.where(np.arange(100) != 3)))
    with pytest.raises(DataError, match="sample_rate_hz must be positive and finite, not 0"):
        resample_recording(recording, 0)
    with pytest.raises(DataError, match="max_gap_s must be positive and finite, not nan"):
        resample_recording(recording, max_gap_s=float("nan"))


def test_stamps_of_no_device_are_refused():
    times = pd.date_range("2024-05-01", periods=4000, freq="ns")
    recording = pd.DataFrame(np.ones((4000, 3), np.float32), times, ["x", "y", "z"])
    with pytest.raises(DataError, match=r"those of 1e\+09 Hz: at most 100000 Hz can be resampled to 100 Hz"):
        cut_windows(recording)


def test_a_recording_of_centuries_is_refused(tmp_path):
    """The difference of its ends is beyond 64 bits of nanoseconds."""
    ends = np.array([-9 * 10**18, 9 * 10**18])
    times = pd.DatetimeIndex((ends[:, None] + 10**7 * np.arange(2000)).ravel())
    recording = pd.DataFrame(np.ones((4000, 3), np.float32), times, ["x", "y", "z"])
    with pytest.raises(DataError, match="recording: lasts 570 years, at most 285 are read"):
        cut_windows(recording)
    np.savez(tmp_path / "long.npz", time_ns=times.asi8, acc=recording.to_numpy())
    with pytest.raises(DataError, match=r"long\.npz: lasts 570 years, at most 285 are read"):
        read_recording(tmp_path / "long.npz")
