import json
import re
import shutil

import pandas as pd
import pytest

from patchtst_har.errors import ConfigError, DataError
from patchtst_har.reports.plots.style import themed
from patchtst_har.reports.run import render_report

pytestmark = pytest.mark.draws

# Text, axes and backgrounds of pictures that do not follow the page.
NEUTRAL = re.compile("(fill|stroke): #(000000|1c2733|333333|555555|ffffff|ececec)")
OPTIONAL = (
    "environment.json",
    "params.json",
    "experiment_summary.yaml",
    "metrics.jsonl",
    "evaluation.json",
    "predictions.csv",
    "cross_validation.json",
    "complexity.json",
    "latency.json",
    "topology.json",
)


@pytest.fixture
def page_of(parse_page):
    return lambda run_dir: parse_page(render_report(run_dir).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rendered(complete_run, tmp_path_factory):
    """The report of the complete run."""
    run = shutil.copytree(complete_run, tmp_path_factory.mktemp("rendered") / "run-1")
    assert render_report(run) == run / "report.html"
    return run / "report.html"


def test_report_is_one_balanced_page_that_needs_nothing_else(rendered, parse_lone_page):
    html = rendered.read_text(encoding="utf-8")
    parse_lone_page(html)
    assert len(html) < 2_000_000


def test_every_section_has_its_numbers(rendered, parse_page):
    text, run_dir = parse_page(rendered.read_text(encoding="utf-8")).sections, rendered.parent
    document = json.loads((run_dir / "evaluation.json").read_text())
    raw, smoothed, intervals = document["raw"], document["smoothed"], document["bootstrap"]
    gain = intervals["smoothed_minus_raw"]["macro_f1"]
    latency = json.loads((run_dir / "latency.json").read_text())

    def three(value):
        return f"{value:.3f}"

    expected = {
        "headline": [
            three(raw["macro_f1"]),
            three(smoothed["macro_f1"]),
            f"{three(intervals['raw']['macro_f1']['low'])}\u2013{three(intervals['raw']['macro_f1']['high'])}",
            "The gain of {estimate:+.3f} ({low:+.3f} to {high:+.3f}) is distinguishable".format(**gain),
            f"{latency['closed_loop']['end_to_end']['p95_us']:.3g} µs",
            "Smoothing over the whole recording (hmm) is not a real-time score",
            "12 participants, too few for a narrow interval",
            latency["verdict"],
            "118,213 parameters",
        ],
        "data": ["2,700", "10,800", "3f9a3f9a", "P001, P002, P003", "nobody is in two parts"],
        "learning": ["best 0.6", "Epoch"],
        "scores": [
            three(raw["mcc"]),
            three(smoothed["transition_accuracy"]),
            three(raw["macro_f2"]),
            f"{three(raw['per_participant']['summary']['macro_f1']['mean'])} ± ",
            three(smoothed["per_participant"]["summary"]["accuracy"]["worst_decile"]),
            "must not be compared",
            f"of {raw['n_transitions']} changes",
            "2,000 resamples of 12 participants (not of windows)",
        ],
        "classes": [three(row["f1"]) for row in raw["per_class"] + smoothed["per_class"]],
        "confusion": [f"{n:,}" for row in raw["confusion"]["counts"] for n in row if n],
        "people": ["P101", "P112", three(raw["per_participant"]["scores"][3]["macro_f1"])],
        "calibration": [three(raw["calibration"][key]) for key in ("ece", "brier", "nll")],
        "timeline": [
            "annotated",
            "smoothed",
            "no data",
            "nearest to the median of the held-out participants",
        ],
        "topology": [
            "A window of walking (participant P101)",
            "Magnitude of one window of walking",
            "enclosing radius",
            "h1_life_1",
            "periodicity",
        ],
        "cross-validation": ["in 4 folds", "random forest, 56 features", "0.760"],
        "baselines": ["of every fold", "random forest, 56 features", "Windows fitted on"],
        "complexity": ["118,213", "1,612,800", "461.8 KiB", "encoder.0"],
        "latency": ["statistics", "smoothing", "overhead", "n/a", latency["verdict"], "First call"],
        "environment": ["Example CPU", "3.11.9"],
        "configuration": [
            "training.lr 0.001",
            "data.split",
            "training.warmup_steps 77",
            "final macro f1 0.8125",
        ],
    }
    assert set(expected) == set(text) - {""}
    for section, parts in expected.items():
        for part in parts:
            assert part in text[section], (section, part)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("fell_back", "said"), [({}, False), ({"simplified": 3}, True), ({"zeros": 1}, True)]
)
def test_what_computed_the_topology_is_told(run_dir, page_of, fell_back, said):
    document = json.loads((run_dir / "evaluation.json").read_text())
    document["topology_engines"] = {"native": 14_397, **fell_back}
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections["data"]
    assert "native (14,397 windows)" in text
    assert ("Some fell back" in text) == said


def test_plots_are_written_beside_the_report(rendered):
    html, run_dir = rendered.read_text(encoding="utf-8"), rendered.parent
    names = {path.stem for path in (run_dir / "plots").iterdir()}
    assert names == {
        "learning",
        "confusion",
        "participants",
        "reliability",
        "participant",
        "latency",
        "topology",
    }
    for path in (run_dir / "plots").iterdir():
        svg = path.read_text(encoding="utf-8").strip()
        assert themed(svg) in html
        assert "var(" not in svg, "a picture alone has no style sheet"
    assert not NEUTRAL.search(html), "invisible on a dark page"


@pytest.mark.usefixtures("without_drawing")
def test_names_from_the_data_are_escaped(run_dir):
    html = render_report(run_dir).read_text(encoding="utf-8")
    assert "<b>chores" not in html
    assert "light &amp; &lt;b&gt;chores" in html


def test_rendering_again_gives_the_same_bytes(rendered):
    first = rendered.read_bytes()
    assert render_report(rendered.parent).read_bytes() == first


def test_without_any_optional_file_sentences_stand_in(run_dir, page_of):
    for name in OPTIONAL:
        (run_dir / name).unlink()
    page = page_of(run_dir)
    for section in set(page.sections) - {"", "configuration"}:
        assert "not measured in this run" in page.sections[section], section
    numbers = re.findall(
        r"\d\.\d{3}", " ".join(page.sections[s] for s in page.sections if s != "configuration")
    )
    assert numbers == []


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("name", OPTIONAL)
def test_any_single_missing_file_leaves_a_whole_report(run_dir, name, page_of):
    (run_dir / name).unlink()
    assert "headline" in page_of(run_dir).sections


def test_recording_timeline_of_the_command_line_is_drawn(run_dir, timeline, page_of):
    annotated = timeline.assign(annotation=["sleep"] * 1000 + [""] * (len(timeline) - 1000))
    annotated.to_csv(run_dir / "timeline.csv", index=False)
    text = page_of(run_dir).sections["timeline"]
    assert "A whole recording of a held-out participant" in text
    assert "predicted" in text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("remove", [True, False])
def test_one_held_out_person_has_no_interval(run_dir, page_of, remove):
    document = json.loads((run_dir / "evaluation.json").read_text())
    if remove:
        del document["bootstrap"]
    else:
        for part in document["bootstrap"].values():
            part["n_participants"] = 1
            for score in ("accuracy", "macro_f1", "cohen_kappa"):
                part[score] |= {"low": None, "high": None}
    document["split"]["test"] = ["P101"]
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    (run_dir / "cross_validation.json").unlink()
    page = page_of(run_dir)
    text = page.sections
    assert "scored on 1 held-out participant" in text[""]
    assert "On 1 held-out participant the shipped model" in text["headline"]
    assert "rest on 1 participant." in text["headline"]
    assert text["headline"].count("no interval: needs several participants") == 2
    for section in ("headline", "scores"):
        remarks = text[section].replace("no interval: needs several participants", "")
        assert "distinguishable" not in remarks
        assert "interval" not in remarks.lower()


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.01, 0.05, "is distinguishable"),
        (-0.01, 0.05, "is not distinguishable"),
        (-0.05, -0.01, "makes it worse"),
    ],
)
def test_the_verdict_on_smoothing_follows_the_interval(run_dir, low, high, sentence, page_of):
    document = json.loads((run_dir / "evaluation.json").read_text())
    document["bootstrap"]["smoothed_minus_raw"]["macro_f1"] = {
        "estimate": (low + high) / 2,
        "low": low,
        "high": high,
    }
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    assert sentence in page_of(run_dir).sections["headline"]


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(("n_people", "shown"), [(5, False), (6, True)])
def test_with_few_people_no_difference_is_distinguishable(run_dir, page_of, n_people, shown):
    document = json.loads((run_dir / "evaluation.json").read_text())
    document["split"]["test"] = document["split"]["test"][:n_people]
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections["headline"]
    assert ("is distinguishable" in text) == shown
    assert ("with so few participants it cannot be distinguished from chance" in text) != shown


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(("offset", "sentence"), [(0.01, "beats the model"), (-0.01, "of the model (raw)")])
def test_a_better_baseline_is_said_in_the_headline(run_dir, page_of, offset, sentence):
    document = json.loads((run_dir / "cross_validation.json").read_text())
    baseline = document["baselines"]["random forest, 56 features"]
    baseline["macro_f1"] = document["raw"]["macro_f1"] + offset
    (run_dir / "cross_validation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections["headline"]
    assert re.search(rf"random forest, 56 features +reaches a macro F1 of {baseline['macro_f1']:.3f}", text)
    assert sentence in text


@pytest.mark.usefixtures("without_drawing")
def test_baselines_of_a_run_without_folds_are_those_of_its_test_people(run_dir, page_of):
    crossed = run_dir / "cross_validation.json"
    document = json.loads(crossed.read_text())
    (scores,) = document["baselines"].values()
    gain = {**document["bootstrap"]["raw"], "macro_f1": {"estimate": 0.125, "low": -0.0625, "high": 0.25}}
    scores |= {"n_fitted": 2700, "model_minus_baseline": gain}
    crossed.unlink()
    (run_dir / "baselines.json").write_text(json.dumps({"baselines": {"majority class": scores}}))
    sections = page_of(run_dir).sections
    for part in ("majority class", "2,700", "+0.125 (-0.062 to +0.250)"):
        assert part in sections["baselines"]
    assert "of every fold" not in sections["baselines"]
    assert "On the same participants, the baseline" in sections["headline"]


@pytest.mark.usefixtures("without_drawing")
def test_an_ablation_is_a_table_with_what_was_left_out(run_dir, page_of):
    assert "ablation" not in page_of(run_dir).sections
    bounds = json.loads((run_dir / "evaluation.json").read_text())["bootstrap"]["raw"]
    gain = {**bounds, "macro_f1": {"estimate": 0.125, "low": 0.0625, "high": 0.25}}
    arms = [
        {"name": "patches only", "macro_f1": 0.5, "accuracy": 0.6, "bootstrap": bounds},
        {"name": "+ HMM", "macro_f1": 0.625, "accuracy": 0.7, "minus_before": gain},
    ]
    left_out = {"time of day": "the clock is not known"}
    document = {"n_folds": 3, "n_participants": 12, "n_windows": 99, "arms": arms, "left_out": left_out}
    (run_dir / "ablation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections["ablation"]
    for part in (
        "12 participants, each held out once in 3 folds",
        "patches only 0.600 0.500",
        "+0.125 (+0.062 to +0.250)",
        "Left out: time of day (the clock is not known)",
    ):
        assert part in text


@pytest.mark.usefixtures("without_drawing")
def test_few_people_and_no_transition_are_said(run_dir, page_of):
    document = json.loads((run_dir / "evaluation.json").read_text())
    document["split"]["test"] = ["P101", "P102"]
    for title in ("raw", "smoothed"):
        for spread in document[title]["per_participant"]["summary"].values():
            spread["n"] = 9
    document["raw"] |= {"n_transitions": 0, "transition_accuracy": None}
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections
    assert re.search("2 participants; with so few, the interval is itself unreliable", text["headline"])
    assert "For one participant in ten" not in text["headline"]
    assert re.search(r"Macro F1 Raw +\d\.\d{3} ± \d\.\d{3} +\d\.\d{3} +n/a +9", text["scores"])
    assert "Transition accuracy: n/a, because" in text["scores"]


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        ({"P101": 0.2, "P102": 0.5, "P103": 0.9}, "P102"),
        ({"P101": 0.9, "P102": 0.3, "P103": 0.8, "P104": 0.1}, "P102"),
        ({"P101": 0.9, "P102": 0.6}, "P102"),
    ],
)
def test_the_person_drawn_is_the_one_nearest_to_the_median(run_dir, page_of, known, chosen):
    def change(document):
        for row in document["smoothed"]["per_participant"]["scores"]:
            row["macro_f1"] = known.get(row["participant"])

    damage(run_dir, "evaluation.json", change)
    text = page_of(run_dir).sections["timeline"]
    assert f"Participant {chosen}, whose smoothed macro F1 is nearest to the median" in text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("evaluation.json", "on the held-out participants"),
        ("cross_validation.json", "in the cross-validation"),
    ],
)
def test_smoothing_that_lowers_the_score_is_a_limit_in_bold(run_dir, name, where):
    assert "Smoothing lowered" not in render_report(run_dir).read_text(encoding="utf-8")
    damage(run_dir, name, lambda d: (d["raw"].update(macro_f1=0.7214), d["smoothed"].update(macro_f1=0.7104)))
    html = render_report(run_dir).read_text(encoding="utf-8")
    found = re.findall(r"<li><strong>(Smoothing lowered.*?)</li>", html)
    assert found == [f"Smoothing lowered macro F1 {where}</strong>, from 0.721 to 0.710."]


@pytest.mark.usefixtures("without_drawing")
def test_the_cross_validation_comes_first_and_alone_still_has_its_limits(run_dir, page_of):
    damage(run_dir, "cross_validation.json", lambda d: d["raw"].update(macro_f1=0.4321))
    text = page_of(run_dir).sections["headline"]
    crossed, shipped = text.index("0.432 cross-validated macro F1, raw"), text.index("held-out macro F1, raw")
    assert crossed < shipped
    assert text.index("every participant held out once") < text.index("shipped model, 12 participants")
    assert text.index("With every participant held out once, in 4 folds") < text.index(
        "On 12 held-out participants"
    )
    (run_dir / "evaluation.json").unlink()
    alone = page_of(run_dir).sections["headline"]
    assert "0.432 cross-validated macro F1, raw" in alone
    assert "Scores on held-out participants: not measured in this run" in alone
    assert "beats the model" in alone


@pytest.mark.usefixtures("without_drawing")
def test_scores_without_an_interval_have_a_dash_that_is_explained(run_dir):
    html = render_report(run_dir).read_text(encoding="utf-8")
    assert "<td></td>" not in html.partition('id="scores"')[2].partition("</section>")[0]
    assert "Intervals only for macro F1, accuracy, Cohen&#39;s kappa (\u2013: not computed)" in html
    row = re.search(r'<tr><th scope="row">Weighted F1</th>(.*?)</tr>', html, re.DOTALL)[1]
    assert re.findall(r"<td>(.*?)</td>", row)[1::2] == ["\u2013", "\u2013"]


@pytest.mark.usefixtures("without_drawing")
def test_a_class_without_test_windows_is_named_as_a_limit(run_dir, page_of):
    document = json.loads((run_dir / "evaluation.json").read_text())
    document["raw"] |= {"n_classes_present": 4, "macro_f1_present": 0.987}
    (run_dir / "evaluation.json").write_text(json.dumps(document))
    text = page_of(run_dir).sections["headline"]
    assert re.search("1 of 5 classes +does not occur in the test set and counts as 0", text)
    assert "0.987 raw" in text


@pytest.fixture
def earlier_latency():
    """`latency.json` as versions wrote it that timed the stages without a stream."""
    times = {"n": 200, "mean_us": 410.0, "p50_us": 400.0, "p90_us": 450.0, "p95_us": 480.0}
    times |= {"p99_us": None, "p99_9_us": None, "max_us": 900.0}
    return {
        "n_windows": 200,
        "warm_up": 50,
        "hop_s": 5.0,
        "stages": [{"name": "features", **times}, {"name": "model", **times}],
        "end_to_end": times,
        "end_to_end_curve": {"fraction": [0.0, 1.0], "us": [380.0, 900.0]},
        "cold_start": {"end_to_end_us": 14_000.0, "stages": [{"name": "features", "us": 9000.0}]},
        "real_time_factor": 8.2e-5,
        "deadline_misses": 0,
        "feasible": True,
        "verdict": "Feasible in real time on this machine.",
        "host": {"cpu": "Example CPU"},
    }


@pytest.mark.usefixtures("without_drawing")
def test_a_latency_of_an_earlier_version_is_not_shown_and_the_rest_is(run_dir, page_of, earlier_latency):
    (run_dir / "latency.json").write_text(json.dumps(earlier_latency))
    sections = page_of(run_dir).sections
    assert "measured by an earlier version: not shown" in sections["latency"]
    assert "Feasible in real time" not in sections["headline"]
    assert not (run_dir / "plots" / "latency.svg").exists()


@pytest.mark.usefixtures("without_drawing")
def test_plots_with_the_names_of_an_earlier_version_are_removed(run_dir):
    (run_dir / "plots").mkdir(exist_ok=True)
    for name in ("persons.svg", "person.svg", "of_the_user.svg"):
        (run_dir / "plots" / name).write_text("<svg/>")
    render_report(run_dir)
    left = {path.name for path in (run_dir / "plots").iterdir()}
    assert {"persons.svg", "person.svg"}.isdisjoint(left)
    assert {"participants.svg", "participant.svg", "of_the_user.svg"} <= left


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("name", ["evaluation.json", "cross_validation.json", "latency.json"])
def test_keys_of_a_later_version_are_ignored(run_dir, name):
    def add(document):
        document.update(of_a_later_version={"a": 1})
        for part in ("raw", "smoothed"):
            if part in document:
                document[part].update(of_a_later_version={"a": 1}, list_of_a_later_version=["x"])
        if document.get("bootstrap"):
            document["bootstrap"]["of_a_later_version"] = "x"
            document["bootstrap"]["raw"]["of_a_later_version"] = "x"

    damage(run_dir, name, add)
    assert render_report(run_dir).is_file()


def damage(run_dir, name, change):
    document = json.loads((run_dir / name).read_text())
    change(document)
    (run_dir / name).write_text(json.dumps(document))


@pytest.mark.usefixtures("without_drawing")
def test_scores_of_a_version_with_other_metrics_are_shown_as_far_as_they_go(run_dir, page_of):
    damage(run_dir, "evaluation.json", lambda d: (d["raw"].pop("mcc"), d["raw"].update(another_metric=0.123)))
    text = page_of(run_dir).sections["scores"]
    assert re.search(r"Matthews correlation +n/a", text)
    assert "0.123" not in text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "evaluation.json",
            lambda d: d["raw"].pop("macro_f1"),
            r"evaluation\.json: raw\.macro_f1: Field required",
        ),
        ("evaluation.json", lambda d: d["raw"].update(mcc="high"), r"evaluation\.json: raw\.mcc: "),
        (
            "evaluation.json",
            lambda d: d["smoothed"]["confusion"].update(counts=[[1]]),
            r"smoothed: confusion\.counts",
        ),
        (
            "evaluation.json",
            lambda d: d["raw"]["per_class"].pop(),
            r"raw: per_class: needs one row per class",
        ),
        ("evaluation.json", lambda d: d["split"].update(test="P1"), r"evaluation\.json: split\.test"),
        ("complexity.json", lambda d: d.update(flops="many"), r"complexity\.json: flops: "),
        (
            "latency.json",
            lambda d: d["closed_loop"]["stages"][1].pop("p95_us"),
            r"latency\.json: closed_loop\.stages\.1\.p95_us: Field required",
        ),
        ("cross_validation.json", lambda d: d.update(folds=[{}]), r"cross_validation\.json: folds\.0\."),
    ],
)
def test_a_damaged_record_is_named_by_file_and_field(run_dir, name, change, message):
    damage(run_dir, name, change)
    with pytest.raises(DataError, match=message):
        render_report(run_dir)
    assert not (run_dir / "report.html").exists()


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("evaluation.json", "{", r"evaluation\.json: not JSON"),
        ("evaluation.json", "[]", r"evaluation\.json: "),
        ("environment.json", "[1]", r"environment\.json: needs a mapping at the top, has list"),
        (
            "experiment_summary.yaml",
            "final_metrics: 3",
            r"experiment_summary\.yaml: final_metrics: needs a mapping",
        ),
        ("experiment_summary.yaml", "a: [", r"experiment_summary\.yaml: not YAML"),
        ("metrics.jsonl", '{"phase": "train"}\n', r"metrics\.jsonl: line 1: step: Field required"),
        ("metrics.jsonl", "nonsense\n", r"metrics\.jsonl: line 1: not JSON"),
        (
            "predictions.csv",
            "participant,start\nP1,2026-01-01\n",
            r"predictions\.csv: lacks the column label",
        ),
        ("predictions.csv", "", r"predictions\.csv: not a CSV table"),
        (
            "predictions.csv",
            "participant,start,label,raw,smoothed,probability\nP102,noon,a,a,a,1\n",
            r"predictions\.csv: column start: not a time",
        ),
        (
            "predictions.csv",
            "participant,start,label,raw,smoothed,probability\nX,2026-01-01,a,a,a,1\n",
            r"predictions\.csv: has no window of participant 'P\d+'",
        ),
        (
            "predictions.csv",
            "participant,start,label,raw,smoothed,probability\nP102,,a,a,a,1\n",
            r"predictions\.csv: column start: row 0 is empty",
        ),
        (
            "timeline.csv",
            "start,end,label,probability\n2026-01-01,2026-01-02,flying,1\n",
            r"timeline\.csv: label 'flying' is not one of the classes",
        ),
    ],
)
def test_a_damaged_file_is_named(run_dir, name, content, message):
    (run_dir / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        render_report(run_dir)
    assert not (run_dir / "report.html").exists()


def test_bytes_that_are_no_text_are_refused(run_dir):
    (run_dir / "metrics.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"metrics\.jsonl: not UTF-8 text \(byte 0\)"):
        render_report(run_dir)


@pytest.mark.usefixtures("without_drawing")
def test_another_folder_is_refused(tmp_path, run_dir):
    with pytest.raises(DataError, match=r"is not a run folder \(it has no config\.yaml\)"):
        render_report(tmp_path)
    (run_dir / "config.yaml").write_text("nonsense: 1\n")
    with pytest.raises(ConfigError, match="nonsense: unknown key"):
        render_report(run_dir)


def test_repeated_epochs_of_a_resumed_run_count_once(run_dir, page_of):
    path = run_dir / "metrics.jsonl"
    again = {"phase": "val", "step": 15, "time": "", "metrics": {"loss": 0.1, "macro_f1": 0.991}}
    path.write_text(path.read_text() + json.dumps(again) + "\n")
    assert "best 0.991, epoch 15" in page_of(run_dir).sections["learning"]


@pytest.mark.usefixtures("without_drawing")
def test_a_run_of_many_epochs_and_a_copied_folder_render(run_dir, tmp_path):
    copy = tmp_path / "copy of run"
    shutil.copytree(run_dir, copy)
    assert render_report(copy) == copy / "report.html"


def test_times_with_zones_keep_their_wall_clock(run_dir):
    path = run_dir / "predictions.csv"
    frame = pd.read_csv(path, dtype=str)
    plain = render_report(run_dir).read_text(encoding="utf-8")
    frame["start"] = frame["start"] + "+02:00"
    frame.to_csv(path, index=False)
    assert render_report(run_dir).read_text(encoding="utf-8") == plain
