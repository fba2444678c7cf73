"""The study of small targets: what it limits, and what it reports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_target_limits import Control, DataLimit, DutyCycle, find_control
from streams import small_recognizer

STUDY = Path(__file__).parents[2] / "benches/study_small_targets.py"


@pytest.fixture
def proc(tmp_path):
    """Return what writes the two files of /proc that describe control groups; groups lie below `tmp_path`."""

    def write(groups, *mounts):
        (tmp_path / "cgroup").write_text("".join(f"{line}\n" for line in groups))
        lines = [f"31 23 0:28 / {tmp_path / at} rw,relatime - {rest}\n" for at, rest in mounts]
        (tmp_path / "mountinfo").write_text("".join(lines))
        return tmp_path

    return write


def hands_on(folder, *controllers):
    folder.mkdir(parents=True)
    (folder / "cgroup.subtree_control").write_text(" ".join(controllers) + "\n")


def test_groups_of_version_1_lie_below_the_own_group(proc, tmp_path):
    (tmp_path / "memory/mine").mkdir(parents=True)
    folder = proc(["4:memory:/mine", "1:cpu,cpuacct:/", "0::/"], ("memory", "cgroup cgroup rw,memory"))
    assert find_control("memory", folder) == Control(tmp_path / "memory/mine", 1)
    assert find_control("cpu", folder) is None


def test_groups_of_version_2_lie_below_the_nearest_that_hands_on(proc, tmp_path):
    hands_on(tmp_path / "all", "cpu", "memory")
    hands_on(tmp_path / "all/user", "memory")
    hands_on(tmp_path / "all/user/mine")
    folder = proc(["0::/user/mine"], ("all", "cgroup2 cgroup2 rw"))
    assert find_control("memory", folder) == Control(tmp_path / "all/user", 2)
    assert find_control("cpu", folder) == Control(tmp_path / "all", 2)
    assert find_control("io", folder) is None


def state_of(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.spawns
def test_a_duty_cycle_stops_and_continues():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        limit = DutyCycle(0.2)
        limit.apply(process.pid)
        seen = set()
        end = time.monotonic() + 20
        while not (seen >= {"T", "S"} and limit.facts()["nr_periods"]) and time.monotonic() < end:
            seen.add(state_of(process))
            time.sleep(0.005)
        limit.close()
        assert seen >= {"T", "S"}
        assert limit.facts()["nr_periods"] >= 1
        assert state_of(process) != "T"
        process.kill()


@pytest.mark.spawns
def test_a_limit_of_data_refuses_memory():
    code = "input(); bytearray(300_000_000)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        limit = DataLimit(100_000_000)
        limit.apply(process.pid)
        _, errors = process.communicate("\n")
    assert process.returncode == 1
    assert "MemoryError" in errors


@pytest.mark.spawns
def test_the_study_reports_every_share(tmp_path):
    model = small_recognizer().save_pretrained(tmp_path / "model")
    options = ["--decisions", "5", "--hop", "0.5", "--speed", "50", "--shares", "0.5"]
    result = subprocess.run(
        [sys.executable, STUDY, model, *options], capture_output=True, text=True, check=True
    )
    *table, document = result.stdout.splitlines()
    assert [row.split("|")[1].strip() for row in table] == ["processor", "---", "whole core", "50 %"]
    runs = json.loads(document)["runs"]
    assert [run["share"] for run in runs] == [None, 0.5]
    for run in runs:
        assert run["latency"]["n"] == 5
        assert run["latency"]["p95_us"] is None
        assert run["n_samples"] == 400
        assert run["deadline_s"] == 0.01
        assert run["heavy_modules"] == []
        assert run["memory_limit"]["by"]
        assert 0 < run["resident_anonymous"] < run["peak_resident"] < 128e6
    assert runs[1]["cpu_limit"]["nr_periods"] >= 1
