"""Device files with bytes changed, lost or repeated at random: a recording, or one line that says why not."""

import random
import warnings
from pathlib import Path

import numpy as np
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
    "packed.cwa": cwa(SAMPLES, packing=0x30),
    "plain.cwa": cwa(SAMPLES, packing=0x62),
    "a.bin": geneactiv(on_geneactiv_grid(SAMPLES)),
    "plain.gt3x": gt3x([HEAD, *activity(SAMPLES)]),
    "packed.gt3x": gt3x([HEAD, *activity(SAMPLES, kind=ACTIVITY)]),
    "old.gt3x": zipped(
        {"info.txt": info_txt(serial="NEO").encode(), "activity.bin": packed_12_bits(SAMPLES, 341)}
    ),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    stop = min(len(content), first + rng.randrange(1, 1500))
    changed = bytearray(content)
    for _ in range(rng.choice((1, 4, 30))):
        changed[rng.randrange(rng.choice((1100, len(content))) % len(content) or 1)] = rng.randrange(256)
    return rng.choice(
        (content[:first], content[:first] + content[stop:], content[:stop] + content[first:], bytes(changed))
    )


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_damaged_is_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)  # noqa: S311
    n_read = 0
    for _ in range(40):
        (tmp_path / name).write_bytes(damaged(FILES[name], rng) or b"\0")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                recording, info = read_recording(tmp_path / name)
        except DataError as error:
            assert str(error).startswith(str(tmp_path / name))
            assert "\n" not in str(error)
        else:
            n_read += 1
            assert info["n_samples"] == len(recording) > 0
            assert np.all(np.diff(recording.index.asi8) >= 0)
            assert np.isfinite(recording[["x", "y", "z"]].to_numpy()).all()
    assert n_read > 0
