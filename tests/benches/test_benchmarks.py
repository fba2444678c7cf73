"""The benchmarks as a user runs them, a few quick ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compare import main, parsed

pytestmark = pytest.mark.spawns

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments):
    # pytest's cache would take this run for the last one of the tests.
    options = ["-p", "no:cacheprovider", "--benchmark-only", "-q"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    # pytest-benchmark measures nothing in a worker of pytest-xdist, which this process may be.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the output and the file of a run of two benchmarks."""
    path = tmp_path_factory.mktemp("run") / "run.json"
    files = [f"benches/bench_{part}.py" for part in ("stream", "end_to_end", "plugins")]
    chosen = "of_one_sample or with_torch or plugin_of_a_batch"
    done = benchmarks(*files, "-k", chosen, "--rounds-factor", "0.04", f"--benchmark-json={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, path


def test_the_table_has_a_line_for_each_benchmark(stored):
    lines = {line.split()[0]: line.split()[1:] for line in stored[0].splitlines() if line.startswith("  ")}
    pushed = lines["push_of_one_sample"]
    assert float(pushed[0]) > 0
    assert float(pushed[1]) >= float(pushed[0])
    assert pushed[2:] == ["n/a", "-", "-", "-"]
    assert lines["window_to_label_with_torch"][1:3] == ["n/a", "n/a"]
    assert not any("plugin_of_a_batch" in name for name in lines)  # long
    host = stored[0].partition("microseconds an item")[2].partition("CPU p50")[0]
    assert all(name in host for name in ("cpu ", "isa ", "governor ", "torch 2"))


def test_the_file_has_percentiles_and_the_host(stored):
    document = json.loads(stored[1].read_text())
    rows = {row["name"]: row for row in document["benchmarks"]}
    info = rows["test_push_of_one_sample"]["extra_info"]
    assert info["p95_us"] >= info["p50_us"] > 0
    assert info["p99_us"] is None
    assert len(rows["test_push_of_one_sample"]["stats"]["data"]) == 200
    assert {"cpu", "isa", "python", "numpy", "torch", "governor"} <= document["machine_info"]["host"].keys()


def test_a_stored_run_equals_itself(stored, capsys):
    assert main([str(stored[1]), "--here", str(stored[1]), "--fail"]) == 0
    assert "2 compared: 0 slower, 0 faster beyond the noise" in capsys.readouterr().out


def test_a_slower_run_fails_if_asked(stored, tmp_path, capsys):
    paths = []
    for name, factor in ("base", 1), ("slower", 3):
        document = json.loads(stored[1].read_text())
        for row in document["benchmarks"]:
            row["stats"]["data"] = [factor * seconds for seconds in row["stats"]["data"]]
            row["extra_info"] |= {"interrupted_share": 0.0, "speed_us": [100.0, 100.0]}
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(document))
    for extra, status in ([], 0), (["--fail"], 1):
        assert main([str(paths[0]), "--here", str(paths[1]), *extra]) == status
        assert "p50 slower" in capsys.readouterr().out


def test_what_is_neither_a_file_nor_a_revision_is_refused(capsys):
    assert main(["no-such-thing"]) == 2
    assert capsys.readouterr() == ("", "'no-such-thing' is neither a file nor a git revision\n")


def test_arguments_after_two_dashes_are_for_pytest():
    chosen = parsed(["main", "--pairs", "4", "--", "-k", "stream", "--long"])
    assert (chosen.base, chosen.pairs, chosen.pytest) == ("main", 4, ["-k", "stream", "--long"])
    assert parsed(["main"]).pytest == []
