"""All that labels depend on besides the recording: the same for every recording of an output folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from patchtst_har._core import __version__
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError
from patchtst_har.features.plugins.registry import selected
from patchtst_har.model_folder import (
    CLASSES_FILE,
    CONFIG_FILE,
    FAMILIARITY_FILE,
    PROVENANCE_FILE,
    SMOOTHING_FILE,
    WEIGHTS_FILE,
)
from patchtst_har.pretrained import SUMMARY_FILE, read_summary, shown_name
from patchtst_har.records.cohort import CohortSettings
from patchtst_har.records.reading import read_record
from patchtst_har.reports.prediction_files import PredictionFiles, TableFormat, prediction_files
from patchtst_har.summaries import SummaryRules
from patchtst_har.support.files import atomic_write_json

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.inference.recognizer import Recognizer

COHORT_FILE = "cohort.json"
RECORDINGS = "recordings"
"""The folder of what is written of each recording."""

SHARDS = "shards"
"""The folder of what shards write: failures and times."""

_MODEL_FILES = (
    *(CONFIG_FILE, CLASSES_FILE, WEIGHTS_FILE, SMOOTHING_FILE, FAMILIARITY_FILE),
    # The sampling rates that warnings compare with; the score that each summary quotes.
    *(PROVENANCE_FILE, SUMMARY_FILE),
)


@dataclass(frozen=True)
class LabelOptions:
    """How every recording is read and labelled.

    Attributes
    ----------
    units, time_unit, strict, reading
        As `patchtst_har.data.read_recording`; `reading` is its `options`.
    timezone, smoothing, adaptation, calibration, non_wear
        As `patchtst_har.inference.label_file.label_file`.
    summaries : SummaryRules
        How days and bouts are counted.
    """

    units: Literal["g", "m/s2", "mg"] | None = None
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    strict: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)
    timezone: str | None = None
    smoothing: str | None = None
    adaptation: Path | None = None
    calibration: Literal["off", "auto", "require"] | None = None
    non_wear: Literal["auto", "off"] | None = None
    summaries: SummaryRules = field(default_factory=SummaryRules)

    def reader(self) -> Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]]:
        """Return what reads a recording."""
        return partial(
            read_recording,
            units=self.units,
            time_unit=self.time_unit,
            strict=self.strict,
            options=self.reading,
        )

    def recognizer(self, model_dir: Path) -> Recognizer:
        """Return the model that labels recordings.

        Raises
        ------
        DataError, ModelFolderError, ConfigError
            If the model or an option cannot be used.
        """
        from patchtst_har.inference.label_file import load_recognizer

        recognizer = load_recognizer(
            model_dir,
            timezone=self.timezone,
            smoothing=self.smoothing,
            adaptation=self.adaptation,
            calibration=self.calibration,
            non_wear=self.non_wear,
        )
        self.summaries.inactive_of(recognizer.classes)
        return recognizer


@dataclass(frozen=True)
class Outputs:
    """Which files are written of each recording.

    Attributes
    ----------
    table : {"csv", "parquet"}
        The format of labels, windows and the collated table.
    windows : bool
        Whether there is a table of windows.
    report : bool
        Whether there are a picture and a page.
    """

    table: TableFormat = "csv"
    windows: bool = False
    report: bool = False

    def files(self, out_dir: Path, name: str) -> PredictionFiles:
        """Return the files of a recording below an output folder."""
        folder, _, last = f"{RECORDINGS}/{name}".rpartition("/")
        return prediction_files(
            out_dir / folder, last, report=self.report, windows=self.windows, table=self.table
        )


def stale_files(out_dir: Path, name: str, outputs: Outputs) -> list[Path]:
    """Return what other settings may have left of a recording that these do not write."""
    kinds: tuple[TableFormat, ...] = ("csv", "parquet")
    every = [Outputs(table, windows=True, report=True).files(out_dir, name) for table in kinds]
    written = set(vars(outputs.files(out_dir, name)).values())
    return sorted({path for files in every for path in vars(files).values()} - written)


def settings_of(
    model_dir: Path, recognizer: Recognizer, options: LabelOptions, outputs: Outputs
) -> CohortSettings:
    """Return what is written to `cohort.json`.

    Raises
    ------
    OSError
        If a file of the model or the adaptation cannot be read.
    """
    values = asdict(options)
    values["reading"] = options.reading.given()
    if options.adaptation is not None:
        values["adaptation"] = _digest([options.adaptation])
    return CohortSettings(
        version=__version__,
        model={
            "name": model_dir.name if read_summary(model_dir) is None else shown_name(model_dir),
            "sha256": _digest(path for name in _MODEL_FILES if (path := model_dir / name).exists()),
            "plugins": {
                plugin.name: plugin.fingerprint for plugin in selected(recognizer.config.features.plugins)
            },
        },
        options=values,
        outputs=asdict(outputs),
    )


def claim_folder(out_dir: Path, settings: CohortSettings, *, overwrite: bool) -> None:
    """Write `cohort.json` into an output folder, or check the one that is there.

    Raises
    ------
    DataError
        If the folder holds something else, or recordings that were labelled with other settings and
        `overwrite` is not set; the message names what differs.
    """
    path = out_dir / COHORT_FILE
    before = read_record(path, CohortSettings)
    changes = [] if before is None else before.differences(settings)
    if before is not None and not changes:
        return
    if before is not None and not overwrite:
        raise DataError(
            f"{out_dir}: holds recordings that were labelled with other settings ({'; '.join(changes)}); "
            "choose another folder, or --overwrite to label them again"
        )
    if before is None:
        names = sorted(entry.name for entry in out_dir.iterdir())
        other = next((name for name in names if name != SHARDS and not name.startswith(".")), None)
        if other is not None:
            raise DataError(
                f"{out_dir}: holds other files (such as {other}); the results of several recordings need a "
                "folder of their own (--out)"
            )
    atomic_write_json(path, settings.to_json())


def _digest(paths: Any) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
