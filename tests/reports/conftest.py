import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from feasibility_documents import HOST, closed_loop
from patchtst_har.benchmark.topology_example import topology_example
from patchtst_har.config import ExperimentConfig, TopologyConfig
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.run import Bootstrap, HeldOutScores
from patchtst_har.reports import plots
from patchtst_har.smoothing import HMMSmoother, sequence_ids
from patchtst_har.synthetic import bout as activity_signal

HOP_S = 10
CLASSES = ("sleep", "sedentary", "light & <b>chores</b>", "walking", "bicycling")
VOID = {"meta", "br", "img", "hr", "link", "input"}
MORNING = pd.Timestamp("2026-03-02 08:00")


def person_labels(rng, n):
    """Bouts of activities with realistic lengths (windows)."""
    labels = []
    while len(labels) < n:
        k = rng.choice(5, p=[0.1, 0.35, 0.3, 0.2, 0.05])
        labels += [k] * int(rng.gamma(2.0, (40, 25, 12, 8, 15)[k]) + 1)
    return np.array(labels[:n])


@pytest.fixture(scope="session")
def cohort():
    """Truth, probabilities and smoothed labels of twelve held-out people."""
    rng = np.random.default_rng(5)
    n, people = 900, [f"P{i:03d}" for i in range(101, 113)]
    truth = np.concatenate([person_labels(rng, n) for _ in people])
    participants = np.repeat(people, n)
    offset = np.where(np.arange(n) < 500, 0, 90)  # A pause of 15 minutes.
    start = np.tile(np.arange(n) + offset, len(people)) * HOP_S * 10**9 + MORNING.as_unit("ns").value
    skill = np.repeat(rng.uniform(0.7, 2.4, len(people)), n)
    confused = np.eye(5) * 1.6 + np.eye(5, k=1) * 0.5 + np.eye(5, k=-1) * 0.5
    logits = skill[:, None] * confused[truth] + rng.gumbel(size=(truth.size, 5)) * 0.8
    probabilities = np.exp(1.6 * logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    sequences = sequence_ids(participants, start, hop_s=HOP_S, max_gap_s=1)
    smoother = HMMSmoother(5, hop_s=HOP_S).fit(truth, probabilities, sequences)
    return {
        "participants": participants,
        "start": start,
        "truth": truth,
        "probabilities": probabilities,
        "raw": probabilities.argmax(axis=1),
        "smoothed": smoother.predict(probabilities, sequences),
        "posterior": smoother.predict_proba(probabilities, sequences),
        "sequences": sequences,
    }


@pytest.fixture(scope="session")
def scores(cohort):
    common = {"classes": CLASSES, "participants": cohort["participants"], "sequences": cohort["sequences"]}
    people = (cohort["participants"], len(CLASSES))
    truth = cohort["truth"]
    raw, smoothed = cohort["raw"], cohort["smoothed"]
    scores = HeldOutScores(
        classes=CLASSES,
        raw=evaluate(truth, raw, probabilities=cohort["probabilities"], **common),
        smoothed=evaluate(truth, smoothed, probabilities=cohort["posterior"], **common),
        bootstrap=Bootstrap(
            raw=bootstrap_intervals(truth, raw, *people),
            smoothed=bootstrap_intervals(truth, smoothed, *people),
            smoothed_minus_raw=bootstrap_intervals(truth, smoothed, *people, other=raw),
        ),
    )
    return scores.to_json()


@pytest.fixture(scope="session")
def latency():
    """The content of `latency.json` of 1000 windows."""
    loop = closed_loop(np.random.default_rng(1), 400.0, 1000, 10)
    return {
        "warm_up": 50,
        "hop_s": float(HOP_S),
        "smoothing": "filter",
        "closed_loop": loop,
        "feasible": True,
        "verdict": "Feasible in real time on this machine: none of 1000 windows missed the 10 s hop.",
        "host": HOST,
    }


@pytest.fixture(scope="session")
def topology():
    """A window of steps, and what becomes of it."""
    window = activity_signal("walking", 1000, np.random.default_rng(3))
    return topology_example(window, 100.0, TopologyConfig(max_points=64), "walking", "P101")


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def run_dir(tmp_path, complete_run):
    """A copy of the complete run."""
    return shutil.copytree(complete_run, tmp_path / "run-1")


@pytest.fixture(scope="session")
def complete_run(tmp_path_factory, cohort, scores, latency, topology):
    """A complete run folder, as training, benchmarking and prediction leave it. Do not change its files."""
    run = tmp_path_factory.mktemp("complete") / "run-1"
    run.mkdir()
    ExperimentConfig(experiment_name="run-1").save(run / "config.yaml")
    write_json(run / "environment.json", {"python": "3.11.9", "torch": "2.13.0", "processor": "Example CPU"})
    (run / "experiment_summary.yaml").write_text(
        "final_metrics:\n  final_macro_f1: 0.8125\n", encoding="utf-8"
    )
    write_json(run / "params.json", {"seed": 0, "training": {"warmup_steps": 77}})
    lines = []
    for epoch in range(1, 16):
        for phase, gap in (("train", 0.0), ("val", 0.04 * epoch / 15)):
            metrics = {
                "loss": 1.5 * 0.82**epoch + 0.3 + gap * 2,
                "macro_f1": 0.72 - 0.4 * 0.75**epoch - gap,
                "accuracy": 0.8 - 0.4 * 0.75**epoch - gap,
                "lr": 1e-4,
            }
            time = f"2026-03-04T10:{epoch:02d}:00+00:00"
            lines.append(json.dumps({"phase": phase, "step": epoch, "time": time, "metrics": metrics}))
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    held_out = sorted(set(cohort["participants"]))
    split = {"train": ["P001", "P002", "P003"], "val": ["P004"], "test": held_out, "fingerprint": "3f9a" * 16}
    document = {
        **scores,
        "split": split,
        "n_windows": {"train": 2700, "val": 900, "test": len(cohort["truth"])},
        "predictions_file": "predictions.csv",
    }
    write_json(run / "evaluation.json", document)
    names = np.array(CLASSES)
    predictions = pd.DataFrame(
        {
            "participant": cohort["participants"],
            "start": pd.to_datetime(cohort["start"], unit="ns"),
            "label": names[cohort["truth"]],
            "raw": names[cohort["raw"]],
            "smoothed": names[cohort["smoothed"]],
            "probability": cohort["posterior"].max(axis=1),
        }
    )
    predictions.to_csv(run / "predictions.csv", index=False)
    folds = [
        {
            "fold": i,
            "test": held_out[3 * i : 3 * i + 3],
            "macro_f1_raw": 0.6 + i / 50,
            "macro_f1_smoothed": 0.7 + i / 50,
        }
        for i in range(4)
    ]
    forest = evaluate(cohort["truth"], cohort["raw"], classes=CLASSES, participants=cohort["participants"])
    crossed = {
        "n_folds": 4,
        **scores,
        "folds": folds,
        "baselines": {"random forest, 56 features": forest.to_json()},
    }
    write_json(run / "cross_validation.json", crossed)
    complexity = {
        "parameters": 118_213,
        "trainable_parameters": 118_213,
        "parameter_bytes_float32": 472_852,
        "buffer_bytes": 4_096,
        "flops": 1_612_800,
        "modules": [
            {"name": "", "type": "PatchTSTClassifier", "parameters": 118_213, "flops": 1_612_800},
            {"name": "embedding", "type": "PatchEmbedding", "parameters": 20_000, "flops": 336_000},
            {"name": "encoder", "type": "ModuleList", "parameters": 97_928, "flops": 1_276_240},
            {"name": "encoder.0", "type": "EncoderLayer", "parameters": 48_964, "flops": 638_120},
            {"name": "head", "type": "Linear", "parameters": 285, "flops": 560},
        ],
    }
    write_json(run / "complexity.json", complexity)
    write_json(run / "latency.json", latency)
    write_json(run / "topology.json", topology.to_json())
    return run


@pytest.fixture
def timeline():
    """Two and a half days of smoothed activities, with a gap in the second night."""
    rng = np.random.default_rng(9)
    n = 6 * 60 * 60
    labels = np.array(CLASSES)[person_labels(rng, n)]
    start = pd.date_range(MORNING, periods=n, freq="10s", unit="ns")
    frame = pd.DataFrame({"start": start, "end": start + pd.Timedelta(seconds=10), "label": labels})
    frame["probability"] = rng.beta(8, 2, n)
    night = (frame["start"] >= "2026-03-04 01:30") & (frame["start"] < "2026-03-04 05:00")
    return frame[~night].reset_index(drop=True)


class Page(HTMLParser):
    """Checks that tags balance; collects text by section, ids and links."""

    def __init__(self, html):
        super().__init__()
        self.open, self.sections, self.tags, self.ids, self.links = [], {"": ""}, set(), [], []
        self.section = ""
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.links += [attributes[k] for k in ("href", "src", "xlink:href") if k in attributes]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.sections[self.section] = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        self.sections[self.section] += " " + " ".join(data.split())


@pytest.fixture(scope="session")
def parse_lone_page(parse_page):
    """Parse an HTML page that must need nothing else: no script, no other file, no link to nowhere."""

    def parse(html):
        page = parse_page(html)
        assert not page.tags & {"script", "link", "img", "iframe", "object"}
        assert all(link.startswith("#") for link in page.links)
        assert not re.search(r"url\((?!#)|@import|\son\w+=", html)
        assert len(page.ids) == len(set(page.ids))
        assert {link[1:] for link in page.links} <= set(page.ids)
        return page

    return parse


@pytest.fixture(scope="session")
def parse_page():
    """Parse an HTML page; unbalanced tags fail."""
    return Page


@pytest.fixture
def without_drawing(monkeypatch):
    """Empty pictures, for tests that read only the text around them."""
    empty = '<svg width="1pt" height="1pt"></svg>'
    for name in set(plots.__all__) - {"plot_capacity"}:  # That one may draw nothing.
        monkeypatch.setattr(plots, name, lambda *arguments, **options: empty)
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, buffer, **options: buffer.write(empty)
    )
