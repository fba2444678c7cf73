import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.recording import read_recording
from patchtst_har.datasets.demo_recordings import WATCH_CLASSES, write_watch_recordings
from patchtst_har.datasets.prepare import prepare_recordings
from patchtst_har.errors import MissingDependencyError


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("seglearn")
    return write_watch_recordings(tmp_path_factory.mktemp("watch") / "recordings")


@pytest.mark.slow
def test_one_file_a_person(paths: list[Path]) -> None:
    assert [path.name for path in paths] == [f"P{number:02d}.csv" for number in range(1, 11)]


@pytest.mark.slow
def test_a_person_has_every_series_of_both_arms_with_pauses_between(paths: list[Path]) -> None:
    from seglearn.datasets import load_watch

    data = load_watch()
    recording, info = read_recording(paths[2], strict=True)
    chosen = [k for side in (0, 1) for k in range(140) if data["subject"][k] == 3 and data["side"][k] == side]
    assert len(chosen) == 14
    steps_s = np.diff(recording.index.astype("int64")) * 1e-9
    pauses = np.flatnonzero(steps_s > 1)
    np.testing.assert_allclose(steps_s[pauses], 60.0)
    np.testing.assert_allclose(np.delete(steps_s, pauses), 0.02)
    starts = np.concatenate([[0], pauses + 1, [len(recording)]])
    assert len(starts) == 15
    for k, (begin, end) in zip(chosen, pairwise(starts), strict=True):
        part = recording.iloc[begin:end]
        np.testing.assert_allclose(part[["x", "y", "z"]], data["X"][k][:, :3], atol=1e-6)
        assert set(part["annotation"]) == {WATCH_CLASSES[data["y_labels"][data["y"][k]]]}
    assert info["sample_rate_hz"] == pytest.approx(50)


@pytest.mark.slow
def test_the_demo_can_be_prepared(paths: list[Path], tmp_path: Path) -> None:
    dataset = prepare_recordings({path.stem: path for path in paths[:2]}, tmp_path / "out", DataConfig())
    assert dataset.classes == tuple(sorted(WATCH_CLASSES.values()))
    person = dataset.load("P01")
    assert set(person.labels) == set(dataset.classes)
    assert len(dataset.classes) == 7
    assert person.windows.shape[1:] == (1000, 3)
    assert np.median(np.linalg.norm(person.windows, axis=2)) == pytest.approx(1.0, abs=0.15)


def test_without_seglearn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "seglearn.datasets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'patchtst-har\[demo\]'"):
        write_watch_recordings(tmp_path / "out")
    assert not (tmp_path / "out").exists()
