from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import patchtst_har
from patchtst_har.support.host import host_facts, package_versions

NAMES = ["avx512", "avx2", "baseline"]


def import_with(isa, code="import patchtst_har; print(patchtst_har.cpu_info()['active'])"):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATCHTST_HAR_ISA": isa},
    )


@pytest.mark.spawns
def test_available_sets_come_in_order_of_priority_and_the_first_is_active():
    code = "import json, patchtst_har; print(json.dumps(patchtst_har.cpu_info()))"
    info = json.loads(import_with("", code).stdout)
    assert info["available"] == [name for name in NAMES if name in info["available"]]
    assert info["available"][-1] == "baseline"
    assert info["active"] == info["available"][0]


def test_available_sets_follow_from_the_features():
    info = patchtst_har.cpu_info()
    features = info["features"]
    assert ("avx2" in info["available"]) == (features.get("avx2", False) and features.get("fma", False))
    needed = [present for name, present in features.items() if name != "avx512_bf16"]
    assert ("avx512" in info["available"]) == (bool(needed) and all(needed))


@pytest.mark.skipif(platform.system() != "Linux", reason="the processor's flags are read from /proc")
def test_features_agree_with_the_operating_system():
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    for name, present in patchtst_har.cpu_info()["features"].items():
        assert present == (name in flags)


@pytest.mark.spawns
def test_the_environment_forces_a_set():
    for name in patchtst_har.cpu_info()["available"]:
        assert import_with(name).stdout.strip() == name


@pytest.mark.spawns
def test_an_unknown_set_fails_the_import_and_names_the_choices():
    result = import_with("sse9")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: PATCHTST_HAR_ISA: no instruction set is called 'sse9'")
    assert last.endswith(", ".join(patchtst_har.cpu_info()["available"]))


@pytest.mark.spawns
def test_an_unavailable_set_fails_the_import_and_names_the_choices():
    available = patchtst_har.cpu_info()["available"]
    missing = [name for name in NAMES if name not in available]
    if not missing:
        pytest.skip("this machine runs every instruction set")
    last = import_with(missing[0]).stderr.strip().splitlines()[-1]
    assert f"PATCHTST_HAR_ISA: this machine has no {missing[0]}" in last
    assert last.endswith(", ".join(available))


def test_host_facts_name_the_active_set():
    facts = host_facts()
    assert facts["isa"] == patchtst_har.cpu_info()["active"]
    assert facts["isas_available"] == patchtst_har.cpu_info()["available"]


@pytest.mark.spawns
def test_cpu_info_loads_nothing_heavy():
    code = "import sys, patchtst_har; patchtst_har.cpu_info(); print({'torch', 'pandas'} & {*sys.modules})"
    assert import_with("", code).stdout.strip() == "set()"


def test_a_system_that_tells_little_gives_what_python_knows(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.delattr(os, "sched_getaffinity")
    facts = host_facts()
    assert facts["cpu"] == (platform.processor() or platform.machine())
    assert facts["n_usable_cores"] == os.cpu_count()
    versions = package_versions(["numpy", "no-such-package"])
    assert versions == {"numpy": facts["numpy"], "no-such-package": "not installed"}


def test_host_facts_name_the_processor(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    facts = host_facts()
    assert facts["cpu"]
    assert facts["n_usable_cores"] >= 1
    assert facts["threads"]["OMP_NUM_THREADS"] == "3"
    json.dumps(facts, allow_nan=False)
