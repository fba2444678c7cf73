import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from patchtst_har.records.measurement import ClosedLoop
from patchtst_har.records.run import Bin, HeldOutScores, ParticipantScores
from patchtst_har.reports import plots
from patchtst_har.reports.days import minutes_of_days
from patchtst_har.reports.plots.prediction import split_at_midnight
from patchtst_har.reports.plots.style import class_colours, themed
from patchtst_har.reports.plots.timeline import legend_columns, legend_height_in, merge_runs, unfamiliar_runs
from patchtst_har.summaries import summarise

pytestmark = pytest.mark.draws

CLASSES = ("sleep", "sedentary", "light & <b>chores</b>", "walking", "bicycling")


def text_of(svg):
    """What a reader sees in the picture."""
    collected = []

    class Reader(HTMLParser):
        def handle_data(self, data):
            collected.append(data.strip())

    Reader().feed(svg)
    return " ".join(filter(None, collected))


def all_plots(scores, latency, timeline, topology):
    history = {
        p: {m: [(1, 0.9), (2, 0.5 + k / 10)] for m in ("loss", "macro_f1")}
        for k, p in enumerate(("train", "val"))
    }
    counts = {title: scores[title]["confusion"]["counts"] for title in ("raw", "smoothed")}
    people = [HeldOutScores.model_validate(scores).raw.per_participant.scores] * 2
    bins = HeldOutScores.model_validate(scores).raw.calibration.bins
    return {
        "learning": lambda: plots.plot_learning_curves(history),
        "confusion": lambda: plots.plot_confusions(counts, CLASSES),
        "participants": lambda: plots.plot_participants(*people),
        "reliability": lambda: plots.plot_reliability({"raw": bins}),
        "timeline": lambda: plots.plot_timelines({"predicted": timeline}, CLASSES),
        "latency": lambda: plots.plot_latency(ClosedLoop.model_validate(latency["closed_loop"])),
        "topology": lambda: plots.plot_topology(topology),
        "days": lambda: plots.plot_days(timeline, CLASSES),
        "minutes": lambda: plots.plot_daily_minutes(minutes_of_days(summarise(timeline, CLASSES))),
        "hours": lambda: plots.plot_hours(np.full((24, 5), 1 / 5), np.arange(24.0), CLASSES),
        "probabilities": lambda: plots.plot_probabilities(timeline),
    }


@pytest.fixture(scope="module")
def drawn():
    """Every plot by its name, once it is drawn."""
    return {}


def test_every_plot_is_deterministic_self_contained_and_scalable(scores, latency, timeline, topology, drawn):
    for name, make in all_plots(scores, latency, timeline, topology).items():
        svg = drawn.setdefault(name, make())
        assert svg == make(), name
        assert svg.startswith("<svg")
        assert svg.endswith("</svg>")
        head = svg[: svg.index(">")]
        assert "viewBox" in head
        assert " width=" not in head
        assert 'role="img"' in head
        assert not re.search(r'(?:href|src)="(?!#)', svg), name
        assert not re.search(r"<(?:script|metadata|style)\b", svg), name
        assert "20" + "26-" not in re.sub(r">[^<]*<", "><", svg), name
        assert len(svg) < 200_000, name


def test_ids_are_unique_over_all_plots_and_every_reference_has_its_target(
    scores, latency, timeline, topology, drawn
):
    plots_by_name = all_plots(scores, latency, timeline, topology)
    page = "".join(drawn.get(name) or make() for name, make in plots_by_name.items())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    references = re.findall(r"url\(#([^)]*)\)", page) + re.findall(r'href="#([^"]*)"', page)
    assert references
    assert set(references) <= set(ids)


def test_confusion_shows_counts_and_percentages_and_escapes_names():
    svg = plots.plot_confusions({"Raw": [[90, 10], [0, 0]]}, ["$a$ <i>", "b"])
    text = text_of(svg)
    assert "$a$ <i>" in text
    assert "90 %" in text
    assert "10" in text
    assert "<i>" not in svg


def test_learning_curves_mark_the_best_epoch_and_live_without_validation():
    history = {"val": {"loss": [(1, 1.0), (2, 0.5), (3, 0.6)], "macro_f1": [(1, 0.2), (2, 0.612), (3, 0.5)]}}
    # In the title of the panel, where no curve runs.
    assert "Macro F1 (best 0.612, epoch 2)" in text_of(plots.plot_learning_curves(history))
    assert "Macro F1" in text_of(plots.plot_learning_curves({}))


def test_participants_without_a_score_are_left_out_and_many_lose_their_names():
    one = ParticipantScores(participant="", n=1, n_classes=1, accuracy=None, macro_f1=None)
    rows = [one.model_copy(update={"participant": f"P{i}", "macro_f1": i / 60}) for i in range(60)]
    assert "60 participants" in text_of(plots.plot_participants(rows, rows))
    few = rows[:3]
    text = text_of(plots.plot_participants(few, [*few[:2], one.model_copy(update={"participant": "P2"})]))
    assert "P1" in text
    assert "P2" not in text


def test_a_raw_score_shows_where_the_smoothed_one_is_the_same():
    """As a ring around it: the marks of both are drawn, and neither covers the other."""
    one = ParticipantScores(participant="", n=1, n_classes=2, accuracy=0.5, macro_f1=0.5)
    rows = [one.model_copy(update={"participant": name}) for name in "abc"]
    svg = plots.plot_participants(rows, rows)
    rings = re.findall(r'<use [^>]*style="fill-opacity: 0; stroke: #e69f00', svg)
    squares = re.findall(r'<use [^>]*style="fill: #0072b2; stroke: #0072b2', svg)
    # One more of each in the legend.
    assert (len(rings), len(squares)) == (4, 4)


def test_latency_leaves_out_percentiles_without_samples(latency):
    loop = ClosedLoop.model_validate(latency["closed_loop"])
    assert "p99" in text_of(plots.plot_latency(loop))
    few = {"p95_us": None, "p99_us": None}
    loop = loop.model_copy(
        update={
            "stages": tuple(stage.model_copy(update=few) for stage in loop.stages),
            "overhead": loop.overhead.model_copy(update=few),
            "end_to_end": loop.end_to_end.model_copy(update=few),
        }
    )
    text = text_of(plots.plot_latency(loop))
    assert "p50" in text
    assert "p95" not in text
    assert "p99" not in text


def frame(rows):
    table = pd.DataFrame(rows, columns=["start", "end", "label"])
    return table.assign(start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]))


def test_runs_merge_only_where_label_and_time_touch():
    merged = merge_runs(
        frame(
            [
                ("2026-03-02 10:00:00", "2026-03-02 10:00:10", "a"),
                ("2026-03-02 10:00:10", "2026-03-02 10:00:20", "a"),
                ("2026-03-02 10:00:30", "2026-03-02 10:00:40", "a"),
                ("2026-03-02 10:00:40", "2026-03-02 10:00:50", "b"),
            ]
        )
    )
    assert merged["label"].tolist() == ["a", "a", "b"]
    assert [f"{t:%S}" for t in merged["start"]] == ["00", "30", "40"]
    assert [f"{t:%S}" for t in merged["end"]] == ["20", "40", "50"]


@pytest.mark.parametrize(
    "draw", [plots.plot_days, lambda rows, names: plots.plot_timelines({"a": rows}, names)]
)
def test_unfamiliar_time_has_a_line_and_a_name(draw):
    rows = frame(
        [
            ("2026-03-02 10:00", "2026-03-02 10:10", "a"),
            ("2026-03-02 10:10", "2026-03-02 10:20", "b"),
            ("2026-03-02 10:20", "2026-03-02 10:30", "b"),
        ]
    )
    known = rows.assign(unfamiliar=[False, True, True])
    (run,) = unfamiliar_runs(known).itertuples()
    assert (run.start, run.end) == (rows["start"][1], rows["end"][2])
    assert "unlike the training data" in text_of(draw(known, ["a", "b"]))
    # Nothing to say, and nothing known, look alike.
    plain = draw(rows, ["a", "b"])
    assert "unlike" not in plain
    assert draw(rows.assign(unfamiliar=False), ["a", "b"]) == plain


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_run_over_two_midnights_counts_on_three_days(unit):
    runs = frame(
        [("2026-03-01 23:00", "2026-03-03 00:30", "a"), ("2026-03-03 01:00", "2026-03-03 01:10", "b")]
    )
    runs = runs.astype({"start": f"datetime64[{unit}]", "end": f"datetime64[{unit}]"})
    pieces = split_at_midnight(runs)
    assert [f"{day:%d}" for day in pieces["day"]] == ["01", "02", "03", "03"]
    minutes = minutes_of_days(summarise(runs.assign(probability=1.0), ["b", "a", "c"]))
    np.testing.assert_allclose(minutes, [[0, 60, 0, 0], [0, 1440, 0, 0], [10, 30, 0, 30]])
    # The picture is the same whatever the unit of the stamps.
    assert plots.plot_days(runs, ["a", "b"]) == plots.plot_days(
        runs.astype({"start": "datetime64[ns]"}), ["a", "b"]
    )


def test_long_class_names_make_a_legend_of_several_rows():
    assert legend_columns(["a", "b"]) == 3
    assert 1 <= legend_columns(["trapezius extension"] * 7) <= 4
    assert legend_columns(["x" * 200]) == 1
    assert legend_height_in(["trapezius extension"] * 7) > legend_height_in(["walk"] * 6)


def test_reliability_leaves_out_bins_of_few_windows():
    few = Bin(lower=0.0, upper=0.5, n=9, confidence=0.4, accuracy=0.0)
    enough = Bin(lower=0.5, upper=1.0, n=10, confidence=0.8, accuracy=0.7)
    other_few, other_enough = (row.model_copy(update={"accuracy": 0.9}) for row in (few, enough))
    one = plots.plot_reliability({"raw": [few, enough]})
    assert plots.plot_reliability({"raw": [other_few, enough]}) == one
    assert plots.plot_reliability({"raw": [few, other_enough]}) != one


@pytest.mark.parametrize("name", ["learning", "reliability", "participants"])
def test_legends_stand_outside_the_axes(scores, latency, timeline, topology, name):
    root = ElementTree.fromstring(all_plots(scores, latency, timeline, topology)[name]())  # noqa: S314 - made here
    legends = {group.get("id") for group in root.iter() if "legend" in group.get("id", "")}
    inside = [
        part.get("id")
        for group in root.iter()
        if "-axes_" in group.get("id", "")
        for part in group.iter()
        if part.get("id") in legends
    ]
    assert len(legends) == 1
    assert inside == []


def test_reliability_shows_both_series_where_they_coincide_and_the_whole_last_bin(scores):
    bins = HeldOutScores.model_validate(scores).raw.calibration.bins
    svg = plots.plot_reliability({"raw": bins, "smoothed": bins})
    root = ElementTree.fromstring(svg)  # noqa: S314 - made here
    right = next(group for group in root.iter() if group.get("id") == "reliability-axes_2")
    boxes = [part for part in right.iter() if "d" in part.attrib]
    surface = next(p for p in boxes if "fill: #e69f00" in p.get("style", ""))
    line = next(p for p in boxes if "stroke: #0072b2" in p.get("style", ""))
    assert "fill: none" in line.get("style")
    panel = [float(x) for x in re.findall(r"[ML] ([\d.]+)", boxes[0].get("d"))]
    for series in (surface, line):
        edges = [float(x) for x in re.findall(r"[ML] ([\d.]+)", series.get("d"))]
        assert min(panel) + 1 < min(edges)
        assert max(edges) < max(panel) - 1


@pytest.mark.parametrize("n_classes", [5, 9, 12])
def test_confusion_text_is_not_shrunk_by_the_page(n_classes):
    counts = np.full((n_classes, n_classes), 1234)
    names = [f"activity {i}" for i in range(n_classes)]
    svg = plots.plot_confusions({"Raw": counts, "Smoothed": counts}, names)
    width_pt = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    # The text column of a report is 935 px (701 pt) wide.
    assert width_pt <= 701
    sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
    assert min(sizes) >= 8
    assert text_of(svg).count("1,234") == 2 * n_classes**2


def test_colours_belong_to_positions_and_never_repeat():
    few, more = class_colours(["a", "b"]), class_colours(["a", "b", "c"])
    assert few == {name: more[name] for name in few}
    for n in (11, 12, 40):
        assert len(set(class_colours([str(i) for i in range(n)]).values())) == n


def test_many_windows_stay_a_small_picture():
    rng = np.random.default_rng(0)
    start = pd.date_range("2026-03-02", periods=8640, freq="10s", unit="ns")
    flicker = pd.DataFrame({"start": start, "end": start + pd.Timedelta(seconds=10)})
    flicker["label"] = rng.choice(CLASSES, 8640)
    assert len(plots.plot_timelines({"raw": flicker}, CLASSES)) < 900_000


@pytest.mark.parametrize("seconds", [59, 200, 3000, 7100, 30_000, 200_000, 6_000_000])
def test_a_phone_has_few_ticks_of_time(seconds):
    """matplotlib warns where it finds no distance of ticks, and warnings are errors."""
    start = pd.Timestamp("2026-03-02 08:00")
    rows = frame([(str(start), str(start + pd.Timedelta(seconds, "s")), "a")])
    svg = plots.plot_timelines({"P1": rows}, ["a", "b"], width_in=3.7)
    assert svg.count('id="timeline-xtick') <= 6


def test_time_without_wear_is_hatched_in_the_colours_of_the_page():
    rows = frame([("2026-03-02", "2026-03-03", "a"), ("2026-03-03", "2026-03-04", "non_wear")])
    svg = plots.plot_days(rows, ["a", "non_wear"])
    assert "<pattern" in svg
    assert "<pattern" not in plots.plot_days(rows[:1], ["a"])
    shown = themed(svg)
    assert "var(--hatch)" in shown
    assert "var(--unworn)" in shown
    assert "#d5dae0" not in shown
