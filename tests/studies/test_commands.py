"""The commands on a few simulated people, from recordings to scores and models."""

import json
import shutil
from argparse import Namespace

import numpy as np
import pytest

from patchtst_har import Recognizer, cpu_info
from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import confusion_counts
from patchtst_har.evaluation.metrics import score_pooled
from patchtst_har.model_folder import read_model_folder, read_provenance
from patchtst_har.pretrained import find_model, read_summary
from studies import (
    adaptation,
    baselines,
    cards,
    cross_validate,
    decision_time,
    familiar,
    fine_tune,
    folds,
    robustness,
    unfamiliar,
    wrist_weights,
)
from studies.baselines import BASELINES
from studies.changes import CHANGES
from studies.cross_validate import Study, read_folds
from studies.out_of_fold import OutOfFold
from studies.prepare import main as prepare
from studies.recipes import study_config
from studies.sets import ordered
from study_recordings import write_study_recordings

pytestmark = pytest.mark.trains

SHORT = ("--set-option", "training.epochs=1", "--set-option", "training.batch_size=32")


@pytest.fixture(scope="module")
def few():
    """Two folds, small forests and no MiniRocket, whose compilation takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "N_FOLDS", 2)
        patch.setattr(baselines, "_N_TREES", 10)
        patch.delitem(BASELINES, "minirocket")
        yield


@pytest.fixture(scope="module")
def root(few, tmp_path_factory):
    """Folder with `data`, `prepared` and `runs`: nine classes, label `tiny`, two folds."""
    root = tmp_path_factory.mktemp("studies")
    write_study_recordings(root / "data", n_people=4)
    prepare([str(root / "data"), str(root / "prepared"), "--set", "nine", "--set", "six"])
    cross_validate.main(
        [*places(root), "--set", "nine", "--recipe", "small", "--baselines", "--label", "tiny", *SHORT]
    )
    return root


@pytest.fixture
def study(root):
    return Study("nine", root / "prepared", root / "runs")


def places(root):
    return [str(root / "prepared"), str(root / "runs")]


def macro_f1(windows):
    decided = windows.probabilities.argmax(axis=1)
    return score_pooled(confusion_counts(windows.labels, decided, len(windows.classes)))["macro_f1"]


def test_scores_are_those_of_the_windows_of_all_folds(root, study):
    scores = json.loads((root / "runs" / "nine" / "tiny.json").read_text())
    assert set(scores) == {"random-forest", "extra-trees", "tiny, seed 0"}
    windows = read_folds(study, "tiny", 0)
    assert len(windows) == 4 * 9 * 5
    assert set(windows.folds) == {0, 1}
    assert scores["tiny, seed 0"]["macro_f1"]["estimate"] == pytest.approx(macro_f1(windows))
    assert set(scores["tiny, seed 0"]["differences"]) == {"random-forest", "extra-trees"}
    assert "| tiny, seed 0 | " in (root / "runs" / "nine" / "tiny.md").read_text()
    test_people = read_provenance(root / "runs/nine/tiny/seed-0/fold-1/model")["split"]["test"]
    assert sorted(set(windows.participants[windows.folds == 1])) == test_people


def test_what_is_there_is_not_trained_again(root, monkeypatch):
    def never(*arguments, **settings):
        raise AssertionError("computed again")

    monkeypatch.setattr(cross_validate, "train", never)
    monkeypatch.setattr(cross_validate, "_judge_baseline", never)
    target = root / "runs" / "nine" / "tiny.json"
    before = target.read_bytes()
    arguments = [*places(root), "--set", "nine", "--recipe", "small", "--label", "tiny", *SHORT]
    cross_validate.main([*arguments, "--baselines"])
    assert target.read_bytes() == before
    with pytest.raises(DataError, match=r"fold-0.npz: was made with other settings"):
        cross_validate.main([*arguments, "--set-option", "training.lr=0.1"])
    cross_validate.main([*arguments, "--baselines", "--set-option", "training.lr=0.1", "--score-only"])
    assert target.read_bytes() == before


def test_trainings_are_compared_with_those_of_another_label_and_the_same_seed(root):
    arguments = [*places(root), "--set", "nine", "--recipe", "small", "--label", "tiny", "--score-only"]
    cross_validate.main([*arguments, "--against", "tiny"])
    target = root / "runs" / "nine" / "tiny.json"
    difference = json.loads(target.read_text())["tiny, seed 0"]["differences"]["tiny"]
    assert (difference["low"], difference["estimate"], difference["high"]) == (0, 0, 0)
    with pytest.raises(DataError, match=r"--against other: .*seed-0 has not all folds"):
        cross_validate.main([*arguments, "--against", "other"])


def test_a_fold_that_is_none_is_named(root):
    with pytest.raises(DataError, match="--folds: 2 is none of 0 to 1"):
        cross_validate.main([*places(root), "--set", "nine", "--recipe", "small", "--folds", "2"])


def test_unchanged_recordings_score_as_in_the_cross_validation(root, study, monkeypatch):
    for name in [name for name in CHANGES if name not in ("50 Hz", "axis x stuck")]:
        monkeypatch.delitem(robustness.CHANGES, name)
    seed, target = root / "runs" / "nine" / "tiny" / "seed-0", root / "table"
    robustness.main([str(seed), str(root / "data"), "--out", str(target)])
    rows = {row["change"]: row for row in json.loads(target.with_suffix(".json").read_text())}
    assert list(rows) == ["unchanged", "50 Hz", "axis x stuck"]
    assert rows["unchanged"]["macro_f1"]["estimate"] == pytest.approx(macro_f1(read_folds(study, "tiny", 0)))
    stuck = rows["axis x stuck"]
    assert stuck["difference"] == stuck["macro_f1"]["estimate"] - rows["unchanged"]["macro_f1"]["estimate"]
    assert "| axis x stuck | " in target.with_suffix(".md").read_text()


def test_a_folder_without_models_is_named(tmp_path):
    with pytest.raises(DataError, match="neither a model nor folders fold-K/model"):
        robustness.find_models(tmp_path)


def test_a_shipped_model_is_made_from_everybody_with_the_scores_of_the_folds(root, study, tmp_path):
    arguments = [*places(root), str(tmp_path), "--model", "wrist-9", "--label", "tiny", "--seeds", "0"]
    wrist_weights.main([*arguments, "--recipe", "small", *SHORT])
    summary = read_summary(tmp_path / "wrist-9")
    windows = read_folds(study, "tiny", 0)
    assert summary.cross_validated.macro_f1.estimate == pytest.approx(macro_f1(windows))
    assert [one.name for one in summary.cross_validated.baselines] == ["random-forest", "extra-trees"]
    assert len(read_provenance(tmp_path / "wrist-9")["split"]["train"]) == summary.n_people == 4
    assert summary.calibration.ece_before > 0
    noted = read_provenance(tmp_path / "wrist-9")["temperature"]
    assert noted["temperature"] == summary.calibration.temperature
    assert noted["fitted_on"] == "the out-of-fold windows of 1 seed"
    assert " --seeds 0 --seed 0 --set-option " in summary.made_with
    trained = read_model_folder(root / "runs/nine/tiny-everybody/seed-0/model")
    shipped = read_model_folder(tmp_path / "wrist-9")
    assert shipped.classes == summary.classes == ordered("nine", trained.classes)
    rows = [trained.classes.index(name) for name in shipped.classes]
    assert rows != sorted(rows)
    for name, tensor in trained.tensors.items():
        if name.startswith(("head.project.", "head.encoder.", "head.branch.")):
            tensor = tensor[rows]
        divisor = summary.calibration.temperature if name.startswith("head.project.") else 1.0
        np.testing.assert_allclose(shipped.tensors[name], tensor / divisor, rtol=1e-6)
    made = Recognizer.from_pretrained(tmp_path / "wrist-9")
    assert made.smoothing == "none"
    features = folds.load_features("nine", root / "prepared", study.folds.people, made.config.features)
    assert (made.judge(features)[1] < 1).mean() > 0.99
    assert made.adapt(features.windows[:9], np.array(made.classes)[features.labels[:9]]).adaptation
    assert "selfBACK" in (tmp_path / "wrist-9" / "MODEL_CARD.md").read_text()


def test_windows_of_other_sets_are_unfamiliar(root, study, capsys):
    unfamiliar.main([*places(root), "--set", "nine", "--label", "tiny", "--foreign", "six"])
    found = json.loads((root / "runs" / "nine" / "tiny-unfamiliar.json").read_text())
    own, other = found["unfamiliar"]["nine, held out"], found["unfamiliar"]["six"]
    assert len(found["factors"]) == 2
    assert own["n_windows"] == 4 * 9 * 5
    assert len(own["by_person"]) == 4
    assert 0 <= own["all"] < 1
    assert other["n_windows"] > own["n_windows"]
    assert "six: " in capsys.readouterr().out


def test_kept_probabilities_that_the_model_does_not_give_are_refused(root, study, tmp_path):
    wrist_weights.check_folds(study, "tiny", 0)
    path = study.path("tiny", 0, 1)
    before = path.read_bytes()
    kept = OutOfFold.load(path)
    OutOfFold(**{**vars(kept), "probabilities": np.roll(kept.probabilities, 1, axis=0)}).save(path, "other")
    try:
        with pytest.raises(DataError, match=r"fold-1.npz: the fold's model gives other probabilities"):
            wrist_weights.check_folds(study, "tiny", 0)
    finally:
        path.write_bytes(before)


def test_missing_folds_are_named(root, tmp_path):
    with pytest.raises(DataError, match=r"folds of seed 7 are missing; run python -m studies.cross_validate"):
        wrist_weights.main(
            [*places(root), str(tmp_path), "--model", "wrist-9", "--label", "tiny", "--seeds", "7"]
        )


def test_the_card_gives_each_way_to_wear_a_sensor_a_size_of_its_own():
    sizes = {name: -0.001 * number for number, name in enumerate(CHANGES)}
    reversed_by, other = (
        next(size for name, size in sizes.items() if word in name) for word in ("reversed", "other wrist")
    )
    assert reversed_by != other
    said = cards.worn_otherwise(sizes).what
    assert f"by {reversed_by:+.3f} on recordings of a reversed sensor and by {other:+.3f} on" in said
    assert cards.worn_otherwise({}).what.startswith("Postures are confused. Wear")


def test_the_time_of_a_decision_is_measured(capsys):
    times = decision_time.decision_times_us(Recognizer.from_pretrained("wrist"), 3)
    assert times.shape == (3,)
    assert (times > 1).all()
    with pytest.raises(SystemExit):
        decision_time.main(["wrist", "--windows", "129"])
    assert "a p95 needs 130" in capsys.readouterr().err


def test_a_decision_s_time_goes_onto_the_card(tmp_path, monkeypatch):
    folder = tmp_path / "wrist"
    shutil.copytree(find_model("wrist"), folder)
    monkeypatch.setattr(decision_time, "decision_times_us", lambda *arguments: np.full(130, 123.0))
    for machine in ("a machine", "another machine"):
        decision_time.main([str(folder), "--windows", "130", "--card", machine])
    isa = cpu_info()["active"]
    (one,) = [one for one in read_summary(folder).latency if one.instruction_set == isa]
    assert (one.p50_ms, one.p95_ms) == (0.123, 0.123)
    assert one.machine == "another machine; processor time, 130 windows"
    assert "| another machine; processor time, 130 windows |" in (folder / "MODEL_CARD.md").read_text()
    (folder / "summary.json").unlink()
    with pytest.raises(DataError, match="has no summary, so there is no card to write"):
        decision_time.main([str(folder), "--windows", "130", "--card", "a machine"])


def test_bouts_are_numbered_within_a_class(root):
    windows = folds.load_features("six", root / "prepared", ["selfback-P001"])
    bouts = adaptation.bouts_by_class(windows)
    walking, stairs, lying = (
        bouts[windows.labels == windows.classes.index(n)] for n in ("walking", "stairs", "lying")
    )
    assert walking.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert stairs.tolist() == [0] * 5 + [1] * 5
    assert lying.tolist() == [0] * 5
    labelled = adaptation.labelled_rows(windows, bouts)
    judged = adaptation.judged_rows(windows, labelled, bouts)
    assert len(labelled) == 3 * 6
    assert len(judged["within"]) == 45 - 18
    assert set(windows.labels[judged["across"]]) == {windows.classes.index(n) for n in ("walking", "stairs")}
    assert len(judged["across"]) == 15


def test_a_person_s_labels_are_scored_before_and_after(root):
    adaptation.main([*places(root), "--set", "nine", "--label", "tiny"])
    scores = json.loads((root / "runs" / "nine" / "tiny-adapted.json").read_text())
    # A class has one bout here.
    assert list(scores) == ["within bouts, before", "within bouts, 30 s a class"]
    before, after = scores.values()
    assert before["n_windows"] == after["n_windows"] == 4 * 9 * 2
    assert after["macro_f1"]["estimate"] > before["macro_f1"]["estimate"]
    some = ("--only", "lying", "jogging", "--seconds", "20")
    adaptation.main([*places(root), "--set", "nine", "--label", "tiny", *some])
    scores = json.loads((root / "runs" / "nine" / "tiny-adapted-lying-jogging.json").read_text())
    assert list(scores) == ["within bouts, before", "within bouts, 20 s a class"]
    assert scores["within bouts, before"]["n_windows"] == 4 * (9 * 5 - 2 * 2)
    with pytest.raises(DataError, match="--only: 'swimming' is none of"):
        adaptation.main([*places(root), "--set", "nine", "--label", "tiny", "--only", "swimming"])
    with pytest.raises(DataError, match="--seconds: must be at least a window of 10 s, is 3"):
        adaptation.main([*places(root), "--set", "nine", "--label", "tiny", "--seconds", "3"])


def test_classes_of_few_people_are_left_out(study):
    windows = read_folds(study, "tiny", 0)
    lying = windows.labels == windows.classes.index("lying")
    rare = windows.take(~lying | (windows.participants <= "selfback-P002"))
    assert set(adaptation.of_many(rare).labels) == {*range(9)} - {windows.classes.index("lying")}
    assert len(adaptation.of_many(windows)) == len(windows)


def test_the_unit_of_distances_comes_from_people_who_were_held_out(root, study):
    recognizer = Recognizer.from_pretrained(study.path("tiny", 0, 0).with_suffix("") / "model")
    train, test = (
        folds.load_features("nine", root / "prepared", people, recognizer.config.features)
        for people in (study.folds.train(0), study.folds.test[0])
    )
    factor = familiar.farther(recognizer, train, test)
    assert factor > 1
    known = familiar.fit_on_training(recognizer, train)
    own, held_out = (recognizer.embed(part)[1] for part in (train, test))
    assert (known.distances(own) <= 1).mean() == pytest.approx(0.99, abs=0.01)
    assert (known.distances(held_out) <= 1).mean() < 0.9
    mended = familiar.rescaled(known, [factor / 2, factor * 2])
    assert (mended.distances(held_out) <= 1).mean() == pytest.approx(0.99, abs=0.01)


def test_more_people_train_besides_fewer_and_none_of_the_encoder_s(root):
    people = [f"selfback-P{number:03d}" for number in range(20)]
    few, others = fine_tune.pick(people, 5, seed=3)
    more, _ = fine_tune.pick(people, 10, seed=3)
    assert len(few) == 5
    assert set(few) < set(more)
    assert sorted((*few, *others)) == people


@pytest.mark.parametrize("kind", fine_tune.ENCODERS)
def test_nobody_who_is_tuned_on_or_judged_trained_the_encoder(root, study, kind):
    one = ["--recipe", "small", "--sizes", "1", "--folds", "0", "--encoder", kind]
    fine_tune.main([*places(root), *one, *SHORT])
    tuned = read_provenance(study.path(f"tuned-{kind}-full-1", 0, 0).with_suffix("") / "model")
    run_dir = root / f"runs/six/{kind}-encoder-without-1/seed-0/fold-0"
    encoder = read_provenance(run_dir / "model")
    assert tuned["init"]["name"] == "fold-0"
    assert (encoder.get("pretraining") is not None) == (kind == "masked")
    assert (len(tuned["split"]["train"]), len(encoder["split"]["train"])) == (1, 5)
    assert not {*tuned["split"]["train"], *tuned["split"]["test"]} & {*encoder["split"]["train"]}
    # The other fold is missing, so nothing is scored.
    assert not (root / "runs" / "nine" / f"fine-tune-{kind}-full.json").exists()
    people = encoder["split"]["train"]
    config = study_config(
        "small", root / "prepared" / "six", train=people, run_dir=run_dir, overrides=SHORT[1::2]
    )
    before = (run_dir / "model" / "config.json").stat().st_mtime_ns
    assert fine_tune.ENCODERS[kind](config) == run_dir / "model"
    assert (run_dir / "model" / "config.json").stat().st_mtime_ns == before, "trained again"
    with pytest.raises(DataError, match="of another configuration; use --overwrite"):
        fine_tune.ENCODERS[kind](config.replace(seed=1))


def test_an_encoder_is_compared_with_training_from_scratch(study, monkeypatch):
    whole = read_folds(study, "tiny", 0)
    monkeypatch.setattr(fine_tune, "read_folds", lambda study, label, seed: whole)
    options = Namespace(encoder="labelled", fine_tune="full", seed=0)
    scores = fine_tune.scores_of(study, [5], options)
    assert list(scores) == ["5 people, from scratch", "5 people, from the encoder"]
    assert scores["5 people, from the encoder"].differences["from scratch"].estimate == 0
