"""Many recordings through an executor: finished ones are skipped, bad ones fail alone; then the tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from patchtst_har.cohort.finished import finished_summary
from patchtst_har.cohort.job import Job, Outcome, failed, label_one
from patchtst_har.cohort.place import TIMINGS_FILE, held_place, journal, without_temporaries
from patchtst_har.cohort.settings import RECORDINGS, LabelOptions, Outputs, claim_folder, settings_of
from patchtst_har.cohort.sources import Source, find_sources, shard_of
from patchtst_har.cohort.tables import CohortFiles, write_collated, write_failures
from patchtst_har.cohort.workers import InThisProcess, LocalWorkers, WorkerDied
from patchtst_har.errors import DataError, WorkersError
from patchtst_har.pretrained import DEFAULT, find_model
from patchtst_har.records.cohort import Failure
from patchtst_har.reports.prediction_files import check_pyarrow
from patchtst_har.support.files import ensure_folder
from patchtst_har.support.formatting import counted, listed
from patchtst_har.support.names import printable, unusable_name
from patchtst_har.support.progress import OnProgress


@dataclass(frozen=True)
class CohortResult:
    """What `label_recordings` did.

    Attributes
    ----------
    n_labelled : int
        Recordings with labels now.
    n_finished_before : int
        Of them, those that an earlier run had labelled.
    failures : tuple of Failure
        Recordings without labels, by name, and why.
    files : CohortFiles or None
        The tables and the page; None for a shard.
    """

    n_labelled: int
    n_finished_before: int
    failures: tuple[Failure, ...]
    files: CohortFiles | None


def label_recordings(
    recordings: Iterable[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    *,
    list_file: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] | None = None,
    model: str | Path = DEFAULT,
    options: LabelOptions | None = None,
    outputs: Outputs | None = None,
    workers: int = 0,
    executor: Executor | None = None,
    most_waiting: int = 500,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> CohortResult:
    """Label many recordings into one folder, and collate the results in tables and a page.

    A recording that is labelled already, with the same model, options and version, is not labelled again, so
    the same call goes on after an interruption, whatever it was. One that cannot be labelled is a row of
    `failures.csv`, and the next call tries it again. The files are the same, byte for byte, for any executor.

    Parameters
    ----------
    recordings : iterable of path-like
        Files, folders and globs (`patchtst_har.cohort.sources.find_sources`).
    out_dir : path-like
        A new folder, or that of an earlier call.
    list_file : path-like, optional
        A list of further recordings (`find_sources`).
    shard : pair of int, optional
        (i, n): label only every n-th recording from the i-th on, and write no tables: several such calls may
        run at the same time, and one without `shard` collates in the end.
    model : str or pathlib.Path
        As `patchtst_har.inference.label_file.label_file`.
    options : LabelOptions, optional
        How recordings are read and labelled.
    outputs : Outputs, optional
        Which files are written; by default labels (CSV) and summaries (JSON).
    workers : int
        Processes on this machine; 0: this process.
    executor : concurrent.futures.Executor, optional
        What to use in place of `workers`, such as ``Client.get_executor()`` of dask.distributed. Its workers
        must see the same paths.
    most_waiting : int
        Calls that are handed to `executor` at the same time.
    overwrite : bool
        Label again what was labelled with other settings, or from another file of the same name.
    on_progress : callable, optional
        Called with (recordings done, recordings in all, "recordings").

    Returns
    -------
    CohortResult

    Raises
    ------
    DataError
        If no recording is found, two would get the same name, the folder holds something else or recordings
        with other settings, or another run writes into it.
    ModelFolderError, ConfigError, MissingDependencyError
        If the model or an option cannot be used.
    WorkersError
        If the executor broke; what is finished is kept.
    OSError
        If results cannot be written, such as to a full disk; what is finished is kept.
    ValueError
        If both `workers` and `executor` are given.
    """
    if workers and executor is not None:
        raise ValueError("workers and executor exclude each other")
    options, outputs = options or LabelOptions(), outputs or Outputs()
    if options.adaptation is not None:
        options = replace(options, adaptation=options.adaptation.absolute())
    out_dir = Path(out_dir).absolute()
    sources = shard_of(find_sources(recordings, None if list_file is None else Path(list_file)), shard)
    model_dir = find_model(model).absolute()
    # Also so that what is wrong with the model is found before anything is written.
    recognizer = options.recognizer(model_dir)
    settings = settings_of(model_dir, recognizer, options, outputs)
    if outputs.table == "parquet":
        check_pyarrow()
    in_process = executor is None and not workers
    job = Job(
        model_dir,
        out_dir,
        options,
        outputs,
        settings.fingerprint(),
        overwrite=overwrite,
        one_thread=not in_process,
    )
    with held_place(out_dir, shard) as place:
        claim_folder(out_dir, settings, overwrite=overwrite)
        ensure_folder(out_dir / RECORDINGS)
        with without_temporaries(out_dir), ExitStack() as opened:
            if executor is None:
                made = LocalWorkers(workers) if workers else InThisProcess()
                executor, most_waiting = opened.enter_context(made), 2 * workers
            times = opened.enter_context(journal(place / TIMINGS_FILE))
            run = _Run(job, sources, executor, most_waiting, times, on_progress)
            run.label_all()
        failures = tuple(sorted(run.failures, key=lambda failure: (failure.recording, failure.source)))
        if shard is not None:
            write_failures(place, failures)
            files = None
        else:
            done = [source for source in sources if source.name in run.labelled]
            files = write_collated(job, settings, recognizer.classes, done, failures)
    return CohortResult(len(run.labelled), run.n_finished_before, failures, files)


class _Run:
    """Recordings on their way through an executor, a bounded number at a time."""

    def __init__(
        self,
        job: Job,
        sources: Sequence[Source],
        executor: Executor,
        most_waiting: int,
        journal: csv.DictWriter[str],
        on_progress: OnProgress | None,
    ) -> None:
        self.labelled: set[str] = set()
        self.failures: list[Failure] = []
        self.n_finished_before = 0
        self._job, self._sources, self._executor = job, sources, executor
        self._most_waiting, self._journal, self._on_progress = max(1, most_waiting), journal, on_progress
        self._waiting: dict[Future[Outcome], Source] = {}
        # What ran in a worker that died, which need not have been its fault.
        self._suspects: list[Source] = []

    def label_all(self) -> None:
        try:
            for source in self._sources:
                if self._needs_labelling(source):
                    self._submit(source)
                    self._take(self._most_waiting - 1)
            self._take(0)
            suspects, self._suspects = self._suspects, []
            for source in suspects:
                # Alone: memory that did not suffice for several may suffice for one.
                self._submit(source)
                self._take(0, last=True)
        except BaseException:
            for future in self._waiting:
                future.cancel()
            raise

    def _needs_labelling(self, source: Source) -> bool:
        try:
            if finished_summary(self._job, source) is None:
                return True
        except DataError as error:
            self._note(source, failed(source, error))
            return False
        self.n_finished_before += 1
        self.labelled.add(source.name)
        self._show()
        return False

    def _submit(self, source: Source) -> None:
        try:
            future = self._executor.submit(label_one, self._job, source)
        except RuntimeError as error:
            raise self._broken(error) from error
        self._waiting[future] = source

    def _take(self, n_left: int, *, last: bool = False) -> None:
        """Take what is done until no more than `n_left` calls wait."""
        while len(self._waiting) > n_left:
            done, _ = wait(self._waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: self._waiting[future].name):
                source = self._waiting.pop(future)
                try:
                    outcome = future.result()
                except WorkersError:
                    raise
                except CancelledError as error:
                    raise self._broken(error) from error
                except Exception as error:
                    if not last:
                        self._suspects.append(source)
                        continue
                    outcome = _of_dead_worker(source, error)
                self._note(source, outcome)

    def _note(self, source: Source, outcome: Outcome) -> None:
        if outcome.stops:
            kept = f"{counted(len(self.labelled), 'recording is', 'recordings are')} finished and kept"
            raise WorkersError(f"{outcome.reason}; {kept}: the same command goes on")
        if outcome.error:
            self.failures.append(
                Failure(
                    recording=source.name if unusable_name(source.name) is None else "",
                    source=printable(str(source.path)),
                    error=outcome.error,
                    reason=printable(outcome.reason),
                )
            )
        else:
            self.labelled.add(source.name)
        self._journal.writerow(
            {
                "recording": source.name if unusable_name(source.name) is None else "",
                "seconds": f"{outcome.seconds:.3f}",
                "cpu_seconds": f"{outcome.cpu_s:.3f}",
                "error": outcome.error,
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        self._show()

    def _show(self) -> None:
        if self._on_progress is not None:
            done = len(self.labelled) + len(self.failures)
            self._on_progress(done, len(self._sources), "recordings")

    def _broken(self, error: Exception) -> WorkersError:
        lost = [source.name for source in (*self._suspects, *self._waiting.values())]
        during = f" while they had {listed(lost, most=3)}" if lost else ""
        text = " ".join(str(error).split()) or type(error).__name__
        return WorkersError(
            f"the workers were lost{during} ({text}); what is finished is kept: the same command goes on"
        )


def _of_dead_worker(source: Source, error: Exception) -> Outcome:
    text = str(error) if isinstance(error, WorkerDied) else f"worker died (likely memory): {error}"
    return Outcome(source.name, error="WorkerDied", reason=f"{source.path}: {' '.join(text.split())[:300]}")
