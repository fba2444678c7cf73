"""Whether a recording is labelled already: what its summary says it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from patchtst_har.cohort.sources import Source, source_state
from patchtst_har.errors import DataError
from patchtst_har.records.prediction import PredictionSummary, SourceState
from patchtst_har.records.reading import read_record

if TYPE_CHECKING:
    from patchtst_har.cohort.job import Job


def finished_summary(job: Job, source: Source) -> PredictionSummary | None:
    """Return the summary of a recording that needs no more labelling; None if it does.

    Raises
    ------
    DataError
        If the files of this name are those of another source, and the job does not overwrite them.
    """
    files = job.outputs.files(job.out_dir, source.name)
    try:
        summary = read_record(files.summary, PredictionSummary)
    except DataError:
        # Nothing of ours leaves it in this state.
        return None
    if summary is None or summary.origin is None:
        return None
    same = _is_same(summary.origin.source, source.path)
    labelled_from = summary.recording.get("source")
    if not same and labelled_from != str(source.path) and not job.overwrite:
        raise DataError(
            f"{files.summary}: is the summary of another file of this name, {labelled_from}; choose another "
            "folder, name the recordings in a list, or --overwrite"
        )
    complete = all(path.exists() for path in vars(files).values() if path is not None)
    return summary if same and complete and summary.origin.settings == job.settings else None


def _is_same(known: SourceState, path: Path) -> bool:
    try:
        status = path.stat()
        # Most that differ need not be opened.
        if (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            return False
        return known == source_state(path)
    except OSError:
        return False
