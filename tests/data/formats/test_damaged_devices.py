"""Device files with bytes changed, lost or repeated at random: a recording, or one line that says why not."""

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_writers import (
    ACTIVITY,
    PARAMETERS,
    START,
    activity,
    cwa,
    geneactiv,
    gt3x,
    info_txt,
    log_record,
    on_geneactiv_grid,
    packed_12_bits,
    parameters,
    seconds_1970,
    walk,
    zipped,
)
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError

SAMPLES = walk(600)
HEAD = log_record(PARAMETERS, seconds_1970(START), parameters(sleep_mode=True))
FILES = {
    "packed.cwa": (cwa(SAMPLES, packing=0x30), None),
    "plain.cwa": (cwa(SAMPLES, packing=0x62), None),
    "a.bin": (geneactiv(on_geneactiv_grid(SAMPLES)), None),
    "archive.gt3x": (gt3x([HEAD, *activity(SAMPLES)]), None),
    "plain.gt3x": (b"".join([HEAD, *activity(SAMPLES)]), "log.bin"),
    "packed.gt3x": (b"".join([HEAD, *activity(SAMPLES, kind=ACTIVITY)]), "log.bin"),
    "old.gt3x": (packed_12_bits(SAMPLES, 341), "activity.bin"),
}
"""Contents, and which member of an archive they are."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    stop = min(len(content), first + rng.randrange(1, 1500))
    changed = bytearray(content)
    for _ in range(rng.choice((1, 4, 30))):
        changed[rng.randrange(rng.choice((1100, len(content))) % len(content) or 1)] = rng.randrange(256)
    return rng.choice(
        (content[:first], content[:first] + content[stop:], content[:stop] + content[first:], bytes(changed))
    )


def outcome(path: Path) -> tuple[pd.DataFrame, dict[str, Any]] | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_recording(path)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.slow
def test_whatever_is_damaged_is_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)  # noqa: S311
    content, member = FILES[name]
    n_read = 0
    for _ in range(30):
        changed = damaged(content, rng) or b"\0"
        archive = {"info.txt": info_txt(serial="NEO1").encode(), str(member): changed}
        (tmp_path / name).write_bytes(zipped(archive) if member else changed)
        found = outcome(tmp_path / name)
        if isinstance(found, str):
            assert found.startswith(str(tmp_path / name))
            assert "\n" not in found
            continue
        n_read += 1
        recording, info = found
        assert info["n_samples"] == len(recording) > 0
        assert np.all(np.diff(recording.index.asi8) >= 0)
        assert np.isfinite(recording[["x", "y", "z"]].to_numpy()).all()
    # The archive has a checksum over everything; of the others, most is read.
    assert n_read > 15 or name == "archive.gt3x"


class Panic(BaseException):
    """As a panic of Rust code comes to Python."""


@pytest.mark.parametrize("error", [Panic("index out of\nbounds"), ValueError("no such block")])
def test_what_the_decoder_raises_is_one_line_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def read(path: str) -> None:
        raise error

    monkeypatch.setattr("actfast.read", read)
    (tmp_path / "a.cwa").write_bytes(FILES["plain.cwa"][0])
    with pytest.raises(DataError, match=r"a\.cwa: actfast 1\S+ cannot decode it \((index out|no such) "):
        read_recording(tmp_path / "a.cwa")
