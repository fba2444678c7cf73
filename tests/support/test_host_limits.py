import os

import pytest

from patchtst_har.support.host import host_facts
from patchtst_har.support.host_limits import ProcessorUse, clock_settings, container_limits


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_a_machine_that_shows_nothing_gives_none(tmp_path):
    assert clock_settings(tmp_path) == {"governor": None, "turbo": None}
    assert container_limits(tmp_path, tmp_path / "absent") == {"cpus": None, "memory_mb": None}


def test_governors_of_the_usable_cores_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 3})
    for number, name in enumerate(["powersave", "userspace", "performance", "performance"]):
        write(tmp_path / f"cpu{number}" / "cpufreq" / "scaling_governor", name)
    assert clock_settings(tmp_path)["governor"] == "performance,powersave"


@pytest.mark.parametrize(
    ("file", "text", "turbo"),
    [
        ("intel_pstate/no_turbo", "0", True),
        ("intel_pstate/no_turbo", "1", False),
        ("cpufreq/boost", "1", True),
        ("cpufreq/boost", "0", False),
    ],
)
def test_turbo_is_read_from_either_driver(tmp_path, file, text, turbo):
    write(tmp_path / file, text)
    assert clock_settings(tmp_path)["turbo"] is turbo


def test_the_tightest_limit_of_the_groups_above_counts(tmp_path):
    write(tmp_path / "membership", "0::/a/b")
    write(tmp_path / "groups/a/b/cpu.max", "max 100000")
    write(tmp_path / "groups/a/cpu.max", "25000 100000")
    write(tmp_path / "groups/a/b/memory.max", str(512 * 2**20))
    write(tmp_path / "groups/a/memory.max", "max")
    assert container_limits(tmp_path / "groups", tmp_path / "membership") == {"cpus": 0.25, "memory_mb": 512}


def test_the_first_version_of_control_groups_is_read(tmp_path):
    write(tmp_path / "membership", "8:memory:/a\n1:cpu,cpuacct:/a\n9:name=systemd:/")
    write(tmp_path / "groups/cpu,cpuacct/a/cpu.cfs_quota_us", "150000")
    write(tmp_path / "groups/cpu,cpuacct/a/cpu.cfs_period_us", "100000")
    write(tmp_path / "groups/cpu,cpuacct/cpu.cfs_quota_us", "-1")
    write(tmp_path / "groups/cpu,cpuacct/cpu.cfs_period_us", "100000")
    write(tmp_path / "groups/memory/a/memory.limit_in_bytes", str(128 * 2**20))
    write(tmp_path / "groups/memory/memory.limit_in_bytes", "9223372036854771712")
    assert container_limits(tmp_path / "groups", tmp_path / "membership") == {"cpus": 1.5, "memory_mb": 128}


def test_host_facts_tell_load_limits_and_the_collector():
    facts = host_facts()
    assert facts["load_average"] >= 0
    assert set(facts["container"]) == {"cpus", "memory_mb"}
    assert facts["garbage_collection"] is True


def test_shares_of_others_are_those_of_the_time_between(tmp_path):
    def at(ran, waited, ticks):
        (tmp_path / "self").mkdir(exist_ok=True)
        (tmp_path / "self" / "schedstat").write_text(f"{ran} {waited} 17\n")
        (tmp_path / "stat").write_text(f"cpu  {ticks} 5 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
        return ProcessorUse.now(tmp_path)

    before = at(1_000, 500, "10 0 10 60 10 0 0 10")
    after = at(4_000, 1_500, "20 0 20 110 20 0 0 30")
    assert before.until(after) == {"waited_share": 0.25, "stolen_share": 0.2}
    assert before.until(before) == {"waited_share": 0.0, "stolen_share": 0.0}
    assert before.until(None) == {}


def test_a_system_that_shows_no_counters_has_no_shares(tmp_path):
    assert ProcessorUse.now(tmp_path) is None
