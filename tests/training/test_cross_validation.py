import pytest

from experiments import small_config
from patchtst_har.config import DataConfig, TrainingConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.records.reading import read_record
from patchtst_har.records.run import CrossValidation
from patchtst_har.training import PatchTSTTrainer, cross_validate


@pytest.mark.trains
def test_every_participant_is_held_out_once(prepared, tmp_path):
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, fold=1, val_n=1)
    training = TrainingConfig(epochs=4, lr=3e-3, n_threads=1)
    config = small_config(prepared, output_dir=tmp_path, data=data, training=training)
    trainer = PatchTSTTrainer(config)
    trainer.train()
    scores = cross_validate(config, done=trainer, baselines=("majority", "forest", "forest-topology"))

    assert [fold.fold for fold in scores.folds] == [0, 1, 2]
    tested = [name for fold in scores.folds for name in fold.test]
    assert sorted(tested) == ["P01", "P02", "P03", "P04", "P05", "P06"]
    assert [row.participant for row in scores.raw.per_participant.scores] == sorted(tested)
    assert scores.raw.macro_f1 > 0.8
    assert list(scores.baselines) == [
        "majority class",
        "random forest, 56 statistical features",
        "random forest, 56 statistical and 24 topological features",
    ]
    majority, forest, with_topology = scores.baselines.values()
    assert forest.macro_f1 > 0.9
    assert with_topology.macro_f1 > 0.9
    # Three classes of as many windows.
    assert majority.accuracy == pytest.approx(1 / 3)
    gain = majority.model_minus_baseline.macro_f1
    assert gain.estimate == pytest.approx(scores.raw.macro_f1 - majority.macro_f1)
    assert gain.low <= gain.estimate <= gain.high
    assert read_record(config.run_dir / "cross_validation.json", CrossValidation) == scores
    # The fold that was already trained is not trained again.
    assert sorted(path.name for path in (config.run_dir / "folds").iterdir()) == ["fold_0", "fold_2"]


@pytest.mark.trains
def test_an_interrupted_cross_validation_goes_on(prepared, tmp_path):
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, val_n=1)
    training = TrainingConfig(epochs=2, lr=3e-3, n_threads=1)
    whole = small_config(prepared, output_dir=tmp_path / "whole", data=data, training=training)
    expected = cross_validate(whole, baselines=())

    cut = small_config(prepared, output_dir=tmp_path / "cut", data=data, training=training)

    def interrupt(done: int, total: int, what: str) -> None:
        if what == "training, fold 1" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(cut, baselines=(), on_progress=interrupt)
    with pytest.raises(DataError, match="already holds a run"):
        cross_validate(cut, baselines=())
    assert cross_validate(cut, resume=True, baselines=()) == expected


def test_another_split_is_refused(prepared, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.split: cross-validation needs kfold, is counts"):
        cross_validate(small_config(prepared, output_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
