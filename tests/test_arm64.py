"""The kernels on 64-bit ARM: they compile without a warning, and give the values of this machine."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from patchtst_har import _core
from recorded_values import compare, main
from sweeps import ROOT, arm64_build, native_sweep, run_arm64

pytestmark = pytest.mark.compiles

COMPILER = "aarch64-linux-gnu-g++"
PACKAGES = "g++-aarch64-linux-gnu and qemu-user (Debian, Ubuntu)"
UNITS = sorted((ROOT / "csrc").glob("*/kernel/*.cpp"))
BASELINE = ["-DPATCHTST_HAR_VECTOR_BYTES=16", "-DPATCHTST_HAR_KERNELS=kBaselineKernels"]


def need(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} on this machine: install {PACKAGES}")


@pytest.fixture(scope="module")
def value_sweep(tmp_path_factory):
    return native_sweep("value_sweep", tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def values(value_sweep):
    """Return the file with the values of this machine's baseline."""
    path = value_sweep.with_name("values.txt")
    path.write_text(subprocess.run([value_sweep], capture_output=True, text=True, check=True).stdout)
    return path


@pytest.mark.long
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.parts[-3])
def test_a_baseline_unit_compiles_for_arm64(tmp_path, unit):
    need(COMPILER)
    command = [COMPILER, "-std=c++17", "-O3", "-ffp-contract=off", "-Werror", "-Wall", "-Wno-psabi"]
    subprocess.run(
        [*command, *BASELINE, "-I", ROOT / "csrc", "-c", unit, "-o", tmp_path / "unit.o"], check=True
    )


@pytest.mark.long
def test_arm64_gives_the_values_of_this_machine(values, tmp_path):
    need(COMPILER, "qemu-aarch64")
    folder = arm64_build("value_sweep", "stream_sweep")
    stream = run_arm64(folder / "stream_sweep")
    assert stream.returncode == 0, stream.stderr
    there = tmp_path / "arm64.txt"
    there.write_text(run_arm64(folder / "value_sweep").stdout)
    found = compare(values, there)
    assert found["bits"].n_values > 30_000
    assert found["bits"].n_different == 0
    assert found["last_place"].messages == found["rounding"].messages == ()


@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_instruction_set_gives_the_values_of_the_baseline(value_sweep, values, tmp_path, isa):
    there = tmp_path / "values.txt"
    there.write_text(subprocess.run([value_sweep, isa], capture_output=True, text=True, check=True).stdout)
    found = compare(values, there)
    assert set(found) == {"bits", "last_place", "rounding"}
    assert found["bits"].n_different == found["last_place"].n_different == 0
    assert found["rounding"].messages == ()


@pytest.mark.parametrize(
    ("case", "bit", "too_far"),
    [
        ("statistics_walking_1000", 0, True),
        ("statistics_walking_1000_library", 0, False),
        ("statistics_walking_1000_library", 4, True),
        ("model_7", 0, False),
        ("model_7", 20, True),
    ],
)
def test_what_is_too_far_is_named(values, tmp_path, capsys, case, bit, too_far):
    lines = values.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith(f"{case} "))
    name, agreement, first, *others = lines[row].split()
    lines[row] = " ".join([name, agreement, f"{int(first, 16) ^ 1 << bit:x}", *others])
    changed = tmp_path / "values.txt"
    changed.write_text("\n".join(lines))
    assert main(str(values), str(changed)) == too_far
    shown = capsys.readouterr()
    assert (f"{case}, value 0" in shown.err) == too_far
    assert "1 differ, by at most" in shown.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "other cases"),
        ("model_1 bits 0\n", "other cases"),
        ("model_1 exactly 0\n", "no agreement is called 'exactly'"),
        ("model_1 bits 0 pear\n", "model_1: a value cannot be read"),
    ],
)
def test_other_files_are_refused(values, tmp_path, text, message):
    path = tmp_path / "values.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        compare(values, path)
