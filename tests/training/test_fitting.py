"""What a beginner leaves out is chosen from the prepared data set."""

import json
import shutil

import pytest

from patchtst_har.config import DataConfig, ExperimentConfig, ModelConfig, TrainingConfig
from patchtst_har.errors import ConfigError
from patchtst_har.training.fitting import fit_to_data


@pytest.fixture
def dataset(prepared, tmp_path):
    """Return a prepared data set that says how it was made."""
    folder = tmp_path / "prepared"
    shutil.copytree(prepared / "prepared", folder)
    return folder


def write(folder, hours=0.1, rate_hz=50.0, **values):
    signal = {"sample_rate_hz": rate_hz, "n_samples": round(hours * 3600 * rate_hz)}
    people = {f"P{number:02d}": {"signal": signal} for number in range(1, 7)}
    (folder / "preparation.json").write_text(json.dumps({"participants": people, **values}))


def configure(folder, *settings):
    return ExperimentConfig.from_mapping({}, [f"data.proc_dir={folder}", *settings])


def test_windows_are_as_they_were_prepared(dataset):
    write(dataset, hop_size=500, clock="wall")
    config, chosen = fit_to_data(configure(dataset))
    assert config.data.hop_size == 500
    assert config.data.proc_dir == dataset
    assert chosen == {"data.hop_size": 500, "model.n_time_features": 0}


def test_what_is_given_stays(dataset):
    write(dataset, hop_size=500, clock="wall")
    given = configure(dataset, "data.hop_size=1000", "model.n_time_features=5")
    assert fit_to_data(given) == (given, {})


@pytest.mark.parametrize(
    ("hours", "clock", "zone", "expected"),
    [
        (48, "wall", None, 5),
        (48, "utc", "Europe/Berlin", 5),
        (48, "utc", None, 0),
        (2, "wall", None, 0),
        (None, None, None, 0),
    ],
)
def test_the_hour_is_an_input_only_of_whole_days_with_a_known_clock(dataset, hours, clock, zone, expected):
    if hours is not None:
        write(dataset, hours=hours, clock=clock)
    settings = [f"data.timezone={zone}"] if zone else []
    assert fit_to_data(configure(dataset, *settings))[0].model.n_time_features == expected


def test_windows_of_another_length_fit_the_model_or_are_refused(dataset):
    write(dataset, window_size=500, hop_size=500, clock="wall")
    config, _ = fit_to_data(configure(dataset))
    assert (config.data.window_size, config.model.window_size, config.model.n_patches) == (500, 500, 5)
    write(dataset, window_size=512, hop_size=512, clock="wall")
    with pytest.raises(ConfigError, match="patch_len"):
        fit_to_data(configure(dataset))


def test_cross_validation_needs_no_split_of_ones_own(dataset):
    config, chosen = fit_to_data(configure(dataset), cross_validation=True)
    assert (config.data.split, config.data.n_folds) == ("kfold", 5)
    assert chosen["data.split"] == "kfold"
    given = configure(dataset, "data.split=kfold", "data.n_folds=2")
    assert fit_to_data(given, cross_validation=True)[0].data.n_folds == 2


def test_the_defaults_suit_a_small_study_and_a_models_own_stay():
    assert TrainingConfig().lr == 1e-3
    assert TrainingConfig().n_threads == 1
    assert (DataConfig().train_n, DataConfig().val_n) == (None, None)
    assert ModelConfig().n_time_features == 5


def test_a_stored_model_keeps_what_it_was_trained_with(tmp_path):
    """As earlier versions wrote it, with every field."""
    earlier = {
        "data": {"train_n": 80, "val_n": 20},
        "training": {"lr": 1e-4, "n_threads": 0},
        "smoothing": {"method": "viterbi"},
        "model": {"n_time_features": 5},
    }
    config = ExperimentConfig.from_mapping(earlier)
    assert (config.data.train_n, config.data.val_n, config.training.lr) == (80, 20, 1e-4)
    assert (config.smoothing.method, config.model.n_time_features) == ("viterbi", 5)


def test_training_windows_of_a_preset_overlap_whatever_their_length(dataset):
    write(dataset, window_size=200, hop_size=200, clock="wall")
    config, chosen = fit_to_data(configure(dataset, "preset=base"))
    assert chosen["training.hop_s"] == config.training.hop_s == 0.5
    assert config.model.patch_len == 200
