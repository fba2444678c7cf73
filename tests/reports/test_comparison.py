import re

import pytest

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.records.stored_run import StoredRun
from patchtst_har.reports.comparison import Comparison, write_comparison
from run_folders import PEOPLE, write_run

pytestmark = pytest.mark.draws


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs: two on the same people, one that shares nobody with them. Do not change their files."""
    root = tmp_path_factory.mktemp("runs")
    # Where a copy of the record goes is no setting that matters.
    slow = ExperimentConfig(experiment_name="slow", training={"lr": 1e-4}, tracking={"mlflow": "m.db"})
    folders = (
        write_run(root / "fast", right=0.5),
        write_run(root / "slow & <b>", right=0.9, seed=1, config=slow),
        write_run(root / "others", people=("P21", "P22"), fingerprint=None, n_epochs=5),
    )
    return [StoredRun.open(folder) for folder in folders]


def test_what_differs_is_listed_and_nothing_else(runs):
    comparison = Comparison.of(runs)
    assert comparison.settings == [("training.lr", ["0.001", "0.0001", "0.001"])]
    # The load of a machine says nothing of a run.
    assert comparison.environment == []
    scores = dict(comparison.scores)
    assert scores["Scored on (participants)"] == ["8 test", "8 test", "2 test"]
    assert scores["macro F1, as predicted"][0] == f"{runs[0].final['final_macro_f1']:.3f}"
    assert [paired.label for paired in comparison.paired] == ["slow & <b>", "others"]
    assert comparison.paired[1].pairing is None


def test_the_page_has_every_number(runs, tmp_path, parse_lone_page):
    comparison = Comparison.of(runs)
    path = write_comparison(comparison, tmp_path / "new" / "compare.html")
    page = parse_lone_page(path.read_text(encoding="utf-8"))
    pairing = comparison.paired[0].pairing
    text = page.sections["differences"]
    assert "slow & <b> minus fast" in text
    gain = pairing.pooled["raw"].macro_f1
    assert f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" in text
    for each in pairing.each:
        assert f"{each.participant} 40 {each.reference:.3f} {each.other:.3f} {each.difference:+.3f}" in text
    assert "Not compared: " in text
    assert "no participant is held out in both" in text
    assert "abababababab" in page.sections["runs"]
    assert "training.lr 0.001 0.0001 0.001" in page.sections["settings"]
    assert "Versions and machine are equal" in page.sections["environment"]
    assert "Macro F1 in validation" in page.sections["learning"]


def test_runs_lead_to_their_reports(tmp_path):
    folders = [write_run(tmp_path / "my runs" / name, people=PEOPLE[:2]) for name in "ab"]
    (folders[1] / "report.html").write_text("<p>")
    page = write_comparison(Comparison.of(list(map(StoredRun.open, folders))), tmp_path / "pages" / "c.html")
    assert re.findall('href="([^#"]+)"', page.read_text()) == ["../my%20runs/b/report.html"]


def test_a_run_without_epochs_is_compared_too(tmp_path, parse_lone_page):
    folders = [write_run(tmp_path / name, people=PEOPLE[:2]) for name in "ab"]
    (folders[1] / "metrics.jsonl").unlink()
    runs = [StoredRun.open(folder) for folder in folders]
    page = parse_lone_page(write_comparison(Comparison.of(runs), tmp_path / "page.html").read_text())
    assert "Learning curves of a, b" in (tmp_path / "page.html").read_text()
    assert "0 of 30" in page.sections["runs"]


def test_damaged_files_are_refused_and_no_page_is_written(tmp_path):
    folders = [write_run(tmp_path / name, people=PEOPLE[:2]) for name in "ab"]
    (folders[0] / "metrics.jsonl").write_text("{")
    runs = [StoredRun.open(folder) for folder in folders]
    with pytest.raises(DataError, match=r"a/metrics\.jsonl: line 1: not JSON"):
        write_comparison(Comparison.of(runs), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    (folders[1] / "evaluation.json").write_text("{}")
    with pytest.raises(DataError, match=r"b/evaluation\.json: classes: Field required"):
        Comparison.of([StoredRun.open(folder) for folder in folders])


def test_a_run_is_not_compared_with_itself(runs):
    for wrong in (runs[:1], [runs[0], StoredRun.open(runs[0].folder / ".." / "fast")]):
        with pytest.raises(ConfigError, match="two different runs"):
            Comparison.of(wrong)
