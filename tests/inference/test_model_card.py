"""MODEL_CARD.md shows names as they are; that it is written with every model, the tests of training see."""

import re

from patchtst_har.config import ExperimentConfig, SmoothingConfig
from patchtst_har.inference.model_card import MODEL_CARD_FILE, write_model_card
from patchtst_har.records.run import ParticipantSplit, Provenance


def test_names_are_neither_html_nor_links(tmp_path):
    split = ParticipantSplit(train=("P1",), val=("P2",), test=("P3",), fingerprint="f")
    windows = {"train": 1, "val": 1, "test": 1}
    provenance = Provenance(split=split, n_windows=windows, topology_engines={"native": 3})
    names = ("<img src=x onerror=alert(1)>", "[a](http://b)", "`code`", "walk_fast", "a & b")
    config = ExperimentConfig(smoothing=SmoothingConfig(method="none"))
    write_model_card(tmp_path, config, names, provenance, {"final_macro_f1": 0.5})
    text = (tmp_path / MODEL_CARD_FILE).read_text()
    assert "<img" not in text
    shown = r"&lt;img src=x onerror=alert(1)&gt;, \[a\](http://b), \`code\`, walk_fast, a &amp; b"
    assert f"classes: {shown}. A" in text


def test_scores_have_decimals_and_epochs_have_none(tmp_path):
    split = ParticipantSplit(train=("P1",), val=("P2",), test=("P3",), fingerprint="f")
    provenance = Provenance(split=split, n_windows={"train": 1, "val": 1, "test": 1})
    metrics = {"final_macro_f1": 0.8125, "raw_accuracy": 1.0, "best_epoch": 21.0}
    config = ExperimentConfig(smoothing=SmoothingConfig(method="none"))
    write_model_card(tmp_path, config, ("sitting", "walking"), provenance, metrics)
    card = (tmp_path / MODEL_CARD_FILE).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|$", card, re.MULTILINE))
    assert rows == {"final_macro_f1": "0.8125", "raw_accuracy": "1.0000", "best_epoch": "21"}
