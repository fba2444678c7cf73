"""The page: complete, self-contained, and honest where something was not measured."""

import copy
import re

import pytest

from feasibility_documents import feasibility_document
from patchtst_har.benchmark.compare import compare
from patchtst_har.records.feasibility import FeasibilityRecord
from patchtst_har.reports import plots
from patchtst_har.reports.feasibility import render_feasibility

pytestmark = pytest.mark.draws

SECTIONS = {
    "verdicts",
    "comparison",
    "accuracy",
    "workloads",
    "distribution",
    "outliers",
    "stages",
    "many",
    "start",
    "resources",
    "model",
    "host",
}


@pytest.fixture(scope="module")
def full():
    return feasibility_document()


@pytest.fixture
def document(full):
    return copy.deepcopy(full)


@pytest.fixture
def page_of(tmp_path, parse_page):
    def page(document):
        record = FeasibilityRecord.model_validate(document)
        return parse_page(render_feasibility(record, tmp_path / "report.html").read_text(encoding="utf-8"))

    return page


def compared(document, changed):
    """Return the document with a comparison against itself, in which `changed` workloads became slower."""
    saved = FeasibilityRecord.model_validate(document)
    now = copy.deepcopy(document)
    for name in changed:
        for block in now["devices"]["cpu"]["workloads"][name]["closed_loop"]["blocks"]:
            block["p50_us"] *= 1.3
    now["host"] = {**now["host"], "isa": "baseline"}
    record = FeasibilityRecord.model_validate(now)
    return {**now, "comparison": compare(saved, record, "saved/<feasibility>.json").model_dump(mode="json")}


def test_one_balanced_page_that_needs_nothing_else(document, tmp_path, parse_lone_page):
    record = FeasibilityRecord.model_validate(compared(document, ["noisy"]))
    html = render_feasibility(record, tmp_path / "report.html").read_text(encoding="utf-8")
    page = parse_lone_page(html)
    assert set(page.sections) - {""} == SECTIONS
    assert len(html) < 1_000_000
    assert html.count('role="img"') == html.count("<svg") == 5


@pytest.mark.usefixtures("without_drawing")
def test_numbers_are_in_their_sections(document, page_of):
    document["targets"][3]["verdict"] = "not feasible"
    text = page_of(document).sections
    cpu = document["devices"]["cpu"]
    loop = cpu["workloads"]["worst_case"]["closed_loop"]
    expected = {
        "": ["measured on this host", "Example CPU", "118,213 parameters"],
        "verdicts": [target["name"] for target in document["targets"]]
        + [reason for target in document["targets"] for reason in target["reasons"]]
        + ["3 feasible, 1 not feasible, 1 not measured", "✗ not feasible", "\u2013 not measured"],
        "accuracy": ["0.801", "0.812", "0.823", "4 held-out people", "no stream can do", "every 5 s"],
        "workloads": [
            f"{loop['end_to_end']['p50_us']:.3g} µs",
            "no device",
            "An example of noisy",
            "7,000",
            "1.5\u00d7",
        ],
        "stages": ["worst_case, the slowest workload", "topology", "between the stages"],
        "many": ["500 streams of worst_case", "1,500", "busy for 25.0 %", "n/a"],
        "start": ["900 ms", "2.1 ms", "none of it is part of the percentiles"],
        "resources": [
            "62 MiB",
            "with 500 streams 90 MiB",
            "174 MiB",
            "310 µs",
            "not measured (no counter can be read)",
            "12, 1, 0",
        ],
        "model": ["runs/<b>demo</b>/model", "1612800", "filter"],
        "host": ["avx2", "3.11.9"],
        "comparison": ["No saved run was named"],
    }
    for section, parts in expected.items():
        for part in parts:
            assert part in text[section], (section, part)


@pytest.mark.usefixtures("without_drawing")
def test_names_are_escaped(document, tmp_path):
    record = FeasibilityRecord.model_validate(compared(document, []))
    html = render_feasibility(record, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>demo" not in html
    assert "<feasibility>" not in html


@pytest.mark.usefixtures("without_drawing")
def test_changes_are_listed_with_their_outcome(document, page_of):
    text = page_of(compared(document, ["still", "noisy"])).sections["comparison"]
    assert "2 comparisons slower, 0 faster, of 10" in text
    assert text.count(" slower") == 3
    assert "isa was avx2, is baseline" in text
    assert "1.300" in text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(("load", "said"), [(0.1, False), (3.25, True), (None, False)])
def test_a_busy_machine_is_told(document, page_of, load, said):
    document["host"] = {**document["host"], "load_average": load}
    assert ("a load average of 3.2 on 4 usable cores" in page_of(document).sections[""]) == said


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"waited_share": 0.3, "stolen_share": 0.0}, "it waited for a core for 30 % of its time"),
        ({"waited_share": 0.0, "stolen_share": 0.12}, "the hypervisor gave 12 % of the processor to others"),
        # What was before the measurement does not matter where what was during it is known.
        ({"waited_share": 0.005, "stolen_share": 0.0, "load_average": 20.2}, None),
        ({"load_average": 20.2}, "a load average of 20.2 before it"),
        ({}, None),
    ],
)
def test_what_others_took_meanwhile_is_said(document, page_of, facts, said):
    document["host"] = {**document["host"], **facts}
    assert FeasibilityRecord.model_validate(document).busy == said
    text = page_of(document).sections[""]
    assert ("Others used the processor" in text) == (said is not None)
    assert said is None or said in text


@pytest.mark.usefixtures("without_drawing")
def test_a_verdict_that_a_busy_machine_prevents_is_named_as_such(document, page_of):
    document["targets"][0] |= {"verdict": "undecided", "busy": True}
    text = page_of(document).sections["verdicts"]
    assert "3 feasible, 1 undecided (busy), 1 not measured" in text
    assert "? undecided (busy)" in text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(("name", "title"), [("study", "study"), ("", "demo/model")])
def test_the_title_is_a_name_and_not_a_path(document, tmp_path, name, title):
    document["artefact"] |= {"name": name, "model_dir": "/somewhere/runs/demo/model"}
    record = FeasibilityRecord.model_validate(document)
    html = render_feasibility(record, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<h1>{title}</h1>" in html
    assert f"<title>{title}: " in html


@pytest.mark.usefixtures("without_drawing")
def test_a_shipped_model_has_the_score_of_its_card(document, page_of):
    document["accuracy"] = None
    document["artefact"]["score"] = "cross-validated macro F1 0.81 on 3 people"
    text = page_of(document).sections["accuracy"]
    assert "Cross-validated macro F1 0.81 on 3 people, by the model's card." in text
    assert "Not known" not in text


@pytest.mark.usefixtures("without_drawing")
def test_what_is_missing_is_said_and_never_a_number(document, page_of):
    document["accuracy"] = None
    cpu = document["devices"]["cpu"]
    cpu |= {"capacity": None, "cold_start": None}
    cpu["memory"] = {**dict.fromkeys(cpu["memory"]), "of_streams": []}
    cpu["workloads"]["still"]["rested"] = None
    text = page_of(document).sections
    assert "there is no evaluation of this model" in text["accuracy"]
    assert not re.search(r"\d\.\d{3}", text["accuracy"])
    assert "not searched for" in text["many"]
    assert "Cold start: not measured" in text["start"]
    assert text["resources"].count("not measured") == 7
    assert text["workloads"].count("not measured") == 1


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("people", "stream", "words"),
    [
        ("validation", None, ("4 validation people", "also chose when training stopped", "not known")),
        ("test", {"lag": 0, "accuracy": 0.5, "macro_f1": 0.456}, ("4 held-out people", "0.456")),
    ],
)
def test_accuracy_says_on_whom_and_what_a_stream_reaches(document, page_of, people, stream, words):
    document["accuracy"] |= {"people": people, "stream": stream}
    text = page_of(document).sections["accuracy"]
    for word in words:
        assert word in text
    assert ("also chose" in text) == (people == "validation")


@pytest.mark.usefixtures("without_drawing")
def test_an_unsmoothed_stream_reaches_the_raw_score(document, page_of):
    document["accuracy"]["stream"] = None
    document["artefact"]["smoothing"] = "none"
    text = page_of(document).sections["accuracy"]
    assert text.count("0.801") == 2
    assert "not known" not in text.replace("the scores are not known", "")


@pytest.mark.usefixtures("without_drawing")
def test_times_of_cuda_stand_next_to_those_of_the_cpu(document, page_of):
    cuda = copy.deepcopy(document["devices"]["cpu"])
    cuda["device"] = "cuda"
    for workload in cuda["workloads"].values():
        workload["closed_loop"]["end_to_end"]["p99_us"] = 7_770.0
    document["devices"]["cuda"] = cuda
    text = page_of(document).sections["workloads"]
    assert text.count("7.77 ms") == 5
    assert "no device" not in text


def test_pictures_are_the_same_when_drawn_again(document):
    record = FeasibilityRecord.model_validate(compared(document, ["still"]))
    cpu = record.devices.cpu
    loops = {name: workload.closed_loop for name, workload in cpu.workloads.items()}
    for draw in (
        lambda: plots.plot_distributions(loops, cpu.open_loop, [1000.0, 1e6]),
        lambda: plots.plot_outliers(loops),
        lambda: plots.plot_mean_stages(loops),
        lambda: plots.plot_capacity(cpu.capacity, 1.0),
        lambda: plots.plot_changes(record.comparison.changes, 0.05),
    ):
        assert draw() == draw()


def test_pictures_show_what_they_are_given(document):
    cpu = FeasibilityRecord.model_validate(document).devices.cpu
    loops = {name: workload.closed_loop for name, workload in cpu.workloads.items()}
    distributions = plots.plot_distributions(loops, cpu.open_loop, [1000.0, 1e6])
    for words in (*loops, "worst_case, 500 streams", "deadline 1 ms", "deadline 1 s"):
        assert words in distributions
    assert "deadline 1" not in plots.plot_distributions(loops, cpu.open_loop, [])
    assert "between the stages" in plots.plot_outliers(loops)
    stages = plots.plot_mean_stages(loops)
    for loop in loops.values():
        assert f"{loop.end_to_end.mean_us:.3g} µs" in stages
    assert "not carried" in plots.plot_capacity(cpu.capacity, 1.0)


def test_a_search_without_a_p99_has_no_picture(document):
    capacity = document["devices"]["cpu"]["capacity"]
    for probe in capacity["probes"]:
        probe["p99_us"] = None
    capacity |= {"max_streams": None, "p99_us_there": None}
    cpu = FeasibilityRecord.model_validate(document).devices.cpu
    assert plots.plot_capacity(cpu.capacity, 1.0) is None
