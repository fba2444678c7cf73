"""A small simulated data set in the layout in which CAPTURE-24 is published, for examples and tests.

The signals are those of `patchtst_har.synthetic.daily_bout`; annotations are written as in the data set, but
they, their codes and the dictionary are made up and far fewer.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from patchtst_har.data.recording import write_recording
from patchtst_har.datasets.capture24 import DICTIONARY, METADATA
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_write_text, ensure_folder
from patchtst_har.synthetic import daily_bout, recording

CAPTURE24_SCHEMAS = (
    "WillettsSpecific2018", "WillettsMET2018", "DohertySpecific2018", "Willetts2018", "Doherty2018",
    "Walmsley2020",
)  # fmt: skip
"""Columns of the dictionary, in its order."""

# Activity of the signal, annotation, and a class for each schema.
_ACTIVITIES = (
    ("lying", "9000 asleep in bed;MET 1.0", "sleep,sleep,sleep,sleep,sleep,sleep"),
    (
        "sitting",
        "work;desk job;9100 typing and reading at a desk;MET 1.4",
        "sitting,seated-low,seated-screen,sit-stand,sedentary,sedentary",
    ),
    (
        "sitting",
        "leisure;seated;9110 sitting, watching a film;MET 1.2",
        "sitting,seated-low,seated-screen,sit-stand,sedentary,sedentary",
    ),
    (
        "standing",
        "home;kitchen;9200 washing up, standing;MET 2.2",
        "standing,upright-low,standing,sit-stand,light-tasks,light",
    ),
    (
        "walking",
        "transport;on foot;9300 walking to work, usual pace;MET 3.4",
        "walking,walking,walking,walking,walking,light",
    ),
    (
        "stairs",
        "home;on foot;9310 going up and down stairs;MET 5.0",
        "walking,walking,walking,walking,walking,moderate-vigorous",
    ),
    (
        "running",
        "leisure;sports;9400 jogging in the park;MET 7.0",
        "sports,sports,sports,mixed,moderate,moderate-vigorous",
    ),
)
# In the dictionary only: nobody rides a bicycle here, and of this camera image nothing can be told.
_UNUSED = (
    (
        "transport;on wheels;9500 cycling, moderate effort;MET 6.5",
        "bicycling,bicycling,cycling,bicycling,moderate,moderate-vigorous",
    ),
)
_NO_CLASS = "unknown;9900 camera covered, activity not visible;MET 1.5"
_AGES = ("18-29", "30-37", "38-52", "53+")


def write_capture24(
    folder: str | os.PathLike[str],
    participants: Sequence[str] = ("P001", "P002", "P003", "P101"),
    *,
    bout_s: float = 60.0,
    seed: int = 0,
) -> list[Path]:
    """Write simulated recordings in the published layout of CAPTURE-24.

    Each participant does every activity once, in an order of their own, with a pause without annotation and a
    short bout whose annotation has no class in any schema.

    Parameters
    ----------
    folder : path-like
        Created if need be; files of these names are replaced.
    participants : sequence of str
        ``P001`` to ``P151``.
    bout_s : float
        Length of each bout, in seconds, from 10 to 3,600.
    seed : int
        The same files for the same arguments.

    Returns
    -------
    list of pathlib.Path
        ``P001.csv.gz`` and so on, in the order of `participants`; besides them, the dictionary
        (`patchtst_har.datasets.capture24.DICTIONARY`) and the metadata are written.

    Raises
    ------
    DataError
        If a participant is named otherwise or twice, or a bout is too short or long.
    OSError
        If nothing can be written there.
    """
    wrong = [name for name in participants if not re.fullmatch(r"P\d{3}", name)]
    if wrong or len(set(participants)) < len(participants) or not participants:
        raise DataError(f"participants: need different names such as P001, are {', '.join(participants)}")
    if not 10 <= bout_s <= 3600:
        raise DataError(f"bout_s: must be from 10 to 3600, is {bout_s}")
    folder = ensure_folder(folder)
    atomic_write_text(folder / DICTIONARY, _table(_dictionary()))
    paths = []
    people = [("pid", "age", "sex")]
    for participant in participants:
        number = int(participant[1:])
        people.append((participant, _AGES[number % len(_AGES)], "FM"[number % 2]))
        paths.append(folder / f"{participant}.csv.gz")
        rng = np.random.default_rng([seed, number])
        signals = [(activity, text) for activity, text, _ in _ACTIVITIES]
        done = [signals[at] for at in rng.permutation(len(signals))]
        bouts = [*done, ("sitting", None), ("sitting", _NO_CLASS)]
        lengths_s = [bout_s] * (len(done) + 1) + [10.0]
        start = f"2016-03-{1 + number % 28:02d} 08:00:00"
        made = recording(
            [(activity, length_s) for (activity, _), length_s in zip(bouts, lengths_s, strict=True)],
            make=daily_bout,
            start=start,
            seed=int(rng.integers(2**31)),
        )
        n_samples = [round(length_s * 100) for length_s in lengths_s]
        texts = np.array([text for _, text in bouts], dtype=object)
        write_recording(paths[-1], made.assign(annotation=np.repeat(texts, n_samples)))
    atomic_write_text(folder / METADATA, _table(people))
    return paths


def _dictionary() -> Iterator[Sequence[str]]:
    yield ("annotation", *(f"label:{name}" for name in CAPTURE24_SCHEMAS))
    for annotation, classes in [*((text, classes) for _, text, classes in _ACTIVITIES), *_UNUSED]:
        yield (annotation, *classes.split(","))
    yield (_NO_CLASS, *[""] * len(CAPTURE24_SCHEMAS))


def _table(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
