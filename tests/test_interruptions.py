"""Long commands that are killed, or lack disk or memory, are called again and end as if nothing had been.

Studies, run by name: ``make test ARGS='-m study tests/test_interruptions.py'``.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from cohorts import write_cohort
from experiments import small_config
from patchtst_har.config import SmoothingConfig, TrainingConfig
from patchtst_har.data.recording import write_recording
from patchtst_har.synthetic import recording as make_recording
from streams import small_recognizer, with_familiarity

N_KILLS = int(os.environ.get("KILLS", "200"))
# Calls commands in children of a process that has imported what they need: else, most kills hit imports.
CALLER = """
import json, os, resource, sys
import torch
import patchtst_har.cli, patchtst_har.cohort, patchtst_har.datasets.prepare, patchtst_har.training
from patchtst_har.inference import export
if "export" in sys.argv:
    # ONNX Runtime has a thread of its own, so that a child could not use it.
    import onnx, onnxscript, torch._dynamo, torch.export
for line in sys.stdin:
    log, most_bytes, arguments = json.loads(line)
    begin, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.read(begin, 1)
        os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 1)
        os.dup2(1, 2)
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
        sys.argv = ["patchtst-har", *arguments]
        patchtst_har.cli.main()
    print(child, flush=True)
    os.write(started, b"!")
    os.close(begin), os.close(started)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes
    ----------
    name : str
        For the messages.
    arguments : callable
        From the folder that it is to fill to its arguments.
    content : callable
        From that folder to what must not depend on kills.
    again : tuple of str
        What is added to the arguments when it is called again.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    content: Callable[[Path], dict[str, object]]
    again: tuple[str, ...] = ()


class Caller:
    """Calls commands, and kills them.

    Parameters
    ----------
    log : pathlib.Path
        What the last one printed.
    name : str
        Of the commands that are called.
    """

    def __init__(self, log: Path, name: str) -> None:
        self.log, self._name = log, name

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CALLER, self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Installed code is compiled; without memory for it, Python's compiler raises anything.
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""},
        )
        assert self(["--help"]) == 0
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.stdin.close()

    def __call__(
        self, arguments: list[str], *, kill_after_s: float | None = None, most_bytes: int | None = None
    ) -> int:
        """Return a command's exit status, once no process of it is left."""
        line = json.dumps([str(self.log), most_bytes, arguments])
        print(line, file=self._process.stdin, flush=True)
        child = int(self._process.stdout.readline())
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(self._process.stdout.readline())
        until = time.monotonic() + 60
        while members := members_of(child):
            assert time.monotonic() < until, f"processes of the command go on: {members}"
            time.sleep(0.01)
        return status

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")


def members_of(session: int) -> list[str]:
    """Return the commands of the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append((path.parent / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def bytes_of(folder: Path, *left_out: str) -> dict[str, object]:
    """Return every file below a folder, but for some names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


def without_times(document: object) -> object:
    """Return a JSON value without what says when, or how long."""
    if isinstance(document, dict):
        return {
            name: without_times(value)
            for name, value in document.items()
            if not name.endswith(("_at", "_s", "seconds", "time")) and name != "data_wait"
        }
    return [without_times(value) for value in document] if isinstance(document, list) else document


def trained(folder: Path) -> dict[str, object]:
    (run,) = folder.iterdir()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "metrics": [without_times(line) for line in lines],
        "predictions": (run / "predictions.csv").read_bytes(),
        "weights": (run / "model" / "model.safetensors").read_bytes(),
        "files": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
    }


def labelled(folder: Path) -> dict[str, object]:
    """Return the labels and tables; a page or a table of times says how long it took."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return bytes_of(folder, "timings.csv", "cohort.html") | {"names": names}


@pytest.fixture(scope="module")
def commands(prepared, tmp_path_factory) -> dict[str, Command]:
    base = tmp_path_factory.mktemp("kills")
    recordings, cohort, model = base / "recordings", base / "cohort", base / "model"
    recordings.mkdir()
    for number in range(1, 9):
        write_recording(recordings / f"P{number:03d}.csv", make_recording(seed=number))
    write_cohort(cohort, 4)
    with_familiarity(small_recognizer()).save_pretrained(model)
    small_config(
        prepared,
        experiment_name="run",
        training=TrainingConfig(epochs=6, lr=3e-3, n_threads=1),
        smoothing=SmoothingConfig(method="none"),
    ).save(base / "run.yaml")
    train = ["train", "--config", str(base / "run.yaml"), "--baselines", "majority", "--resume"]
    label = ["predict", str(cohort), "--model", str(model), "--no-report"]
    return {
        command.name: command
        for command in (
            Command("train", lambda out: [*train, "--set", f"output_dir={out}"], trained),
            Command("prepare", lambda out: ["prepare", str(recordings), "--out", str(out)], bytes_of),
            Command("predict", lambda out: [*label, "--out", str(out), "--workers", "0"], labelled),
            Command("cohort", lambda out: [*label, "--out", str(out), "--workers", "2"], labelled),
            Command(
                "export",
                lambda out: ["export", str(model), "--out", str(out / "model.onnx")],
                bytes_of,
                again=("--overwrite",),
            ),
        )
    }


NAMES = ["train", "prepare", "predict", "cohort", "export"]


@pytest.mark.study
@pytest.mark.parametrize("name", NAMES)
def test_two_hundred_kills_at_random_moments_change_nothing(commands, tmp_path, name):
    command, out = commands[name], tmp_path / "place" / "out"
    out.mkdir(parents=True)
    with Caller(tmp_path / "log", name) as call:
        took_s = []
        for _ in range(2):
            shutil.rmtree(out)
            out.mkdir()
            began = time.monotonic()
            assert call(command.arguments(out)) == 0, call.printed()
            took_s.append(time.monotonic() - began)
        expected, chance, n_kills, n_finished, ended = command.content(out), random.Random(0), 0, 0, True  # noqa: S311
        while n_kills < N_KILLS:
            was_new = ended
            if was_new:
                # The next kills fall into one that begins again.
                assert command.content(out) == expected
                shutil.rmtree(out)
                out.mkdir()
            after_s = chance.uniform(0.0, 1.1) * min(took_s)
            began = time.monotonic()
            status = call([*command.arguments(out), *command.again], kill_after_s=after_s)
            assert status in (0, -signal.SIGKILL) or "already" in call.printed(), call.printed()
            ended = status != -signal.SIGKILL
            if ended and was_new:
                # Other work may have come to an end: kills are to fall into the whole of a run.
                took_s.append(time.monotonic() - began)
            n_kills += not ended
            n_finished += ended
            print(f"{name}: {n_kills} kills, {n_finished} whole runs in between", flush=True)
        status = call([*command.arguments(out), *command.again])
        assert status == 0 or "already" in call.printed(), call.printed()
    assert command.content(out) == expected
    assert [path.name for path in out.parent.iterdir()] == ["out"], "nothing is left next to it"
    print(f"{name}: {n_kills} kills, {n_finished} whole runs in between, one takes {min(took_s):.1f} s")


def mounted(*arguments: str | Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted("-o", "size=1g", "none", place)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted")
    yield place
    subprocess.run(["umount", place], check=True)


def one_line(call: Caller) -> str:
    """Return the error that a command printed, which has one line and no traceback."""
    errors = [line for line in call.printed().splitlines() if line.startswith("patchtst-har: error: ")]
    assert "Traceback" not in call.printed()
    assert len(errors) == 1, call.printed()
    return errors[0]


@pytest.mark.study
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_named_and_the_command_goes_on_when_there_is_room(
    commands, tmp_path, small_disk, name
):
    command, out = commands[name], small_disk / "out"
    out.mkdir()
    with Caller(tmp_path / "log", name) as call:
        assert call(command.arguments(out)) == 0, call.printed()
        expected = command.content(out)
        needed = sum(path.stat().st_blocks * 512 for path in out.rglob("*"))
        for part in (0.02, 0.3, 0.6, 0.95):
            shutil.rmtree(out)
            out.mkdir()
            mounted("-o", f"remount,size={max(int(part * needed), 8192)}", "none", small_disk)
            status = call(command.arguments(out))
            assert status != 0
            text = call.printed()
            assert "No space left on device" in text, text
            assert "Traceback" not in text
            mounted("-o", "remount,size=1g", "none", small_disk)
            assert call([*command.arguments(out), *command.again]) == 0, call.printed()
            assert command.content(out) == expected
    assert [path.name for path in small_disk.iterdir()] == ["out"]


@pytest.mark.study
@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_cannot_be_written_is_named_before_any_work(commands, tmp_path, small_disk, name):
    command, out = commands[name], small_disk / "out"
    out.mkdir()
    with Caller(tmp_path / "log", name) as call:
        mounted("-o", "remount,ro", "none", small_disk)
        assert call(command.arguments(out)) == 2
        assert re.search(r"Read-only file system|cannot be written", one_line(call))
        assert str(out) in one_line(call)
        mounted("-o", "remount,rw", "none", small_disk)
        assert call([*command.arguments(out), *command.again]) == 0, call.printed()


@pytest.mark.study
@pytest.mark.parametrize("name", NAMES)
def test_memory_that_does_not_suffice_is_an_error_that_leaves_nothing_broken(commands, tmp_path, name):
    command, out = commands[name], tmp_path / "place" / "out"
    out.mkdir(parents=True)
    with Caller(tmp_path / "log", name) as call:
        assert call(command.arguments(out)) == 0, call.printed()
        expected, n_refused = command.content(out), 0
        for most_mib in (150, 200, 250, 300, 350, 400, 500, 700):
            shutil.rmtree(out)
            out.mkdir()
            status = call(command.arguments(out), most_bytes=most_mib * 2**20)
            if status != 0:
                n_refused += 1
                assert status > 0, f"a signal with {most_mib} MiB: {call.printed()}"
                assert "Traceback" not in call.printed(), call.printed()
                again = call([*command.arguments(out), *command.again])
                assert again == 0 or "already" in call.printed(), call.printed()
            assert command.content(out) == expected
    assert n_refused > 0, "no limit was too low"
    assert [path.name for path in out.parent.iterdir()] == ["out"]
