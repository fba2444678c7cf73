"""Persistence in many threads at once, and what its memory may grow to."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clouds import KINDS, cloud, random_lengths, tripartite
from patchtst_har.errors import DataError
from patchtst_har.features import (
    compute_topological_features,
    rips_persistence,
    rips_persistence_of_distances,
)
from patchtst_har.synthetic import bout as activity_signal

N_THREADS = 8
SUPPORT = Path(__file__).parents[1] / "support"


def jobs():
    """Return functions that use a thread's memory in every way, for many sizes."""
    clouds = [cloud(kind, n, 3, seed) for seed, kind in enumerate(KINDS) for n in (3, 64, 65, 130, 300)]
    matrices = [random_lengths(150, n_groups) for n_groups in (1, 2, 3)]
    names = ("sitting", "walking", "running")
    windows = [activity_signal(name, 1000, np.random.default_rng(0)) for name in names]
    return [
        *(partial(rips_persistence, points) for points in [*clouds, tripartite(99)]),
        *(partial(rips_persistence_of_distances, lengths) for lengths in matrices),
        *(partial(compute_topological_features, window) for window in windows),
    ]


def bytes_of(job):
    """Return what a function returns, an array or several, as bytes."""
    result = job()
    return b"|".join(array.tobytes() for array in (result if isinstance(result, tuple) else (result,)))


@pytest.mark.slow
def test_threads_do_not_disturb_one_another():
    work = jobs()
    expected = [bytes_of(job) for job in work]
    orders = [np.random.default_rng(seed).permutation(len(work)) for seed in range(N_THREADS)]

    def run(order):
        return [(place, bytes_of(work[place])) for place in order]

    with ThreadPoolExecutor(N_THREADS) as pool:
        for results in pool.map(run, orders):
            for place, result in results:
                assert result == expected[place]


def test_a_refusal_in_one_thread_leaves_the_others_alone():
    points = cloud("torus", 200, 4, 0)
    expected = bytes_of(partial(rips_persistence, points))

    def run(number):
        if number % 2:
            with pytest.raises(DataError, match="more than 2048 points"):
                rips_persistence(np.zeros((2049, 3)))
        return bytes_of(partial(rips_persistence, points))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(40))) == {expected}


PEAK_MEMORY = """
import sys

import numpy as np

from clouds import cloud, random_lengths, tripartite
from patchtst_har.features import rips_persistence, rips_persistence_of_distances


def megabytes(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(what))


kind, n_points = sys.argv[1], int(sys.argv[2])
if kind == "lengths":
    compute, clouds = rips_persistence_of_distances, [random_lengths(n_points, n) for n in (1, 3)]
elif kind == "tripartite":
    compute, clouds = rips_persistence, [tripartite(n_points)]
else:
    compute, clouds = rips_persistence, [cloud(kind, n_points, 3, 0)]
compute(clouds[0][:2, :2].copy() * (1 - np.eye(2)).astype(clouds[0].dtype))
before = megabytes("VmRSS")
for some in clouds:
    compute(some)
print(megabytes("VmHWM") - before)
"""


@pytest.mark.spawns
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["uniform", "sphere", "tripartite", "lengths"])
def test_490_points_need_less_than_64_megabytes_a_thread(kind):
    command = [sys.executable, "-W", "error", "-c", PEAK_MEMORY, kind, "490"]
    done = subprocess.run(command, cwd=SUPPORT, capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 64
