import json

import pytest

from experiments import small_config
from patchtst_har.config import DataConfig, ExperimentConfig, SmoothingConfig, TrainingConfig
from patchtst_har.errors import ConfigError
from patchtst_har.records.reading import read_record
from patchtst_har.records.run import Ablation
from patchtst_har.training.ablation import ablate, arm_configs

INPUTS = ("n_stat_features", "n_topo_features", "n_time_features")


def folds_of(prepared, **changes) -> ExperimentConfig:
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=2, val_n=1)
    training = TrainingConfig(epochs=1, lr=3e-3, n_threads=1)
    return small_config(prepared, **{"data": data, "training": training, **changes})


def test_every_arm_adds_one_input(prepared):
    configs, left_out = arm_configs(folds_of(prepared))
    assert left_out == {}
    assert {name: tuple(getattr(one.model, part) for part in INPUTS) for name, one in configs.items()} == {
        "patches only": (0, 0, 0),
        "+ statistical features": (56, 0, 0),
        "+ topological features": (56, 24, 0),
        "+ time of day": (56, 24, 5),
    }
    assert len({one.run_dir for one in configs.values()}) == 4
    # Nothing else differs, but smoothing, which is judged on the last.
    (rest,) = {
        one.model_dump_json(exclude={"experiment_name": True, "smoothing": True, "model": set(INPUTS)})
        for one in configs.values()
    }
    assert '"groups":["statistical","topological"]' in rest
    assert [one.smoothing.method for one in configs.values()] == ["none", "none", "none", "viterbi"]


def test_a_model_with_a_branch_for_its_features_is_ablated_too(prepared):
    sections = {
        "output_dir": str(prepared / "runs"),
        "preset": "base",
        "data": {"proc_dir": str(prepared / "prepared"), "split": "kfold", "n_folds": 2, "val_n": 1},
    }
    configs, _ = arm_configs(ExperimentConfig.from_mapping(sections))
    first, second, *_ = configs.values()
    assert list(configs)[1] == "+ statistical and movement features"
    assert (first.model.features_as, first.training.heads) == ("tokens", "joint")
    assert (second.model.features_as, second.training.heads) == ("branch", "all")
    assert second.model.n_stat_features == 56 + 171
    assert first.model.stem == second.model.stem


def test_what_the_data_does_not_allow_is_left_out_with_the_reason(prepared, tmp_path):
    (tmp_path / "prepared").mkdir()
    for path in (prepared / "prepared").iterdir():
        if path.is_file():
            (tmp_path / "prepared" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "prepared" / "preparation.json").write_text(json.dumps({"clock": "utc"}))
    data = DataConfig(proc_dir=tmp_path / "prepared", split="kfold", n_folds=2, val_n=0)
    config = folds_of(prepared, data=data, smoothing=SmoothingConfig(method="none"))
    configs, left_out = arm_configs(config)
    assert list(configs)[-1] == "+ topological features"
    assert "name the wearers' zone in data.timezone" in left_out["time of day"]
    assert {one.smoothing.method for one in configs.values()} == {"none"}


def test_contradictions_are_refused(prepared):
    config = folds_of(prepared)
    with pytest.raises(ConfigError, match="needs kfold"):
        ablate(config.replace(data=config.data.replace(split="counts")))
    with pytest.raises(ConfigError, match=r"training\.init: has no meaning with --ablate"):
        ablate(config.replace(training=config.training.replace(init="wrist")))


@pytest.mark.trains
@pytest.mark.slow
def test_an_interrupted_ablation_goes_on(prepared, tmp_path):
    config = folds_of(prepared, output_dir=tmp_path / "cut")
    begun = []

    def interrupt(done: int, total: int, what: str) -> None:
        begun.append(what)
        if what == "training, fold 1, + statistical features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(config, on_progress=interrupt)
    assert not (config.run_dir / "ablation.json").exists()
    trained = []
    found = ablate(config, resume=True, on_progress=lambda done, total, what: trained.append(what))
    assert not [what for what in trained if "training" in what and "patches only" in what]
    assert [arm.name for arm in found.arms] == [*arm_configs(config)[0], "+ HMM"]
    assert (found.n_folds, found.n_participants, found.n_windows) == (2, 6, 6 * 36)
    assert found.arms[0].minus_before is None
    for before, arm in zip(found.arms, found.arms[1:], strict=False):
        gain = arm.minus_before.macro_f1
        assert gain.estimate == pytest.approx(arm.macro_f1 - before.macro_f1)
        assert gain.low <= gain.estimate <= gain.high
    assert read_record(config.run_dir / "ablation.json", Ablation) == found
    assert ablate(config.replace(output_dir=tmp_path / "whole")) == found
