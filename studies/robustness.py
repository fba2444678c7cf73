"""What changed recordings do to a model: python -m studies.robustness FOLDS DATA --out TABLE.

FOLDS is a seed's folder of a cross-validation (RUNS/SET/LABEL/seed-S): each fold's model judges the people
that the fold held out, on their recordings as they are and changed. Or it is one model folder, which judges
the test people of its provenance. TABLE.json and TABLE.md are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.recording import read_recording
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import CONFIG_FILE, read_provenance
from patchtst_har.records.run import Interval, Record
from patchtst_har.support.files import atomic_write_json, atomic_write_text
from studies.changes import CHANGES, Change, Person
from studies.commands import folder, parser_of, progress_line, run_command
from studies.scoring import bounded, table
from studies.sets import FOLDERS, FOREARM_AXES, SETS, source_of

CLEAN = "unchanged"


class Changed(Record):
    """Scores on recordings with one change, pooled over people; the interval is of 95 %, over people."""

    change: str
    n_windows: int
    macro_f1: Interval
    difference: float
    """Minus macro F1 on the unchanged recordings."""


class Judged:
    """Decided and true classes, person by person, of one change."""

    def __init__(self) -> None:
        self.true: list[np.ndarray] = []
        self.decided: list[np.ndarray] = []
        self.people: list[np.ndarray] = []

    def add(self, person: str, true: np.ndarray, decided: np.ndarray) -> None:
        """Add a person's windows."""
        self.true.append(true)
        self.decided.append(decided)
        self.people.append(np.full(len(true), person))

    def macro_f1(self, n_classes: int) -> Interval:
        """Return macro F1 over the pooled windows."""
        true, decided, people = map(np.concatenate, (self.true, self.decided, self.people))
        return bootstrap_intervals(true, decided, people, n_classes).macro_f1

    def __len__(self) -> int:
        return sum(map(len, self.true))


def find_models(path: Path) -> dict[Path, tuple[str, ...]]:
    """Return the test people of each model under a seed's folder, or of the one model that it is.

    Raises
    ------
    DataError
        If there is no model, or one does not say whom it was not trained on.
    """
    folders = [path] if (path / CONFIG_FILE).exists() else sorted(path.glob("fold-*/model"))
    if not folders:
        raise DataError(f"{path}: holds neither a model nor folders fold-K/model")
    people: dict[Path, tuple[str, ...]] = {}
    for one in folders:
        test = (read_provenance(one) or {}).get("split", {}).get("test")
        if not test:
            raise DataError(f"{one}: its provenance names no test people, so there is nobody to judge it on")
        people[one] = tuple(test)
    return people


def label_map_of(classes: Sequence[str]) -> LabelMap:
    """Return the map from annotations to a model's classes."""
    for name, chosen in SETS.items():
        mapped = chosen.classes_by_annotation
        if mapped is not None and {label for label in mapped.values() if label} == set(classes):
            return LabelMap(mapped, f"the classes of {name!r}")
    return LabelMap({name: name for name in classes}, "the classes of the model")


def recording_of(person: str, data: Path) -> pd.DataFrame:
    """Read a participant's recording.

    Raises
    ------
    DataError
        If the participant is not of a known source, or the file cannot be read.
    """
    source, name = source_of(person), person.partition("-")[2]
    if source not in FOLDERS:
        raise DataError(f"{person!r}: is of none of the sources {', '.join(FOLDERS)}")
    return read_recording(data / FOLDERS[source] / f"{name}.npz")[0]


def judge_model(
    model: Path, people: Sequence[str], data: Path, changes: dict[str, Change], judged: dict[str, Judged]
) -> tuple[str, ...]:
    """Add what a model decides on people's changed recordings to `judged`; return the classes."""
    recognizer = Recognizer.from_pretrained(model, smoothing="none")
    label_map = label_map_of(recognizer.classes)
    for done, person in enumerate(people, start=1):
        recording = label_map.apply(recording_of(person, data), person)
        for name, change in {CLEAN: _unchanged, **changes}.items():
            # The same axis and the same lost samples in each run.
            rng = np.random.default_rng(crc32(f"{person} {name}".encode()))
            wearer = Person(rng, FOREARM_AXES[source_of(person)])
            true, decided = _decide(recognizer, change(recording, wearer), recognizer.config.data)
            judged[name].add(person, true, decided)
        progress_line(done, len(people), f"{model.parent.name}: {person}")
    return recognizer.classes


def _unchanged(recording: pd.DataFrame, wearer: Person) -> pd.DataFrame:
    return recording


def _decide(
    recognizer: Recognizer, recording: pd.DataFrame, config: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    cut = cut_windows(recording, config)
    if cut.labels is None:
        raise DataError("a recording has no annotations")
    numbers = {name: number for number, name in enumerate(recognizer.classes)}
    true = np.array([numbers[str(name)] for name in cut.labels], np.int64)
    if not len(true):
        return true, true
    return true, recognizer.predict(cut.windows, cut.start_ns).probabilities.argmax(axis=1)


def rows_of(judged: dict[str, Judged], n_classes: int) -> list[Changed]:
    """Return the scores of each change, the unchanged recordings first."""
    scores = {name: one.macro_f1(n_classes) for name, one in judged.items()}
    clean = scores[CLEAN].estimate or 0.0
    return [
        Changed(
            change=name,
            n_windows=len(judged[name]),
            macro_f1=value,
            difference=(value.estimate or 0.0) - clean,
        )
        for name, value in scores.items()
    ]


def main(arguments: Sequence[str]) -> None:
    """Judge the models on every change, print and write the table."""
    parser = parser_of(__doc__, "robustness")
    parser.add_argument("folds", type=folder, help="a seed's folder of a cross-validation, or a model folder")
    parser.add_argument("data", type=folder, help="folder of the recordings")
    parser.add_argument("--out", type=folder, required=True, help="the table, without its ending")
    options = parser.parse_args(arguments)
    judged = {name: Judged() for name in (CLEAN, *CHANGES)}
    classes: tuple[str, ...] = ()
    for model, people in find_models(options.folds).items():
        classes = judge_model(model, people, options.data, CHANGES, judged)
    rows = rows_of(judged, len(classes))
    text = table(
        ["recordings", "macro F1", "minus unchanged", "windows"],
        [[one.change, bounded(one.macro_f1), f"{one.difference:+.3f}", f"{one.n_windows:,}"] for one in rows],
    )
    atomic_write_json(options.out.with_suffix(".json"), [one.to_json() for one in rows])
    atomic_write_text(options.out.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    run_command(main)
