"""What a worker does: label one recording and write its files. Everything it takes and gives is small."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from patchtst_har._core import __version__
from patchtst_har.cohort.finished import finished_summary
from patchtst_har.cohort.settings import LabelOptions, Outputs, stale_files
from patchtst_har.cohort.sources import Source, source_state
from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import DataError, PatchTSTHARError
from patchtst_har.inference.label_file import label_with
from patchtst_har.records.prediction import Origin
from patchtst_har.reports.prediction_files import write_prediction
from patchtst_har.support.names import unusable_name
from patchtst_har.support.process_memory import lacks_memory

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# The model of the last job, and the lock that lets a worker of several threads label one recording at a time.
_loaded: dict[Job, Recognizer] = {}
_busy = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What is the same for all recordings.

    Attributes
    ----------
    model_dir, out_dir : pathlib.Path
        Absolute; every worker sees them.
    options : LabelOptions
        How recordings are read and labelled.
    outputs : Outputs
        Which files are written.
    settings : str
        The fingerprint of model, options and version.
    version : str
        Of the package that asks for it.
    overwrite : bool
        Whether files of another source are replaced.
    one_thread : bool
        Whether the worker's libraries are kept to one thread.
    """

    model_dir: Path
    out_dir: Path
    options: LabelOptions
    outputs: Outputs
    settings: str
    version: str = __version__
    overwrite: bool = False
    one_thread: bool = True

    def __hash__(self) -> int:
        return hash((self.model_dir, self.settings))


@dataclass(frozen=True)
class Outcome:
    """What became of a recording.

    Attributes
    ----------
    name : str
        The recording.
    seconds, cpu_s : float
        From reading to writing, without loading the model; processor time of the process meanwhile.
    error, reason : str
        Kind of error and its text; "" for a labelled recording.
    stops : bool
        Whether no other recording would fare better: the disk is full, the model is not there.
    """

    name: str
    seconds: float = 0.0
    cpu_s: float = 0.0
    error: str = ""
    reason: str = ""
    stops: bool = False


def label_one(job: Job, source: Source) -> Outcome:
    """Label a recording and write its files; whatever goes wrong is in the outcome."""
    with _busy:
        try:
            recognizer = _recognizer(job)
        except (PatchTSTHARError, OSError) as error:
            return failed(source, error, stops=True)
        try:
            # Dask repeats a call whose worker died, also after it was done.
            if finished_summary(job, source) is not None:
                return Outcome(source.name)
        except DataError as error:
            return failed(source, error)
        start, cpu = time.perf_counter(), time.process_time()
        outcome = _label(job, source, recognizer)
        return replace(outcome, seconds=time.perf_counter() - start, cpu_s=time.process_time() - cpu)


def failed(source: Source, error: Exception, *, stops: bool = False) -> Outcome:
    """Return the outcome of a recording that failed."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = f"{source.path}: not enough memory ({str(error) or 'allocation failed'})"
    elif isinstance(error, PatchTSTHARError | OSError):
        text = " ".join(str(error).split())
    elif lacks_memory():
        text = f"{source.path}: not enough memory ({type(error).__name__}: {' '.join(str(error).split())})"
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(str(error).split())
        text = f"{source.path}: a bug ({what}; {Path(place.filename).name}, line {place.lineno})"
    return Outcome(source.name, error=type(error).__name__, reason=text[:2000], stops=stops)


def _label(job: Job, source: Source, recognizer: Recognizer) -> Outcome:
    problem = unusable_name(source.name)
    if problem is not None:
        return Outcome(source.name, error="DataError", reason=f"{source.path}: name {problem}")
    files = job.outputs.files(job.out_dir, source.name)
    name = files.summary.name.removesuffix("_summary.json")
    try:
        # Before it is read: a file that changes meanwhile is not the one that was labelled.
        state = source_state(source.path) if source.path.is_file() else None
        # They are among the warnings of the labelled file, which the summary has.
        with warnings.catch_warnings(action="ignore", category=SignalWarning):
            labelled = label_with(recognizer, job.model_dir, source.path, reader=job.options.reader())
    except Exception as error:
        return failed(source, error)
    # What other settings left, also where a run that replaces them was interrupted.
    for path in stale_files(job.out_dir, source.name, job.outputs):
        path.unlink(missing_ok=True)
    origin = None if state is None else Origin(source=state, settings=job.settings)
    info = {**labelled.recording_info, "name": source.name}
    try:
        write_prediction(
            files.summary.parent,
            replace(labelled, name=name, recording_info=info),
            report=job.outputs.report,
            windows=job.outputs.windows,
            table=job.outputs.table,
            rules=job.options.summaries,
            origin=origin,
        )
    except OSError as error:
        # What is written to is the same for all.
        return failed(source, error, stops=error.errno != errno.ENAMETOOLONG)
    except Exception as error:
        return failed(source, error)
    return Outcome(source.name)


def _recognizer(job: Job) -> Recognizer:
    if job not in _loaded:
        if job.version != __version__:
            raise PatchTSTHARError(
                f"a worker has patchtst-har {__version__}, the run {job.version}: install the same everywhere"
            )
        if job.one_thread:
            keep_to_one_thread()
        recognizer = job.options.recognizer(job.model_dir)
        if job.one_thread:
            config = recognizer.config
            features = config.features.replace(n_threads=1)
            recognizer = recognizer.replace(config=config.replace(features=features))
        _loaded.clear()
        _loaded[job] = recognizer
    return _loaded[job]


def keep_to_one_thread() -> None:
    """Keep this process's libraries to one thread each, loaded already or not."""
    from threadpoolctl import threadpool_limits

    # Once its threads run, numba refuses another value of its variable wherever it compiles.
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.set_num_threads(1)
    for name in THREAD_VARIABLES:
        if numba is None or not name.startswith("NUMBA"):
            os.environ[name] = "1"
    threadpool_limits(1)
