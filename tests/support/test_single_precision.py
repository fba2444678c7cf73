"""Values that have no float32: numpy would warn of some, which tests take for an error."""

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data import cut_windows, read_recording
from patchtst_har.features import FeatureExtractor
from patchtst_har.support.single_precision import to_float32
from patchtst_har.synthetic import recording as make_recording

# Numpy's functions make quiet NaN of them; a file may have any bits.
SIGNALLING = {np.float32: np.uint32(0x7F800001), np.float64: np.uint64(0x7FF0000000000001)}


def signalling(dtype, n=1):
    return np.full(n, SIGNALLING[dtype]).view(dtype)


@pytest.fixture(scope="module")
def recording():
    return make_recording((("sitting", 25.0),), seed=0)[["x", "y", "z"]]


def with_signalling(recording, dtype):
    samples = recording.to_numpy().astype(dtype)
    samples.view(SIGNALLING[dtype].dtype)[500:510] = SIGNALLING[dtype]
    return samples


@pytest.mark.parametrize(
    "values", [[1e300, -1e300, 1.0, np.nan], np.array([2**200, -(2**200), 1, np.nan], object)]
)
def test_what_is_too_large_becomes_infinite(values):
    np.testing.assert_array_equal(to_float32(values), np.float32([np.inf, -np.inf, 1, np.nan]))
    assert to_float32(pd.Series(values)).dtype == np.float32


def test_no_copy_is_made_of_what_is_single():
    values = np.ones((4, 3), np.float32)
    assert to_float32(values) is values
    assert np.shares_memory(to_float32(pd.DataFrame(values, copy=False)), values)
    missing = pd.DataFrame({"x": pd.array([1.0, None], "Float64"), "y": [1, 2]})
    np.testing.assert_array_equal(to_float32(missing), np.float32([[1, 1], [np.nan, 2]]))


@pytest.mark.parametrize("dtype", SIGNALLING)
@pytest.mark.parametrize("units", ["g", "mg", "m/s2"])
def test_a_file_with_signalling_nan_is_read(tmp_path, recording, dtype, units):
    scale = {"g": 1.0, "mg": 1000.0, "m/s2": 9.80665}[units]
    samples = with_signalling(recording * scale, dtype)
    np.savez(tmp_path / "r.npz", time_ns=recording.index.asi8, acc=samples)
    read, info = read_recording(tmp_path / "r.npz", units=units)
    assert info["warnings"] == []
    assert np.isnan(read.to_numpy()[500:510]).all()
    assert np.isfinite(np.delete(read.to_numpy(), np.s_[500:510], axis=0)).all()


@pytest.mark.parametrize("dtype", SIGNALLING)
def test_signalling_nan_in_memory_is_one_that_is_not_usable(recording, dtype):
    samples = with_signalling(recording, dtype)
    frame = pd.DataFrame(samples, recording.index, recording.columns)
    assert len(cut_windows(frame).windows) == 2
    window = samples[np.newaxis, :1000]
    features = FeatureExtractor().fit_transform(window)
    quiet = np.where(np.isnan(window), np.nan, window)
    np.testing.assert_array_equal(features, FeatureExtractor().fit_transform(quiet))
