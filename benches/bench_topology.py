"""Latency of persistence and of the 24 topological features by engine, size, threads and kind of window.

Every result is compared with another engine before it is timed; giotto-ph is measured where installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from clouds import cloud, cross_polytope, random_lengths, tripartite
from measuring import Contestant
from other_engines import OTHERS, lasting, prototype_cloud, prototype_diagrams
from patchtst_har import features
from patchtst_har.config import TopologyConfig

N_BATCH = 64
LONG = pytest.mark.bench_long
SIZES = [100, 200, 490]
SIZES_OF_HARD = [pytest.param(100, marks=LONG), 200, pytest.param(490, marks=LONG)]
ROUNDS = {"native": 700, "ripser.py": 15, "giotto-ph": 15}
WORST = ["uniform", "grid", "still", "circle", "far", "lattice", "near_ties", "sphere", "two_far"]
LARGEST = 2048
CONFIGS = {engine: TopologyConfig(engine=engine) for engine in ("native", "ripser")}


def with_other(name):
    """Return a function from points to the lasting bars that another engine finds."""

    def compute(points):
        return lasting(OTHERS[name](cdist(points, points).astype(np.float32)))

    return compute


ENGINES = {"native": features.rips_persistence} | {
    name: with_other(name) for name in ("ripser.py", "giotto-ph")
}


@pytest.fixture(params=["native", *(pytest.param(name, marks=LONG) for name in ("ripser.py", "giotto-ph"))])
def engine(request):
    if request.param not in ("native", *OTHERS):
        pytest.skip(f"{request.param} is not installed")
    return request.param


def assert_same_bars(one, other):
    for bars, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(bars, expected, rtol=1e-5)


def check(engine, points):
    """Compare the bars of an engine with those of another one."""
    other = "ripser.py" if engine == "native" else "native"
    assert_same_bars(ENGINES[engine](points), ENGINES[other](points))


@pytest.mark.parametrize("n_points", SIZES)
def test_persistence_of_a_window(windows, measure, engine, n_points):
    clouds = [prototype_cloud(window, n_points) for window in windows]
    check(engine, clouds[0])
    measure(ENGINES[engine], clouds, rounds=ROUNDS[engine])


@LONG
@pytest.mark.parametrize("n_points", SIZES)
def test_ratios_to_other_engines(windows, compare, n_points):
    """In turn on the same windows. The others get matrices of distances, whose making is not counted."""
    clouds = [prototype_cloud(window, n_points) for window in windows]
    distances = [cdist(points, points).astype(np.float32) for points in clouds]
    for name in OTHERS:
        check(name, clouds[0])
    others = (Contestant(name, engine, distances) for name, engine in OTHERS.items())
    compare([Contestant("native", features.rips_persistence, clouds), *others], rounds=len(windows))


@LONG
def test_ratio_of_the_prototype_to_the_features(windows, compare):
    contestants = {"24 features": features.compute_topological_features, "prototype": prototype_diagrams}
    compare([Contestant(name, way, windows) for name, way in contestants.items()], rounds=len(windows))


@pytest.mark.parametrize("kind", WORST)
@pytest.mark.parametrize("n_points", SIZES_OF_HARD)
def test_persistence_of_a_hard_cloud(measure, kind, n_points):
    clouds = [cloud(kind, n_points, 3, seed) for seed in range(8)]
    check("native", clouds[0])
    measure(features.rips_persistence, clouds, rounds=700)


@LONG
@pytest.mark.parametrize("kind", WORST)
def test_persistence_of_the_largest_cloud(measure, kind):
    check("native", cloud(kind, 200, 3, 0))
    measure(features.rips_persistence, [cloud(kind, LARGEST, 3, 0)], rounds=5)


@pytest.mark.parametrize("make", [tripartite, cross_polytope])
@pytest.mark.parametrize("n_points", SIZES_OF_HARD)
def test_persistence_of_many_long_boundaries(measure, make, n_points):
    # ripser needs minutes for the larger ones.
    check("native", make(100))
    measure(features.rips_persistence, [make(n_points)], rounds=130)


@LONG
@pytest.mark.parametrize("n_groups", [1, 2, 3])
@pytest.mark.parametrize("n_points", SIZES)
def test_persistence_of_random_lengths(measure, n_groups, n_points):
    lengths = random_lengths(70, n_groups)
    assert_same_bars(features.rips_persistence_of_distances(lengths), lasting(OTHERS["ripser.py"](lengths)))
    measure(features.rips_persistence_of_distances, [random_lengths(n_points, n_groups)], rounds=5)


@LONG
def test_prototype_one_window(windows, measure):
    points = prototype_cloud(windows[0], 490)
    # It computes distances by a formula that cancels: ties are lost, and bars appear that last no longer.
    noise = 1e-3 * np.ptp(points)
    ours = features.rips_persistence(points)
    for bars, expected in zip(lasting(prototype_diagrams(windows[0])), ours, strict=True):
        long, expected_long = ((some[:, 1] - some[:, 0] > 0.1 * np.ptp(points)) for some in (bars, expected))
        np.testing.assert_allclose(bars[long], expected[expected_long], atol=noise)
    measure(prototype_diagrams, windows, rounds=15)


@pytest.mark.parametrize("name", ["native", pytest.param("ripser", marks=LONG)])
def test_features_one_window(windows, measure, name):
    some, other = windows[:8], "ripser" if name == "native" else "native"
    np.testing.assert_allclose(
        features.compute_topological_features_batch(some, 100.0, CONFIGS[name]),
        features.compute_topological_features_batch(some, 100.0, CONFIGS[other]),
        rtol=1e-5,
        atol=1e-6,
    )

    def run(window):
        return features.compute_topological_features(window, 100.0, CONFIGS[name])

    measure(run, windows, rounds=2000 if name == "native" else 100)


@pytest.mark.parametrize("n_threads", [1, 2], indirect=True)
def test_batch_of_64_per_window(windows, measure, n_threads):
    out = np.empty((N_BATCH, 24), np.float32)

    def run(some):
        return features.compute_topological_features_batch(some, n_threads=n_threads, out=out)

    np.testing.assert_array_equal(run(windows)[5], features.compute_topological_features(windows[5]))
    measure(run, [windows], rounds=130, per_round=N_BATCH)


def test_simplified_batch_of_64_per_window(windows, measure):
    simplified = features.compute_simplified_topological_features(windows)
    np.testing.assert_allclose(simplified[:, 22], np.ptp(np.linalg.norm(windows, axis=2), axis=1), rtol=1e-5)
    measure(features.compute_simplified_topological_features, [windows], rounds=130, per_round=N_BATCH)
