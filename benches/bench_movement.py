"""Latency of the movement features per instruction set and thread count, and of numpy's way to them.

Every result is checked against the reference before it is timed.
"""

from __future__ import annotations

import numpy as np
import pytest

import numpy_movement
from measuring import Contestant, instruction_sets
from movement_reference import assert_movement_close
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    compute_movement_features,
    compute_movement_features_batch,
)

N_BATCH = 64  # as many as the fixture has


def check(window, features):
    assert_movement_close(np.asarray(features, np.float32), window, MOVEMENT_FEATURE_NAMES)


@pytest.mark.parametrize("isa", instruction_sets(), indirect=True)
def test_one_window(windows, measure, isa):
    for window in windows[:3]:
        check(window, compute_movement_features(window))
    measure(compute_movement_features, windows, rounds=1500)


@pytest.mark.parametrize("isa", instruction_sets(), indirect=True)
@pytest.mark.parametrize("n_threads", [1, 2], indirect=True)
def test_batch_of_64_per_window(windows, measure, isa, n_threads):
    def run(some):
        return compute_movement_features_batch(some, n_threads=n_threads)

    check(windows[5], run(windows)[5])
    measure(run, [windows], rounds=130, per_round=N_BATCH)


@pytest.mark.parametrize("ours", ["one window", "batch of 64"])
def test_ratios_to_numpy(windows, compare, ours):
    """One thread, in turn with numpy's version, window by window and all at once."""
    contestants = [
        Contestant(ours, compute_movement_features, windows, 32)
        if ours == "one window"
        else Contestant(ours, compute_movement_features_batch, [windows], 2, N_BATCH),
        Contestant("numpy", numpy_movement.movement_features, windows, 4)
        if ours == "one window"
        else Contestant("numpy", numpy_movement.movement_features_batch, [windows], 1, N_BATCH),
    ]
    for one in contestants:
        result = one.function(one.inputs[0])
        check(windows[0], result[0] if one.n_items > 1 else result)
    compare(contestants, rounds=40)
