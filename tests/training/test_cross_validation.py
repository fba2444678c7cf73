import json

import pytest

from experiments import small_config
from patchtst_har.config import DataConfig, TrainingConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.training import PatchTSTTrainer, cross_validate


@pytest.mark.trains
def test_every_person_is_held_out_once(prepared, tmp_path):
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, fold=1, val_n=1)
    training = TrainingConfig(epochs=4, lr=3e-3, n_threads=1)
    config = small_config(prepared, output_dir=tmp_path, data=data, training=training)
    trainer = PatchTSTTrainer(config)
    trainer.train()
    document = cross_validate(config, done=trainer)

    assert [fold["fold"] for fold in document["folds"]] == [0, 1, 2]
    tested = [person for fold in document["folds"] for person in fold["test"]]
    assert sorted(tested) == ["P01", "P02", "P03", "P04", "P05", "P06"]
    people = document["raw"]["per_participant"]["scores"]
    assert [person["participant"] for person in people] == sorted(tested)
    assert document["raw"]["macro_f1"] > 0.8
    (forest,) = document["baselines"].values()
    assert forest["macro_f1"] > 0.9
    assert json.loads((config.run_dir / "cross_validation.json").read_text()) == document
    # The fold that was already trained is not trained again.
    assert sorted(path.name for path in (config.run_dir / "folds").iterdir()) == ["fold_0", "fold_2"]


@pytest.mark.trains
def test_an_interrupted_cross_validation_goes_on(prepared, tmp_path):
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, val_n=1)
    training = TrainingConfig(epochs=2, lr=3e-3, n_threads=1)
    whole = small_config(prepared, output_dir=tmp_path / "whole", data=data, training=training)
    expected = cross_validate(whole)

    cut = small_config(prepared, output_dir=tmp_path / "cut", data=data, training=training)

    def interrupt(done: int, total: int, what: str) -> None:
        if what == "training, fold 1" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(cut, on_progress=interrupt)
    with pytest.raises(DataError, match="already holds a run"):
        cross_validate(cut)
    assert cross_validate(cut, resume=True) == expected


def test_another_split_is_refused(prepared, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.split: cross-validation needs kfold, is counts"):
        cross_validate(small_config(prepared, output_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
