"""Histories of benchmarks on simulated machines: what is marked, and what the page shows."""

import json
import re

import numpy as np
import pytest

from history import append, judge, main, read_all
from patchtst_har.errors import DataError
from simulated_runs import HOST, NAMES, made_run

pytestmark = pytest.mark.slow

N_RUNS = 10
CUDA = "benches/bench_model.py::test_x[cuda]"


def runs_of(seed=0, n=N_RUNS, slower=None, **facts):
    """Return the runs of one machine; `slower` is (benchmark, run from which on, factor)."""
    made = []
    for number in range(n):
        factors = {slower[0]: slower[2]} if slower and number >= slower[1] else None
        made.append(made_run(1000 * seed + number, factors=factors, n_rounds=700, **facts))
    return made


def marked(series):
    return {
        (name, percentile, number): point.change.outcome
        for (name, percentile), points in series.items()
        for number, point in enumerate(points)
        if point is not None and point.changed
    }


@pytest.mark.parametrize(("n_histories", "most"), [(2, 1), pytest.param(8, 2, marks=pytest.mark.study)])
def test_noise_alone_is_hardly_ever_marked(n_histories, most):
    found = [marked(judge(runs_of(seed))) for seed in range(n_histories)]
    # Of 9 x 40 comparisons each.
    assert sum(map(len, found)) <= most


@pytest.mark.parametrize("seed", range(2))
def test_a_regression_of_20_percent_is_marked_where_it_came_and_only_there(seed):
    series = judge(runs_of(seed, slower=(NAMES[6], 6, 1.2)))
    found = marked(series)
    assert found[NAMES[6], "p50", 6] == "slower"
    assert {name for name, *_ in found} == {NAMES[6]}
    assert {number for *_, number in found} == {6}
    point = series[NAMES[6], "p50"][6]
    assert point.us > point.high_us
    assert 1.1 < point.change.ratio < 1.3
    # The next run is compared with the slower one.
    after = series[NAMES[6], "p50"][7]
    assert after.low_us < after.us < after.high_us


def test_what_becomes_faster_again_is_marked_twice():
    runs = runs_of(4, slower=(NAMES[2], 4, 1.5))
    fast_again = made_run(77, n_rounds=700)
    found = marked(judge([*runs, fast_again]))
    assert (found[NAMES[2], "p50", 4], found[NAMES[2], "p50", N_RUNS]) == ("slower", "faster")


def test_a_machine_that_was_busy_or_slow_for_a_run_is_no_regression():
    runs = runs_of(5)
    runs[7] = made_run(5007, n_rounds=700, speed_us=170.0)
    assert not marked(judge(runs))
    points = judge(runs)[NAMES[0], "p50"]
    assert points[7].us == pytest.approx(points[6].us, rel=0.1)


def test_a_benchmark_that_scatters_between_runs_has_a_wider_band():
    shift = {NAMES[0]: 0.08}
    runs = [made_run(number, shift=shift, n_rounds=700) for number in range(12)]
    series = judge(runs)
    last = {name: series[name, "p50"][-1] for name in NAMES}
    widths = {name: np.log(point.high_us / point.low_us) for name, point in last.items()}
    assert widths[NAMES[0]] > 1.5 * np.median(list(widths.values()))
    # Until some runs have shown that it scatters, a step may be taken for a change.
    assert all(number < 8 for name, _, number in marked(series) if name == NAMES[0])


def test_a_run_of_some_benchmarks_leaves_gaps():
    runs = runs_of(6, n=4)
    runs[2] = runs[2].model_copy(
        update={"benchmarks": {name: runs[2].benchmarks[name] for name in NAMES[:3]}}
    )
    series = judge(runs)
    assert series[NAMES[0], "p50"][2] is not None
    assert series[NAMES[9], "p50"][2] is None
    assert series[NAMES[9], "p50"][3].change is not None


def test_appended_runs_are_read_again_by_machine(tmp_path):
    other = {**HOST, "cpu": "Other CPU"}
    for run in (*runs_of(n=2), *runs_of(1, n=3, host=other)):
        path = append(run, tmp_path)
        assert path == tmp_path / f"{run.fingerprint}.jsonl"
    histories = read_all(tmp_path)
    assert sorted(map(len, histories.values())) == [2, 3]
    assert histories[path.stem] == runs_of(1, n=3, host=other)
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"] * 2


def test_an_append_that_fails_leaves_the_history_as_it_was(tmp_path, monkeypatch):
    run = made_run(0)
    path = append(run, tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("patchtst_har.support.files.sync", lambda path: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        append(run, tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda line: line[:100], "line 2: not JSON"),
        (lambda line: "", "line 2: not JSON"),
        (lambda line: '{"format": 2}', "line 2: format: Input should be 1"),
        (lambda line: line.replace('"p50_us":', '"p50":'), r"line 2: benchmarks\..*p50_us: Field required"),
        (lambda line: line.replace("Example CPU", "Other"), r"line 2 is a run of another machine \(\w{12}\)"),
    ],
)
def test_a_damaged_or_foreign_line_is_one_error_that_names_it(tmp_path, capsys, damage, message):
    path = append(made_run(0), tmp_path)
    line = path.read_text()
    path.write_text(line + damage(line.strip()) + "\n" + line)
    with pytest.raises(DataError, match=message):
        read_all(tmp_path)
    assert main(["page", "--folder", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(str(path))


def test_without_a_history_there_is_no_page(tmp_path, capsys):
    assert main(["page", "--folder", str(tmp_path)]) == 2
    assert "no history; `make bench` begins one" in capsys.readouterr().err
    assert main(["add", str(tmp_path / "none.json")]) == 2


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    names = [*NAMES[:8], CUDA]
    other = {**HOST, "cpu": "Other <CPU>", "cuda_device": "Example GPU"}
    for run in runs_of(slower=(NAMES[3], 7, 1.25), names=NAMES[:8], no_device=(CUDA,)):
        append(run, folder)
    for run in runs_of(1, n=4, host=other, names=names):
        append(run, folder)
    assert main(["page", "--folder", str(folder)]) == 0
    return (folder / "history.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(page):
    assert not re.search(r"<(script|link|img|iframe)\b|@import|\son\w+=|url\((?!#)", page)
    assert re.findall(r'(?:href|src)="(?!#)[^"]*"', page) == []
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    # Colours that a dark page could hide are those of the page.
    assert not re.search(r"(fill|stroke): #(000000|333333|555555)", page)


def test_two_machines_have_sections_and_lines_of_their_own(page):
    sections = page.split("<section")[1:]
    assert len(sections) == 2
    for section, n_runs in zip(sorted(sections, key=lambda text: "Other" in text), (N_RUNS, 4), strict=True):
        assert f"{n_runs} runs" in section
        lines = re.findall(r'<g id="[^"]*-p50-line">\s*<path d="([^"]*)"', section)
        assert lines
        assert {len(re.findall("[ML]", line)) for line in lines} == {n_runs}
    assert "Other &lt;CPU&gt;" in page


def test_the_page_marks_the_regression_and_nothing_else(page):
    marks = re.findall(r"<tr class=\"(slower|faster)\">(.*?)</tr>", page, re.DOTALL)
    assert {outcome for outcome, _ in marks} == {"slower"}
    assert all("x.py::test_3" in row for _, row in marks)
    assert f"{7:07x}" in marks[0][1]
    assert len(re.findall(r'id="[^"]*-slower"', page)) == len(marks)


def test_a_benchmark_without_its_device_says_so(page):
    first, second = sorted(page.split("<section")[1:], key=lambda text: "Other" in text)
    assert "CUDA: no device" in first
    assert "CUDA: no device" not in second
    assert "Example GPU" in second


def test_a_history_is_json_lines(tmp_path):
    path = append(made_run(0), tmp_path)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["commit"] == "0" * 40
