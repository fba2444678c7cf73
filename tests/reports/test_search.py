import pytest

from patchtst_har.records.search import SearchRecord, TrialRecord
from patchtst_har.reports.search import write_search_report

pytestmark = pytest.mark.draws


def trial(number, state="complete", score=None, **values):
    settings = {"training.lr": 0.000123456 * (number + 1), "training.betas": [0.9, 0.98]}
    return TrialRecord(number=number, state=state, score=score, **{"settings": settings, **values})


def search(*trials, best=None, importance=None, **values):
    space = {
        "training.lr": {"type": "float", "low": 0.0001, "high": 0.1, "log": True},
        "training.betas": {"choices": [[0.9, 0.98], None]},
    }
    facts = {"n_trials": 40, "pruner": "median", "sampler_seed": 3, "n_seeds": 2, "n_epochs": 16}
    people = {"train": ("P1", "P2"), "val": ("P<3>",), "data": "processed", "data_fingerprint": "ab" * 32}
    return SearchRecord(
        name="wide",
        space=space,
        trials=trials,
        best=best,
        importance=importance,
        **{**facts, **people, **values},
    )


def test_the_page_shows_what_was_tried(tmp_path, parse_lone_page):
    record = search(
        trial(0, score=0.7, epochs=((1, 0.6), (2, 0.7))),
        trial(1, "fail"),
        trial(2, score=0.75, epochs=((1, 0.7), (2, 0.75)), retry_of=1),
        trial(3, "pruned", epochs=((1, 0.1),)),
        trial(4, "pruned", reason="model.d_model (7) must be even & <b>whole</b>"),
        best=2,
        importance={"training.lr": 0.9, "training.betas": 0.1},
    )
    page = parse_lone_page(write_search_report(record, tmp_path / "tune.html").read_text(encoding="utf-8"))
    text = page.sections
    assert "0.750 best macro F1 in validation trial 2, mean of 2 seeds" in text["headline"]
    assert "1 interrupted, 1 stopped early, 1 cannot be trained; 40 asked for" in text["headline"]
    assert "training.lr 0.0003704" in text["headline"]
    assert "The score of the best of many trials is too high" in text["headline"]
    assert "best so far" in text["history"]
    assert "training.lr" in text["importance"]
    assert "90 %" in text["importance"]
    assert "Of 2 trials, importance is a rough guess" in text["importance"]
    rows = [
        text["trials"].index(row)
        for row in ("2 0.750 complete 2", "0 0.700 complete 2", "3 n/a stopped early 1")
    ]
    assert rows == sorted(rows)
    assert "Trial 4: model.d_model (7) must be even & <b>whole</b>" in text["trials"]
    assert "type float, low 0.0001, high 0.1, log True" in text["space"]
    assert "choices 0.9, 0.98 | (none)" in text["space"]
    assert "seed of the sampler: 3; 2 trainings a trial, of at most 16 epochs" in text["space"]
    assert "P<3>" in text["people"]


@pytest.mark.parametrize("trials", [(), (trial(0, "running"),), (trial(0, score=0.5),)])
def test_a_search_that_has_only_begun(tmp_path, parse_lone_page, trials):
    record = search(*trials, best=0 if trials and trials[0].score else None)
    page = parse_lone_page(write_search_report(record, tmp_path / "tune.html").read_text(encoding="utf-8"))
    assert "it needs four trials trained to the end" in page.sections["importance"]
    assert ("best macro F1 in validation" in page.sections["headline"]) == (record.best is not None)


def test_of_very_many_trials_the_best_are_shown(tmp_path, parse_lone_page):
    trials = [trial(number, score=number / 1000) for number in range(130)]
    record = search(*trials, best=129)
    page = parse_lone_page(write_search_report(record, tmp_path / "tune.html").read_text(encoding="utf-8"))
    assert "30 more stand in search.json" in page.sections["trials"]
    assert "129 0.129 complete" in page.sections["trials"]
    assert "5 0.005 complete" not in page.sections["trials"]
