import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data import formats
from patchtst_har.data.formats import ENTRY_POINT_GROUP, FORMATS, known_suffixes, recording_suffix
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording
from patchtst_har.datasets.prepare import find_recordings
from patchtst_har.errors import DataError

DOCS = Path(__file__).parents[3] / "docs"
TEN_LINES = """
import numpy as np, pandas as pd
def read(path, time_column, time_unit):
    times = pd.date_range("2024-03-01 09:00", periods=3, freq="10ms", tz="Europe/Oslo", unit="us")
    axes = {axis: np.array([0, 0, 9.80665]) for axis in "zxy"}
    return pd.DataFrame({"annotation": ["walk", None, ""], "steps": 1, **axes, "light": 7}, index=times)
"""

Install = Callable[[str, str, Mapping[str, str]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Return a function that installs a package: one module, and entry points for formats."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def add(package: str, source: str, declared: Mapping[str, str]) -> None:
        (site / f"{package}.py").write_text(source)
        folder = site / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = {value}" for name, value in declared.items())
        (folder / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{lines}\n")
        monkeypatch.delitem(sys.modules, package, raising=False)
        formats._entry_points.cache_clear()

    formats._entry_points.cache_clear()
    yield add
    formats._entry_points.cache_clear()


def file(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(b"something")
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_built_in_reader_can_be_loaded_and_is_documented(suffix: str) -> None:
    assert callable(EntryPoint(suffix, FORMATS[suffix], ENTRY_POINT_GROUP).load())
    table = re.findall(r"^\| (`\..*?) \|", (DOCS / "data.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"`{suffix}`" in ", ".join(table).split(", ")


def test_a_package_adds_a_format(install: Install, tmp_path: Path) -> None:
    install("reads_omx", TEN_LINES, {"omx": "reads_omx:read"})
    assert known_suffixes() == (*FORMATS, ".omx")
    path = file(tmp_path, "P01.OMX")
    assert find_recordings(tmp_path) == {"P01": path}
    recording, info = read_recording(path, units="m/s2")
    assert list(recording.columns) == ["x", "y", "z", "annotation", "light"]
    assert recording.index.dtype == "datetime64[ns, UTC]"
    assert recording.index[0] == pd.Timestamp("2024-03-01 08:00", tz="UTC")
    assert recording.index.name == "time"
    np.testing.assert_array_equal(recording["y"], np.float32([0, 0, 1]))
    assert recording["x"].dtype == recording["light"].dtype == np.float32
    assert recording["annotation"].tolist()[0] == "walk"
    assert recording["annotation"].isna().tolist() == [False, True, True]
    assert info["sample_rate_hz"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        ("", "broken:read", r"the reader 'broken:read' of package broken failed \(AttributeError"),
        ("import nothing_like_it", "broken:read", r"package broken failed \(ModuleNotFoundError"),
        ("def read(path, *rest): raise OSError('no disk')", "broken:read", r"failed \(OSError: no disk\)"),
        ("raise SystemExit('a script')", "broken:read", r"failed \(SystemExit: a script\)"),
        ("def read(path, *rest): return [1]", "broken:read", "returned list, a DataFrame is needed"),
        ("import pandas\ndef read(*_): return pandas.DataFrame()", "broken:read", "needs a DatetimeIndex"),
        (TEN_LINES.replace('"zxy"', '"zx"'), "broken:read", r"P01\.omx: no column 'y'"),
        (TEN_LINES.replace("9.80665", "'a'"), "broken:read", "column 'x' holds .*, numbers are needed"),
        (
            TEN_LINES.replace('"light": 7', '"light": "a"'),
            "broken:read",
            r"package broken failed \(ValueError",
        ),
    ],
)
def test_a_broken_reader_is_named(
    install: Install, tmp_path: Path, source: str, value: str, message: str
) -> None:
    install("broken", source, {"omx": value})
    with pytest.raises(DataError, match=message) as raised:
        read_recording(file(tmp_path, "P01.omx"))
    assert str(tmp_path / "P01.omx") in str(raised.value)


def test_columns_of_a_format_of_a_package_are_its_own(install: Install, tmp_path: Path) -> None:
    install("reads_omx", TEN_LINES, {"omx": "reads_omx:read"})
    path = file(tmp_path, "P01.omx")
    assert len(read_recording(path, options=ReadOptions(columns={"time": "t"}))[0]) == 3
    with pytest.raises(DataError, match=r"P01\.omx: columns other than time do not apply to files that"):
        read_recording(path, options=ReadOptions(columns={"x": "lateral"}))


def test_a_built_in_format_cannot_be_taken_and_the_attempt_is_reported(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("greedy", TEN_LINES, {"csv": "greedy:read"})
    path = tmp_path / "P01.csv"
    path.write_text("time,x,y,z\n2024-03-01,0,0,1\n")
    assert known_suffixes() == tuple(FORMATS)
    assert len(read_recording(path)[0]) == 1
    assert "the reader 'greedy:read' of package greedy is ignored" in caplog.text


def test_two_packages_for_one_format_are_refused(install: Install, tmp_path: Path) -> None:
    install("left", TEN_LINES, {"omx": "left:read"})
    install("right", TEN_LINES, {"omx": "right:read"})
    with pytest.raises(DataError, match=r"\.omx is read by .*left and by .*right: uninstall one"):
        read_recording(file(tmp_path, "P01.omx"))


def test_the_longest_suffix_decides(install: Install) -> None:
    install("packed", TEN_LINES, {"gz": "packed:read"})
    assert recording_suffix("P01.csv.gz") == ".csv.gz"
    assert recording_suffix("P01.omx.GZ") == ".gz"
    assert recording_suffix("P01.omx") is None


def test_earlier_import_paths_are_the_very_modules():
    from patchtst_har.data import csv_reader, frames, raw_samples
    from patchtst_har.data.formats import csv

    assert csv_reader is csv  # So that what is set on it holds for the reader.
    assert raw_samples is frames
    assert importlib.import_module("patchtst_har.data.csv_reader") is csv
