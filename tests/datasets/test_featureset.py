import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.config import DataConfig, ExperimentConfig, FeatureConfig, ModelConfig, TopologyConfig
from patchtst_har.data.times import time_features
from patchtst_har.datasets import feature_cache
from patchtst_har.datasets.featureset import load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import DataError
from prepared_data import make_prepared


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    make_prepared(tmp_path, n_participants=3, bouts_per_class=1, windows_per_bout=2, window_size=300)
    return PreparedDataset.open(tmp_path)


def config_for(**data: object) -> ExperimentConfig:
    return ExperimentConfig(
        data=DataConfig(window_size=300, hop_size=300, **data),
        model=ModelConfig(window_size=300),
        features=FeatureConfig(topology=TopologyConfig(max_points=32)),
    )


def test_rows_belong_together(dataset: PreparedDataset) -> None:
    seen: list[tuple[int, int, str]] = []
    config = config_for(timezone="Asia/Tokyo")
    found = load_feature_set(dataset, ["P03", "P01"], config, on_progress=lambda *step: seen.append(step))
    assert len(found) == 12
    assert found.participants.tolist() == ["P03"] * 6 + ["P01"] * 6
    assert found.classes == dataset.classes
    assert seen == [(1, 2, "P03"), (2, 2, "P01")]
    for first, participant in ((0, "P03"), (6, "P01")):
        person = dataset.load(participant)
        rows = slice(first, first + 6)
        alone = feature_cache.compute_features(person.windows, 100.0, config.features)
        np.testing.assert_array_equal(found.windows[rows], person.windows)
        np.testing.assert_array_equal(np.array(found.classes)[found.labels[rows]], person.labels)
        np.testing.assert_array_equal(found.start_ns[rows], person.start_ns)
        np.testing.assert_array_equal(found.stats[rows], alone.stats)
        np.testing.assert_array_equal(found.topo[rows], alone.topo)
        np.testing.assert_array_equal(found.times[rows], time_features(person.start_ns, "Asia/Tokyo"))
    assert {
        name: getattr(found, name).dtype for name in ("windows", "times", "stats", "topo")
    } == dict.fromkeys(("windows", "times", "stats", "topo"), np.float32)


def test_the_second_load_computes_nothing(dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_feature_set(dataset, dataset.participants, config_for())
    assert len(list((dataset.folder / "features_cache").glob("*.npz"))) == 3
    monkeypatch.setattr(feature_cache, "compute_features", None)
    second = load_feature_set(dataset, dataset.participants, config_for())
    np.testing.assert_array_equal(first.topo, second.topo)


def test_the_cache_goes_where_it_is_told(dataset: PreparedDataset, tmp_path: Path) -> None:
    config = config_for()
    config = config.replace(features=config.features.replace(cache_dir=tmp_path / "kept" / "here"))
    load_feature_set(dataset, ["P01"], config)
    assert len(list((tmp_path / "kept" / "here").glob("*.npz"))) == 1
    assert not (dataset.folder / "features_cache").exists()


def test_what_does_not_fit_is_said(dataset: PreparedDataset) -> None:
    with pytest.raises(DataError, match="no participants were asked for"):
        load_feature_set(dataset, [], config_for())
    with pytest.raises(DataError, match=r"more than once: 'P01'$"):
        load_feature_set(dataset, ["P01", "P02", "P01"], config_for())
    with pytest.raises(DataError, match="no participant 'P77'"):
        load_feature_set(dataset, ["P77"], config_for())
    with pytest.raises(DataError, match=r"P01\.npz: windows have 300 samples, data\.window_size is 1000"):
        load_feature_set(dataset, ["P01"], ExperimentConfig())


def test_data_that_was_prepared_otherwise_is_refused(dataset: PreparedDataset) -> None:
    preparation = {"sample_rate_hz": 50.0, "window_size": 300, "hop_size": 300}
    (dataset.folder / "preparation.json").write_text(json.dumps(preparation))
    reopened = PreparedDataset.open(dataset.folder)
    with pytest.raises(
        DataError, match=r"was prepared with sample_rate_hz 50\.0, data\.sample_rate_hz is 100\.0"
    ):
        load_feature_set(reopened, ["P01"], config_for())
    assert len(load_feature_set(reopened, ["P01"], config_for(sample_rate_hz=50.0))) == 6


def with_clock(dataset: PreparedDataset, clock: str) -> PreparedDataset:
    (dataset.folder / "preparation.json").write_text(json.dumps({"clock": clock}))
    return PreparedDataset.open(dataset.folder)


def test_the_clock_has_to_fit_the_zone(dataset: PreparedDataset) -> None:
    utc = with_clock(dataset, "utc")
    with pytest.raises(
        DataError, match=r"stamps are UTC; name the wearers' zone in data\.timezone"
    ) as caught:
        load_feature_set(utc, ["P01"], config_for())
    assert str(caught.value).startswith(str(dataset.folder))
    assert len(load_feature_set(utc, ["P01"], config_for(timezone="Asia/Tokyo"))) == 6
    wall = with_clock(dataset, "wall")
    with pytest.raises(DataError, match=r"wall-clock time already; data\.timezone must be empty"):
        load_feature_set(wall, ["P01"], config_for(timezone="Asia/Tokyo"))
    assert len(load_feature_set(wall, ["P01"], config_for())) == 6


def test_without_the_time_of_day_no_zone_is_needed(dataset: PreparedDataset) -> None:
    config = config_for()
    config = config.replace(model=config.model.replace(n_time_features=0))
    assert len(load_feature_set(with_clock(dataset, "utc"), ["P01"], config)) == 6


def test_an_unknown_zone_is_found_before_features_are_computed(
    dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "compute_features", None)
    with pytest.raises(DataError, match="timezone 'Europe/Lundon' is not an IANA zone"):
        load_feature_set(dataset, ["P01"], config_for(timezone="Europe/Lundon"))


def test_arrays_of_different_lengths_are_refused(dataset: PreparedDataset) -> None:
    found = load_feature_set(dataset, ["P01"], config_for())
    with pytest.raises(DataError, match="topo has 5 rows, but there are 6 windows"):
        replace(found, topo=found.topo[:5])


@pytest.mark.spawns
def test_the_data_modules_do_not_import_torch() -> None:
    code = (
        "import sys, patchtst_har.data as data; assert 'pandas' not in sys.modules;"
        "[getattr(data, name) for name in data.__all__];"
        "assert 'torch' not in sys.modules; assert 'seglearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_refused() -> None:
    import patchtst_har.data

    assert set(patchtst_har.data.__all__) <= set(dir(patchtst_har.data))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        patchtst_har.data.nonsense  # noqa: B018
