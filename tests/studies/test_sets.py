import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from patchtst_har.errors import DataError
from studies.folds import fold_people, load_features, of_people
from studies.prepare import main as prepare
from studies.sets import ACTIVITIES, SIX_CLASSES, open_set, ordered
from study_recordings import write_study_recordings


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    write_study_recordings(root / "data", n_people=6, bout_s=21.0)
    prepare([str(root / "data"), str(root / "prepared"), "--set", "nine", "--set", "six"])
    return root / "prepared"


def test_nine_classes_are_those_of_selfback(prepared):
    dataset = open_set("nine", prepared)
    assert dataset.participants == tuple(f"selfback-P{number:03d}" for number in range(1, 7))
    assert len(dataset.classes) == 9
    windows = dataset.load("selfback-P001")
    # Two windows of 10 s in each bout of 21 s, none across a pause.
    assert windows.windows.shape == (18, 1000, 3)
    assert {name: (windows.labels == name).sum() for name in dataset.classes} == dict.fromkeys(
        dataset.classes, 2
    )


def test_classes_are_shipped_from_lying_to_running():
    six = ("lying", "sitting", "standing", "walking", "stairs", "running")
    assert ordered("six", sorted(six)) == six
    assert ordered("nine", sorted(ACTIVITIES["selfback"])) == ACTIVITIES["selfback"]


def test_six_classes_join_both_sources_without_kicking(prepared):
    dataset = open_set("six", prepared)
    assert dataset.classes == ("lying", "running", "sitting", "stairs", "standing", "walking")
    assert set(dataset.classes) == {name for name in SIX_CLASSES.values() if name}
    assert [name for name in dataset.participants if name.startswith("wisdm-")] == [
        f"wisdm-W{number:03d}" for number in range(1, 7)
    ]
    labels = dataset.load("wisdm-W001").labels
    assert sorted(set(labels)) == ["running", "sitting", "stairs", "standing", "walking"]
    assert len(labels) == 10


def test_every_fold_holds_people_of_both_sources_and_everybody_is_in_one(prepared):
    folds = fold_people("six", prepared)
    assert len(folds.test) == 5
    assert sorted(sum(folds.test, ())) == sorted(open_set("six", prepared).participants)
    for fold, people in enumerate(folds.test):
        assert {name.partition("-")[0] for name in people} == {"selfback", "wisdm"}
        assert set(folds.train(fold)) == set(folds.people) - set(people)


def test_folds_are_those_of_group_k_fold(prepared):
    people = open_set("nine", prepared).participants
    groups = np.repeat(people, 18)
    expected = [set(groups[test]) for _, test in GroupKFold(5).split(groups, groups=groups)]
    assert [set(fold) for fold in fold_people("nine", prepared).test] == expected


def test_overlapping_windows_are_cut_from_the_joined_signal(prepared):
    people = ["selfback-P002", "selfback-P001"]
    apart = load_features("nine", prepared, people)
    overlapping = load_features("nine", prepared, people, hop_s=2.5)
    # Two windows of a bout are 20 s, in which five begin every 2.5 s.
    assert (len(apart), len(overlapping)) == (36, 90)
    assert apart.stats.shape[1] == overlapping.stats.shape[1] == 227
    first = of_people(overlapping, ["selfback-P002"]).windows
    joined = apart.windows[:2].reshape(-1, 3)
    np.testing.assert_array_equal(first[1], joined[250:1250])
    assert (np.diff(overlapping.start_ns[:5]) == 2_500_000_000).all()


def test_a_set_that_was_not_prepared_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nine: no such folder; make it with python -m studies.prepare"):
        open_set("nine", tmp_path)


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(DataError, match="selfback_wrist"):
        prepare([str(tmp_path), str(tmp_path / "out"), "--set", "nine"])
