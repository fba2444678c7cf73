"""`benches/cuda_check.py` without a device: the numerics in Triton's interpreter, and every way to end."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import time

import pytest
import torch
from pydantic import ValidationError

import cuda_check
from on_cuda import document, extension, page, parts, pytest_part
from on_cuda.checks import TIME_IS_UP, Found, NotRunError, Planned, collect, join, run_planned
from on_cuda.document import Check, Clocks, Document, Machine, Part, Timing
from on_cuda.sizes import INTERPRETED, label

TIMING = Timing("forward, float32, B=1 N=12", "fused", 1, 200, 9.0, 10.0, 12.5, None, 2**20)
MACHINE = Machine(
    platform="Linux",
    python="3.12",
    torch="2.11",
    triton="3.6",
    cuda="13.0",
    device="A <device>",
    n_devices=1,
    compute_capability="9.0",
    memory_bytes=2**36,
    n_multiprocessors=132,
    driver=None,
    c_compiler="/usr/bin/cc",
    extension="was there",
    packages={"numpy": "2.0"},
)


def make_document(**changes):
    timings = (TIMING, dataclasses.replace(TIMING, batch=32, what="forward, float32, B=32 N=12", p50_us=30.0))
    checks = (
        Check("equal", "passed", seconds=0.5, figures={"largest_error": 1e-6}),
        Check("timed", "passed", seconds=2.0, timings=timings, clocks=(Clocks(1980.0), Clocks())),
        Check("unequal", "failed", "out: 1, not <2>", 0.1),
        Check("two devices", "not run", "needs two devices"),
    )
    given = {
        "format_version": 1,
        "mode": "device",
        "created": "2026-01-01T00:00:00+00:00",
        "package_version": "0.1.0",
        "revision": None,
        "budget_s": 470.0,
        "took_s": 100.0,
        "schema_check": "pydantic 2",
        "machine": MACHINE,
        "tolerances": {"float32": (1e-4, 2e-5)},
        "parts": (Part("attention", "Attention", checks, 120.0, 70.0),),
    }
    return Document(**given | changes)


@pytest.mark.spawns
@pytest.mark.long
def test_numerics_in_the_interpreter(tmp_path, capsys, monkeypatch):
    """The checks of a device on tiny sizes, in two processes: against the compiled kernels and float64."""
    monkeypatch.setattr(parts, "n_processes", lambda _part: 2)
    pytest.importorskip("triton", reason="the extra cuda is not installed")
    assert cuda_check.main(["--interpreter", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    found = document.parse((tmp_path / "cuda-check.json").read_text())
    assert (found.mode, found.took_s) == ("interpreter", None)
    (attention,) = found.parts
    assert {check.status for check in attention.checks} == {"passed"}
    names = [check.name for check in attention.checks]
    for size in INTERPRETED:
        assert sum(f"float32, {label(size)}, dropout" in name for name in names) == 2
    for needed in (
        "float16",
        "bfloat16",
        "dropout masks",
        "nan in a key",
        "inf in a value",
        "same bits",
        "strides",
    ):
        assert any(needed in name for name in names), needed
    assert printed[-1] == f"{len(names)} passed, 0 failed, 0 not run"
    assert "numerics only, no times" in (tmp_path / "cuda-check.html").read_text()


def test_without_a_device_it_says_so(monkeypatch, tmp_path, capsys):
    nowhere = dataclasses.replace(MACHINE, device=None)
    monkeypatch.setattr(parts, "ask_machine", lambda _state: nowhere)
    assert cuda_check.main(["--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().out.startswith("no device")
    assert not (tmp_path / "new").exists()


@pytest.mark.spawns
def test_machine_is_asked_in_a_process_of_its_own():
    machine = parts.ask_machine("was there")
    assert (machine.torch, machine.extension) == (torch.__version__, "was there")
    assert (machine.device is None) == (not torch.cuda.is_available())


def run(tmp_path, planned, deadline=None):
    lines = tmp_path / "lines.jsonl"
    run_planned(planned, lines, deadline, timed=True)
    return {check.name: check for check in collect(lines.read_text().splitlines(), None)}


def test_each_check_has_one_of_three_ends(tmp_path):
    def lacks():
        raise NotRunError("needs two devices")

    def fails():
        raise AssertionError("out: 1, not 2")

    timed = Found("well", {"error": 0.5, "loss": float("nan")}, [TIMING], [Clocks()])
    planned = [Planned("good", lambda: timed), Planned("lacks", lacks), Planned("bad", fails)]
    found = run(tmp_path, [*planned, Planned("nothing to say", lambda: None)])
    assert [check.status for check in found.values()] == ["passed", "not run", "failed", "passed"]
    assert (found["good"].timings, found["good"].figures) == ((TIMING,), {"error": 0.5})
    assert found["good"].detail == "well; loss is nan"
    assert found["lacks"].detail == "needs two devices"
    assert re.fullmatch(r"AssertionError: out: 1, not 2 \(test_cuda_check.py:\d+\)", found["bad"].detail)


def test_what_does_not_fit_is_listed(tmp_path):
    found = run(tmp_path, [Planned("late", lambda: None)], deadline=time.monotonic() - 1)
    assert (found["late"].status, found["late"].detail) == ("not run", TIME_IS_UP)


def test_crash_fails_the_check_in_which_it_happened():
    lines = [
        '{"planned": ["a", "b", "c"]}',
        '{"started": "a"}',
        json.dumps({"check": dataclasses.asdict(Check("a", "passed"))}),
        '{"started": "b"}',
        '{"chec',
    ]
    found = collect(lines, "the process ended with -11")
    assert [(check.status, check.detail) for check in found] == [
        ("passed", ""),
        ("failed", "the process ended with -11"),
        ("not run", "the process ended with -11"),
    ]


@pytest.fixture
def process(monkeypatch, tmp_path):
    """Return ``process(code, allowed_s)``: a part whose process runs `code`, which knows the path `lines`."""

    def run_code(code, allowed_s=30.0, n=1):
        monkeypatch.setattr(parts, "n_processes", lambda _part: n)
        script = tmp_path / "script.py"
        script.write_text(f"import json, sys, time\nlines = open(sys.argv[4], 'a', buffering=1)\n{code}")
        monkeypatch.setattr(parts, "SCRIPT", script)
        return parts.run_part(
            parts.find("attention"), tmp_path, allowed_s=allowed_s, last_s=allowed_s, has_extension=True
        )

    return run_code


@pytest.mark.spawns
def test_checks_are_divided_among_processes(process):
    """One crashes after its plan, one before: the checks of the others are kept, in the listed order."""
    code = """
import os
number, n = map(int, sys.argv[sys.argv.index('--turn') + 1].split('/'))
names = [f'check {i}' for i in range(8)]
if number == 2:
    sys.exit('no device')
say = lambda **line: print(json.dumps(line), file=lines)
say(listed=names)
say(planned=names[number::n])
for name in names[number::n]:
    say(started=name)
    if name == 'check 1':
        sys.exit('illegal address')
    detail = os.environ['OMP_NUM_THREADS']
    say(check=dict(name=name, status='passed', detail=detail, seconds=1.0, figures={}, timings=[], clocks=[]))
"""
    part = process(code, n=3)
    assert [(check.name, check.status) for check in part.checks] == [
        ("check 0", "passed"),
        ("check 1", "failed"),
        ("check 2", "not run"),
        ("check 3", "passed"),
        ("check 4", "not run"),
        ("check 5", "not run"),
        ("check 6", "passed"),
        ("check 7", "not run"),
        ("Attention compared with the CPU, process 3 of 3", "failed"),
    ]
    assert part.checks[1].detail == part.checks[4].detail == "the process ended with 1: illegal address"
    assert part.checks[2].detail == part.checks[8].detail == "the process ended with 1: no device"


def test_each_check_belongs_to_one_process(tmp_path):
    planned = [Planned(f"check {number}", lambda: None) for number in range(7)]
    texts, checks = [], []
    for number in range(3):
        lines = tmp_path / f"{number}.jsonl"
        run_planned(planned, lines, None, (number, 3), timed=True)
        texts.append(lines.read_text().splitlines())
        checks.append(collect(texts[-1], None))
    assert [len(one) for one in checks] == [3, 2, 2]
    joined = join(texts, checks)
    assert [check.name for check in joined] == [one.name for one in planned]
    assert {check.status for check in joined} == {"passed"}


def test_only_untimed_checks_are_divided(monkeypatch):
    monkeypatch.setattr(parts.os, "sched_getaffinity", lambda _pid: range(16))
    monkeypatch.setattr(parts, "one_process_only", lambda: False)
    assert {part.name: parts.n_processes(part) for part in parts.PARTS if parts.n_processes(part) > 1} == {
        "attention": 6
    }
    monkeypatch.setattr(parts.os, "sched_getaffinity", lambda _pid: range(3))
    assert parts.n_processes(parts.find("attention")) == 1
    monkeypatch.setattr(parts.os, "sched_getaffinity", lambda _pid: range(16))
    monkeypatch.setattr(parts, "one_process_only", lambda: True)
    assert parts.n_processes(parts.find("attention")) == 1


STARTED = 'print(\'{"planned": ["a", "b"]}\\n{"started": "a"}\', file=lines)\n'


@pytest.mark.spawns
def test_process_that_crashes(process):
    part = process(STARTED + "sys.exit('illegal address')")
    assert [check.status for check in part.checks] == ["failed", "not run"]
    assert part.checks[0].detail == "the process ended with 1: illegal address"


@pytest.mark.spawns
def test_process_that_crashes_before_its_plan(process):
    (check,) = process("import nowhere").checks
    assert check.status == "failed"
    assert "No module named 'nowhere'" in check.detail


@pytest.mark.spawns
def test_process_that_the_budget_cuts_off(process, monkeypatch):
    part = process(STARTED + "time.sleep(60)", allowed_s=2.0)
    assert [(check.status, check.detail) for check in part.checks] == [("not run", "stopped after 2 s")] * 2
    monkeypatch.setattr(parts, "_HANGS_S", 1.0)
    part = process(STARTED + "time.sleep(60)", allowed_s=2.0)
    assert [check.status for check in part.checks] == ["failed", "not run"]


def test_shares_follow_what_is_left(monkeypatch, tmp_path):
    given = []

    def run_part(part, _folder, *, allowed_s, last_s, has_extension):
        given.append((allowed_s, last_s, part.share))
        return Part(part.name, part.title, ())

    monkeypatch.setattr(parts, "run_part", run_part)
    cuda_check._run(tmp_path, time.monotonic() + 480, None, has_extension=True)
    assert len(given) == len(parts.PARTS)
    assert given[0][0] == pytest.approx(470 * given[0][2] / 470, rel=0.01)
    # Nothing took any time: the last one gets all of it.
    assert given[-1][0] == pytest.approx(470, rel=0.01)


@pytest.mark.parametrize("part", parts.PARTS, ids=lambda part: part.name)
def test_part_that_lacks_a_package_is_not_run(monkeypatch, tmp_path, part):
    monkeypatch.setattr(pytest_part, "missing", lambda _name: ["pytest_benchmark"])
    lacking = dataclasses.replace(part, needs=("a_package_that_is_not_there",))
    made = parts.run_part(lacking, tmp_path, allowed_s=1.0, last_s=1.0, has_extension=True)
    assert [check.status for check in made.checks] == ["not run"]
    assert made.checks[0].detail.startswith("not installed: ")


@pytest.mark.spawns
def test_tests_for_a_device_are_listed_without_one(tmp_path):
    """The part that runs pytest, here where every one of them skips or takes its other way."""
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    assert len(pytest_part.files("tests")) >= 3
    lines = tmp_path / "lines.jsonl"
    code = (
        f"import sys; sys.path.insert(0, {str(parts.SCRIPT.parent)!r})\n"
        "from pathlib import Path\nfrom on_cuda import pytest_part\n"
        "pytest_part.files = lambda _part: ['tests/models/test_attention_triton.py']\n"
        f"pytest_part.run('tests', Path({str(lines)!r}), float('inf'))\n"
    )
    parts.subprocess.run([sys.executable, "-c", code], check=True, env=extension.environment(), timeout=120)
    (check,) = collect(lines.read_text().splitlines(), None)
    assert (check.name.rpartition("::")[2], check.status) == ("test_on_a_device", "not run")
    assert "no device" in check.detail


def test_missing_extension_says_what_building_lacks(monkeypatch):
    monkeypatch.setattr(extension, "why_missing", lambda: "No module named 'patchtst_har._core'")
    monkeypatch.setattr(extension, "what_building_lacks", lambda: ["cmake", "pybind11"])
    state = cuda_check._extension(1.0)
    assert state.startswith("missing (No module named")
    assert state.endswith("there would have to be cmake, pybind11")


WITHOUT_EXTENSION = """
import sys
sys.path.insert(0, {benches!r})
from on_cuda import extension
extension.do_without()
for name in ("pydantic", "yaml"):
    sys.modules[name] = None
from on_cuda.attention_cases import Where, agree, make_case
from on_cuda.checks import NotRunError
where = Where(interpreted=True, has_extension=False)
assert agree(where, make_case((1, 3, 1, 4))).figures
try:
    agree(where, make_case((1, 3, 1, 4), 0.5))
except NotRunError as error:
    print(error)
"""


@pytest.mark.spawns
def test_attention_is_checked_with_neither_extension_nor_pydantic():
    """Against float64, without dropout."""
    pytest.importorskip("triton", reason="the extra cuda is not installed")
    code = WITHOUT_EXTENSION.format(benches=str(parts.SCRIPT.parent))
    environment = extension.environment(TRITON_INTERPRET="1")
    command = [sys.executable, "-c", code]
    done = parts.subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "needs the compiled extension" in done.stdout


def test_document_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "cuda-check.json"
    document.write(make_document(), path)
    assert document.parse(path.read_text()) == make_document()
    assert make_document().exit_status == 1
    assert make_document(parts=()).exit_status == 1
    good = Part("attention", "Attention", (Check("equal", "passed"), Check("late", "not run")))
    assert make_document(parts=(good,)).exit_status == 0


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (lambda row: row["machine"].pop("torch"), "torch"),
        (lambda row: row.update(colour="red"), "colour"),
        (lambda row: row["parts"][0]["checks"][0].update(status="perhaps"), "status"),
        (lambda row: row.update(format_version=2), "format_version"),
    ],
)
def test_damaged_document_is_refused_by_field(damage, field):
    row = dataclasses.asdict(make_document())
    damage(row)
    with pytest.raises(ValidationError, match=field):
        document.parse(json.dumps(row))


def test_document_has_finite_numbers_and_no_times_of_the_interpreter(tmp_path):
    odd = Part("attention", "Attention", (Check("equal", "passed", figures={"error": float("nan")}),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        document.write(make_document(parts=(odd,)), tmp_path / "x.json")
    with pytest.raises(ValueError, match="interpreter has no times"):
        make_document(mode="interpreter")


def test_page_shows_everything_and_is_safe(tmp_path, capsys):
    path = tmp_path / "cuda-check.json"
    document.write(make_document(), path)
    assert cuda_check.main(["--render", str(path)]) == 0
    text = (tmp_path / "cuda-check.html").read_text()
    assert text == page.render(make_document())
    for wanted in (
        "A &lt;device&gt;",
        "out: 1, not &lt;2&gt;",
        "needs two devices",
        "12.5",
        "n/a",
        "1980.0",
        "<svg",
    ):
        assert wanted in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=", text)


def test_table_has_medians_ratios_and_what_is_missing(tmp_path, capsys):
    plain = dataclasses.replace(TIMING, variant="rotation and torch SDPA", p50_us=40.0, p95_us=None)
    alone = dataclasses.replace(TIMING, batch=32, what="forward, float32, B=32 N=12", peak_bytes=None)
    check = Check("timed", "passed", seconds=2.0, timings=(TIMING, plain, alone))
    path = tmp_path / "cuda-check.json"
    document.write(make_document(parts=(Part("attention times", "Times", (check,)),)), path)
    assert cuda_check.main(["--table", str(path)]) == 0
    assert (
        capsys.readouterr().out
        == """\
| device | date | software | revision | checks |
| --- | --- | --- | --- | --- |
| A <device> | 2026-01-01 | driver \u2013, torch 2.11, Triton 3.6 | \u2013 | 1 passed, 0 failed, 0 not run |

Times:

| what | batch | fused | rotation and torch SDPA | ratio | peak MiB |
| --- | --- | --- | --- | --- | --- |
| forward, float32, N=12 | 1 | 10 / 12 | 40 / n/a | 0.25 | 1.0 / 1.0 |
| forward, float32, N=12 | 32 | 10 / 12 | \u2013 | \u2013 | \u2013 / \u2013 |
"""
    )
