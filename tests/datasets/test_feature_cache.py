import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from patchtst_har.config import N_STATISTICAL_FEATURES, FeatureConfig, TopologyConfig
from patchtst_har.datasets import feature_cache
from patchtst_har.datasets.feature_cache import FeatureCache, Features, cache_key, compute_features
from patchtst_har.features import topology

CONFIG = FeatureConfig()


@pytest.fixture
def windows() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(4, 50, 3)).astype(np.float32)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the kernels by something countable: these tests are about the cache."""
    made: list[int] = []

    def compute(windows: NDArray[np.float32], sample_rate_hz: float, config: FeatureConfig) -> Features:
        made.append(len(windows))
        mean = windows.mean(axis=(1, 2))[:, None]
        return Features(
            np.tile(mean, N_STATISTICAL_FEATURES),
            np.tile(mean * np.float32(2), 24),
            np.full(len(windows), "native"),
        )

    monkeypatch.setattr(feature_cache, "compute_features", compute)
    return made


def test_features_are_computed_once(tmp_path: Path, windows: NDArray[np.float32], calls: list[int]) -> None:
    first = FeatureCache(tmp_path / "cache").features(windows, 100.0, CONFIG)
    second = FeatureCache(tmp_path / "cache").features(windows.copy(), 100.0, CONFIG)
    assert calls == [4]
    np.testing.assert_array_equal(first.stats, second.stats)
    np.testing.assert_array_equal(first.topo, second.topo)
    assert second.stats.dtype == np.float32


def test_the_key_holds_all_that_matters_and_nothing_else(
    windows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = windows.copy()
    changed[3, 49, 2] = np.nextafter(changed[3, 49, 2], np.float32(9))
    keys = {
        cache_key(windows, 100.0, CONFIG),
        cache_key(changed, 100.0, CONFIG),
        cache_key(windows.reshape(2, 100, 3), 100.0, CONFIG),
        cache_key(windows, 50.0, CONFIG),
        cache_key(windows, 100.0, CONFIG.replace(topology=TopologyConfig(max_points=64))),
        cache_key(windows, 100.0, CONFIG.replace(topology=TopologyConfig(engine="ripser"))),
        cache_key(windows, 100.0, CONFIG.replace(topology=TopologyConfig(on_error="fallback"))),
        cache_key(windows, 100.0, CONFIG.replace(plugins=("hjorth",))),
        cache_key(windows, 100.0, CONFIG.replace(groups=("statistical", "movement"))),
    }
    for name, value in (("FEATURE_VERSION", 99), ("__version__", "99")):
        with monkeypatch.context() as patch:
            patch.setattr(feature_cache, name, value)
            keys.add(cache_key(windows, 100.0, CONFIG))
    assert len(keys) == 11
    irrelevant = CONFIG.replace(n_threads=4, cache_dir=Path("elsewhere"))
    assert cache_key(windows, 100.0, irrelevant) == cache_key(windows, 100.0, CONFIG)
    strided = np.repeat(windows, 2, axis=0)[::2]
    assert cache_key(strided, 100.0, CONFIG) == cache_key(windows, 100.0, CONFIG)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def wrong_shape(path: Path) -> None:
    np.savez(path, stats=np.zeros((4, 55), np.float32), topo=np.zeros((4, 24), np.float32))


def not_finite(path: Path) -> None:
    np.savez(
        path,
        stats=np.full((4, N_STATISTICAL_FEATURES), np.nan, np.float32),
        topo=np.zeros((4, 24), np.float32),
    )


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, wrong_shape, not_finite, empty])
def test_a_damaged_entry_is_logged_and_replaced(
    tmp_path: Path,
    windows: NDArray[np.float32],
    calls: list[int],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    cache = FeatureCache(tmp_path)
    good = cache.features(windows, 100.0, CONFIG)
    (entry,) = tmp_path.glob("*.npz")
    whole = entry.read_bytes()
    damage(entry)
    with caplog.at_level(logging.WARNING):
        again = cache.features(windows, 100.0, CONFIG)
    assert [record.getMessage() for record in caplog.records if entry.name in record.getMessage()]
    assert calls == [4, 4]
    np.testing.assert_array_equal(again.stats, good.stats)
    assert entry.read_bytes() == whole
    cache.features(windows, 100.0, CONFIG)
    assert calls == [4, 4]


def test_concurrent_writers_leave_one_whole_entry(
    tmp_path: Path, windows: NDArray[np.float32], calls: list[int]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(FeatureCache(tmp_path).features, windows, 100.0, CONFIG) for _ in range(12)]
        found = [job.result() for job in jobs]
    assert len({features.stats.tobytes() for features in found}) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a part of this path is a file"):
        FeatureCache(tmp_path / "file" / "cache")


def test_the_kernels_give_what_the_cache_keeps(tmp_path: Path) -> None:
    from patchtst_har import features

    signal = np.random.default_rng(1).normal(0, 0.3, (3, 1000, 3)).astype(np.float32) + np.float32([0, 0, 1])
    config = FeatureConfig(topology=TopologyConfig(max_points=48), n_threads=2)
    FeatureCache(tmp_path).features(signal, 100.0, config)
    kept = FeatureCache(tmp_path).features(signal, 100.0, config)
    np.testing.assert_array_equal(kept.stats, features.compute_statistical_features_batch(signal, 100.0))
    np.testing.assert_array_equal(
        kept.topo, features.compute_topological_features_batch(signal, 100.0, config.topology)
    )


def test_the_values_of_plug_ins_are_kept_behind_the_statistics(tmp_path: Path) -> None:
    from patchtst_har import features

    signal = np.random.default_rng(1).normal(0, 0.3, (3, 200, 3)).astype(np.float32)
    config = FeatureConfig(topology=TopologyConfig(max_points=32), plugins=("hjorth", "jerk_rms"))
    first = FeatureCache(tmp_path).features(signal, 50.0, config)
    (entry,) = tmp_path.glob("*.npz")
    stamp = entry.stat().st_mtime_ns
    kept = FeatureCache(tmp_path).features(signal, 50.0, config)
    assert entry.stat().st_mtime_ns == stamp
    expected = features.compute_extended_statistics_batch(signal, 50.0, config.plugins)
    for found in (first.stats, kept.stats):
        np.testing.assert_array_equal(found, expected)


def test_the_groups_are_those_of_the_configuration(tmp_path: Path) -> None:
    from patchtst_har import features

    signal = np.random.default_rng(1).normal(0, 0.3, (3, 200, 3)).astype(np.float32)
    config = FeatureConfig(groups=("statistical", "movement"), plugins=("jerk_rms",))
    first = FeatureCache(tmp_path).features(signal, 50.0, config)
    (entry,) = tmp_path.glob("*.npz")
    stamp = entry.stat().st_mtime_ns
    kept = FeatureCache(tmp_path).features(signal, 50.0, config)
    assert entry.stat().st_mtime_ns == stamp
    parts = [
        features.compute_statistical_features_batch(signal, 50.0),
        features.compute_movement_features_batch(signal, 50.0),
        features.compute_plugin_features_batch(signal, ["jerk_rms"], 50.0),
    ]
    for found in (first, kept):
        np.testing.assert_array_equal(found.stats, np.hstack(parts))
        assert found.topo.shape == (3, 0)
        assert set(found.topo_engines) == {feature_cache.NOT_COMPUTED}


@pytest.mark.compiles
def test_a_redefined_plug_in_has_another_key(windows: NDArray[np.float32]) -> None:
    from patchtst_har.features import register_feature, unregister_feature

    keys = set()
    for offset in (1.0, 2.0):

        def first(window: Any, sr: float) -> float:
            return window[0, 0] + offset  # noqa: B023

        register_feature("shifted", outputs=["shifted"])(first)
        keys.add(cache_key(windows, 100.0, FeatureConfig(plugins=("shifted",))))
        unregister_feature("shifted")
    assert len(keys) == 2


def test_features_that_fell_back_are_told_and_not_kept(
    tmp_path: Path, windows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    native = topology._ENGINES["native"]

    def fail(*_: object) -> tuple[float, ...]:
        raise MemoryError

    cache = FeatureCache(tmp_path / "cache")
    config = FeatureConfig(topology=TopologyConfig(on_error="fallback"))
    monkeypatch.setitem(topology._ENGINES, "native", fail)
    assert cache.features(windows, 100.0, config).topo_engines.tolist() == ["simplified"] * 4
    with pytest.raises(MemoryError):
        cache.features(windows, 100.0, CONFIG)
    monkeypatch.setitem(topology._ENGINES, "native", native)
    for _ in range(2):
        features = cache.features(windows, 100.0, config)
        assert features.topo_engines.tolist() == ["native"] * 4
        np.testing.assert_array_equal(features.topo, compute_features(windows, 100.0, CONFIG).topo)
    assert len(list(cache.folder.glob("*.npz"))) == 1
