"""A preparation that is interrupted goes on: what it finished is not done again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording, write_recording
from patchtst_har.datasets.prepare import prepare_recordings
from patchtst_har.datasets.prepared_writer import PreparedWriter
from patchtst_har.datasets.unfinished import FOLDER
from patchtst_har.errors import DataError
from patchtst_har.support.termination import Terminated
from patchtst_har.synthetic import recording as make_recording

CONFIG = DataConfig(window_size=200, hop_size=200)
PEOPLE = ("P001", "P002", "P003")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, name in enumerate(PEOPLE):
        bouts = (("sitting", 4.0), ("walking", 4.0 + number))
        write_recording(folder / f"{name}.csv", make_recording(bouts=bouts, seed=number))
    return folder


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Participants whose windows are written; empty it to begin anew."""
    names: list[str] = []
    add = PreparedWriter.add

    def noted(self: PreparedWriter, participant: str, *given: Any) -> None:
        names.append(participant)
        add(self, participant, *given)

    monkeypatch.setattr(PreparedWriter, "add", noted)
    return names


def interrupt(recordings: Path, out: Path, *, after: int, error: BaseException, **more: Any) -> None:
    """Prepare until `after` people are done."""

    def stop(done: int, *_: object) -> None:
        if done == after:
            raise error

    with pytest.raises(type(error)):
        prepare_recordings(recordings, out, CONFIG, on_progress=stop, **more)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(signal.SIGTERM), OSError(28, "full")])
@pytest.mark.slow
def test_who_is_done_is_not_done_again(
    recordings: Path, tmp_path: Path, written: list[str], error: BaseException
) -> None:
    prepare_recordings(recordings, tmp_path / "whole", CONFIG)
    interrupt(recordings, tmp_path / "out", after=2, error=error)
    assert (tmp_path / "out" / FOLDER).is_dir()
    assert not (tmp_path / "out" / "manifest.csv").exists()
    written.clear()
    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG)
    assert written == ["P003"]
    assert dataset.participants == PEOPLE
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_replacement_goes_on_too(recordings: Path, tmp_path: Path, written: list[str]) -> None:
    out = tmp_path / "out"
    prepare_recordings({"P001": recordings / "P001.csv"}, out, CONFIG)
    before = content(out)
    interrupt(recordings, out, after=2, error=KeyboardInterrupt(), overwrite=True)
    assert content(out) == before
    with pytest.raises(DataError, match="holds a prepared data set already; pass --overwrite"):
        prepare_recordings(recordings, out, CONFIG)
    written.clear()
    dataset = prepare_recordings(recordings, out, CONFIG, overwrite=True)
    assert (written, dataset.participants) == (["P003"], PEOPLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recordings"]
    assert not (out / FOLDER).exists()


def test_a_recording_that_is_mended_does_not_cost_the_others(
    recordings: Path, tmp_path: Path, written: list[str]
) -> None:
    good = (recordings / "P003.csv").read_bytes()
    (recordings / "P003.csv").write_text("time,x,y\n")
    with pytest.raises(DataError, match="no column 'z'"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG)
    (recordings / "P003.csv").write_bytes(good)
    written.clear()
    prepare_recordings(recordings, tmp_path / "out", CONFIG)
    assert written == ["P003"]


MAP = LabelMap({"sitting": "low", "walking": "high"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "more"),
    [
        (CONFIG.replace(hop_size=100), {}),
        (CONFIG.replace(max_gap_s=2.0), {}),
        (CONFIG, {"label_map": MAP}),
        (CONFIG, {"reader": partial(read_recording, units="g")}),
        (CONFIG, {"reader": partial(read_recording, options=ReadOptions(on_disorder="sort"))}),
        (CONFIG, {"reader": lambda path: read_recording(path)}),
    ],
)
def test_with_other_settings_everyone_is_done_again(
    recordings: Path, tmp_path: Path, written: list[str], config: DataConfig, more: dict[str, Any]
) -> None:
    interrupt(recordings, tmp_path / "out", after=2, error=KeyboardInterrupt())
    written.clear()
    prepare_recordings(recordings, tmp_path / "out", config, **more)
    assert written == [*PEOPLE]
    prepare_recordings(recordings, tmp_path / "whole", config, **more)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.slow
def test_what_changed_is_done_again(recordings: Path, tmp_path: Path, written: list[str]) -> None:
    out = tmp_path / "out"

    def redone() -> list[str]:
        interrupt(recordings, out, after=3, error=KeyboardInterrupt())
        written.clear()
        return written

    redone()
    interrupt(recordings, out, after=3, error=KeyboardInterrupt())
    assert written == [], "nothing changed"
    write_recording(recordings / "P002.csv", make_recording(seed=9))
    assert redone() == []
    # Other windows under a finished name, a half-written note, a note of nobody.
    np.savez(out / "P001.npz", windows=np.zeros((1, 200, 3), np.float32))
    (out / FOLDER / "P003.json").write_text('{"key"')
    interrupt(recordings, out, after=3, error=KeyboardInterrupt())
    assert written == ["P001", "P003"]
    (out / "P001.npz").unlink()
    written.clear()
    prepare_recordings(recordings, out, CONFIG)
    assert written == ["P001"]
    prepare_recordings(recordings, tmp_path / "whole", CONFIG)
    assert content(out) == content(tmp_path / "whole")


def test_one_person_under_two_names_is_refused_after_an_interruption_too(
    recordings: Path, tmp_path: Path
) -> None:
    interrupt(recordings, tmp_path / "out", after=3, error=KeyboardInterrupt())
    shutil.copy(recordings / "P001.csv", recordings / "P004.csv")
    with pytest.raises(DataError, match=r"P004\.npz: participant 'P004' has the same windows as 'P001'"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG)


def test_another_clock_is_refused_after_an_interruption_too(recordings: Path, tmp_path: Path) -> None:
    interrupt(recordings, tmp_path / "out", after=3, error=KeyboardInterrupt())
    write_recording(recordings / "P002.csv", make_recording(seed=1).tz_localize("UTC"))
    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P003")
    assert "its stamps are UTC" in dataset.failures["P002"]


def test_another_reader_leaves_no_notes(recordings: Path, tmp_path: Path, written: list[str]) -> None:
    reader = partial(lambda path, **_: read_recording(path), units="g")
    interrupt(recordings, tmp_path / "out", after=2, error=KeyboardInterrupt(), reader=reader)
    assert not (tmp_path / "out" / FOLDER).exists()


# For every line that it is sent, starts a process that prepares and says who is written, until it is killed.
PREPARERS = """
import os
import sys
from pathlib import Path
from patchtst_har.config import DataConfig
from patchtst_har.datasets.prepare import prepare_recordings
from patchtst_har.datasets.prepared_writer import PreparedWriter
folder, recordings = map(Path, sys.argv[1:])
add = PreparedWriter.add
def noted(self, participant, *given):
    os.write(1, (participant + "\\n").encode())
    add(self, participant, *given)
PreparedWriter.add = noted
for _ in sys.stdin:
    begin, started = os.pipe()
    child = os.fork()
    if child:
        print(child, flush=True)
        os.write(started, b"!")
        os.waitpid(child, 0)
        print("over", flush=True)
    else:
        os.read(begin, 1)
        prepare_recordings(recordings, folder, DataConfig(window_size=200, hop_size=200), overwrite=True)
        os._exit(0)
"""


@pytest.mark.spawns
def test_kills_at_any_moment_lose_nobody_who_is_done(recordings: Path, tmp_path: Path) -> None:
    for number in range(4, 9):
        write_recording(recordings / f"P{number:03d}.csv", make_recording(seed=number))
    prepare_recordings(recordings, tmp_path / "whole", CONFIG)
    out = tmp_path / "out"
    prepare_recordings({"P001": recordings / "P001.csv"}, out, CONFIG)
    chance, n_taken_over = np.random.default_rng(0), 0
    command = [sys.executable, "-c", PREPARERS, str(out), str(recordings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as preparers:
        assert preparers.stdout is not None
        for _ in range(20):
            done = {note.stem for note in tmp_path.glob(f".out.*/{FOLDER}/*.json")}
            print(file=preparers.stdin, flush=True)
            child = int(preparers.stdout.readline())
            written = [preparers.stdout.readline()]
            # On a slow machine, too, somebody is done before some of the kills.
            for _ in range(int(chance.integers(3))):
                if written[-1] != "over\n":
                    written.append(preparers.stdout.readline())
            time.sleep(chance.uniform(0.0, 0.06))
            if written[-1] != "over\n":
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                written += iter(preparers.stdout.readline, "over\n")
            assert not done & {name.strip() for name in written}
            n_taken_over += len(done)
            if (out / "P008.npz").exists():
                break
            assert [path.name for path in out.glob("*.npz")] == ["P001.npz"]
    assert n_taken_over > 0
    prepare_recordings(recordings, out, CONFIG, overwrite=True)
    assert content(out) == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recordings", "whole"]
