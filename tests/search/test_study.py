import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.search import study
from patchtst_har.search.space import Space, with_values
from patchtst_har.search.study import Search, SearchOptions
from patchtst_har.search.trial import InnerData, score_settings
from searches import SPACE, search_config

# A process that searches as the tests do; its trials wait for a line.
WORKER = """
import sys
sys.path += sys.argv[4:]
from pathlib import Path
from patchtst_har.search import study
from patchtst_har.search.space import Space
from searches import SPACE, search_config

def score(config, n_seeds, on_epoch):
    print("trial", flush=True)
    sys.stdin.readline()
    return [config.training.lr]

study.score_settings = score
root, storage, n_trials = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = search_config(root)
options = study.SearchOptions(n_trials=n_trials, pruner="none")
study.Search(config, Space.read(SPACE, config, "a.yaml"), storage, options).run()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a small data set. Do not write into that."""
    root = tmp_path_factory.mktemp("search")
    search_config(root)
    return root


@pytest.fixture
def searching(root, tmp_path):
    """Return a search in a file of this test."""

    def search(config=None, space=SPACE, name="s.db", **options):
        config = config or search_config(root)
        asked = SearchOptions(**{"n_trials": 3, "pruner": "none", **options})
        return Search(config, Space.read(space, config, "a.yaml"), tmp_path / name, asked)

    return search


@pytest.fixture
def without_training(monkeypatch):
    """Score a trial by its learning rate, without training; epochs rise to that score."""

    def score(config, n_seeds, on_epoch):
        for epoch in range(1, config.training.epochs + 1):
            on_epoch(epoch, config.training.lr * epoch / config.training.epochs)
        return [config.training.lr] * n_seeds

    monkeypatch.setattr(study, "score_settings", score)


@pytest.fixture
def worker(root, tmp_path):
    """Start a process that works on the file of this test."""
    started = []

    def start(n_trials):
        command = [sys.executable, "-c", WORKER, str(root), str(tmp_path / "s.db"), str(n_trials), *sys.path]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **pipes)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def settings_of(search):
    return [trial.settings for trial in search.record().trials]


@pytest.mark.trains
def test_a_search_trains_scores_and_finds_the_best(searching):
    search = searching(n_trials=4, n_seeds=2)
    done = []
    search.run(lambda *progress: done.append(progress))
    assert done == [(number, 4, "trials") for number in range(1, 5)]
    record = search.record()
    assert [trial.state for trial in record.trials] == ["complete"] * 4
    assert record.best_trial.score == max(trial.score for trial in record.trials)
    for trial in record.trials:
        assert trial.score == pytest.approx(sum(trial.seeds) / 2)
        assert [epoch for epoch, _ in trial.epochs] == [1, 2]
        assert trial.settings.keys() == SPACE.keys()
    assert (len(record.train), len(record.val)) == (2, 1)
    best = search.best_config()
    assert best.experiment_name == "small-best"
    assert best.training.lr == record.best_trial.settings["training.lr"]
    assert list(best.training.betas) == record.best_trial.settings["training.betas"]
    assert (best.data.split, best.data.val_n) == ("counts", 1)
    # Again from the same configuration and seed: the same score.
    config = with_values(InnerData.of(search_config(_root_of(search))).config, record.best_trial.settings)
    assert score_settings(config, 1, lambda *_: None)[0] == pytest.approx(record.best_trial.seeds[0])


def _root_of(search):
    return search._base.output_dir.parent


@pytest.mark.trains
def test_the_people_who_test_are_never_read(root, tmp_path, monkeypatch):
    """Nor does anything depend on what their files hold."""
    loaded = set()

    def watch(name):
        read = getattr(PreparedDataset, name)

        def watched(dataset, participant, *arguments, **options):
            loaded.add(participant)
            return read(dataset, participant, *arguments, **options)

        monkeypatch.setattr(PreparedDataset, name, watched)

    watch("load")
    watch("stored")
    scores = []
    for name in ("intact", "damaged"):
        shutil.copytree(root / "prepared", tmp_path / name / "prepared")
        config = search_config(tmp_path / name)
        inner = InnerData.of(config).config.data
        people = {*inner.train_participants, *inner.val_participants}
        if name == "damaged":
            for other in {"P01", "P02", "P03", "P04", "P05"} - people:
                (tmp_path / name / "prepared" / f"{other}.npz").write_bytes(b"no archive")
        space = Space.read(SPACE, config, "a.yaml")
        search = Search(config, space, tmp_path / name / "s.db", SearchOptions(n_trials=2))
        search.run()
        record = search.record()
        assert loaded == people == {*record.train, *record.val}
        scores.append([trial.score for trial in record.trials])
    assert scores[0] == scores[1]


@pytest.mark.slow
@pytest.mark.usefixtures("without_training")
def test_a_search_repeats_and_goes_on_as_if_it_had_not_stopped(searching):
    whole = searching(name="whole.db", n_trials=12)
    whole.run()
    searching(n_trials=6).run()
    searching(n_trials=12).run()
    again = searching(n_trials=12)
    assert settings_of(again) == settings_of(whole)
    again.run()
    assert len(settings_of(again)) == 12
    other = searching(name="other.db", sampler_seed=1)
    other.run()
    assert settings_of(other) != settings_of(whole)[:3]
    lrs = [settings["training.lr"] for settings in settings_of(whole)]
    assert len(set(lrs)) == 12
    assert all(1e-4 <= lr <= 1e-1 for lr in lrs)


@pytest.mark.slow
@pytest.mark.usefixtures("without_training")
@pytest.mark.parametrize(("pruner", "stopped"), [("none", False), ("median", True), ("hyperband", True)])
def test_trials_that_are_worse_than_others_are_stopped(searching, root, pruner, stopped):
    search = searching(search_config(root, epochs=4), n_trials=12, pruner=pruner)
    search.run()
    trials = search.record().trials
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert len(trials) == 12
    assert bool(pruned) == stopped
    assert all(trial.score is None and 1 <= len(trial.epochs) <= 4 for trial in pruned)
    assert search.record().best_trial.settings["training.lr"] == max(
        trial.settings["training.lr"] for trial in trials if trial.state == "complete"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("without_training")
def test_importance_finds_the_setting_that_matters(searching):
    search = searching(n_trials=3)
    search.run()
    assert search.record().importance is None
    search = searching(n_trials=20)
    search.run()
    importance = search.record().importance
    assert sum(importance.values()) == pytest.approx(1)
    assert max(importance, key=importance.get) == "training.lr"
    assert importance["training.lr"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full"), ZeroDivisionError])
def test_a_trial_that_was_interrupted_is_tried_again(searching, without_training, monkeypatch, error):
    score, calls = study.score_settings, []

    def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return score(*arguments)

    monkeypatch.setattr(study, "score_settings", fail_once)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        searching().run()
    search = searching()
    search.run()
    trials = search.record().trials
    assert [trial.state for trial in trials] == ["complete", "fail", "complete", "complete"]
    assert trials[2].settings == trials[1].settings
    assert trials[2].retry_of == 1


@pytest.mark.spawns
@pytest.mark.usefixtures("without_training")
def test_a_trial_whose_process_was_killed_is_tried_again(searching, worker):
    process = worker(3)
    assert process.stdout.readline() == "trial\n"
    search = searching()
    assert [trial.state for trial in search.record().trials] == ["running"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    search.run()
    trials = search.record().trials
    assert [trial.state for trial in trials] == ["fail", "complete", "complete", "complete"]
    assert trials[1].settings == trials[0].settings
    assert (trials[1].retry_of, trials[2].retry_of) == (0, None)


@pytest.mark.spawns
@pytest.mark.usefixtures("without_training")
@pytest.mark.long
def test_two_processes_share_the_trials(searching, worker):
    process = worker(5)
    assert process.stdout.readline() == "trial\n"
    search = searching(n_trials=5)
    search.run()  # Ends with one trial under way elsewhere.
    assert sorted(trial.state for trial in search.record().trials) == ["complete"] * 4 + ["running"]
    process.communicate("\n", timeout=60)
    assert process.returncode == 0
    trials = search.record().trials
    assert [trial.state for trial in trials] == ["complete"] * 5
    assert len({trial.settings["training.lr"] for trial in trials}) == 5


@pytest.mark.slow
def test_settings_that_cannot_be_trained_are_recorded_and_avoided(searching, without_training, caplog):
    space = {**SPACE, "model.n_heads": {"type": "categorical", "choices": [2, 4]}}
    search = searching(space=space, n_trials=12)
    search.run()
    refused = [trial for trial in search.record().trials if trial.reason]
    assert refused
    assert all(trial.state == "pruned" and trial.score is None for trial in refused)
    assert "head_dim" in refused[0].reason
    assert f"trial {refused[0].number} cannot be trained" in caplog.text


@pytest.mark.slow
def test_a_search_without_any_score_says_why(searching, monkeypatch):
    def diverge(*_):
        raise DataError("training diverged: the loss of epoch 1 is nan; lower training.lr")

    monkeypatch.setattr(study, "score_settings", diverge)
    search = searching(n_trials=2)
    with pytest.raises(DataError, match=r"s\.db: no trial has a score; the last reason: training diverged"):
        search.run()
    assert search.best_config() is None


@pytest.mark.slow
@pytest.mark.usefixtures("without_training")
def test_another_search_under_the_same_name_is_refused(searching, root, tmp_path):
    searching().run()
    space = {**SPACE, "training.lr": {**SPACE["training.lr"], "high": 1.0}}
    with pytest.raises(ConfigError) as raised:
        searching(search_config(root, epochs=7), space, n_seeds=2)
    problems = raised.value.problems
    named = [problem.split(" with another ")[1].split(";")[0] for problem in problems]
    assert named == [
        "configuration.training.epochs (2, here 7)",
        "space.training.lr.high (0.1, here 1.0)",
        "seeds (1, here 2)",
    ]
    # Under another name, one file holds both.
    searching(search_config(root, epochs=7).replace(experiment_name="other"), space).run()
    assert len(settings_of(searching())) == 3


def test_nobody_to_validate_is_refused(searching, root):
    config = search_config(root, keep="last")
    config = config.replace(data=config.data.replace(val_n=0))
    with pytest.raises(ConfigError, match="nobody validates, so that trials cannot be scored"):
        searching(config)


def test_a_file_that_is_no_storage_is_refused_and_left_alone(searching, tmp_path):
    (tmp_path / "text.db").write_text("keep me, please: this is no database, however long it is")
    with pytest.raises(DataError, match=r"text\.db: not an SQLite database"):
        searching(name="text.db")
    assert (tmp_path / "text.db").read_text().startswith("keep me")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(DataError, match=r"other\.db: is a database of another program, not of Optuna"):
        searching(name="other.db")
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_storage_of_other_tables_is_named(searching, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "odd.db")) as odd:
        odd.execute("CREATE TABLE studies (name TEXT)")
    with pytest.raises(DataError, match=r"odd\.db: cannot be used as the storage of a search \(\w"):
        searching(name="odd.db")
