"""The benchmark of a model on this host: measure, judge against a budget, compare with a saved run."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchtst_har.benchmark.budget import Budget
from patchtst_har.benchmark.compare import RECORD_FILE, compare, read_saved, refuse_other_subject
from patchtst_har.benchmark.loops import HarnessSettings, measure_cuda, measure_feasibility
from patchtst_har.benchmark.model_facts import artefact_facts, known_accuracy, model_fingerprint
from patchtst_har.benchmark.verdict import judge, least_decisions, n_decisions
from patchtst_har.benchmark.workloads import recorded_workload, simulated_workloads
from patchtst_har.errors import DataError
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.pretrained import find_model
from patchtst_har.realtime.stream_smoothing import smoothing_name
from patchtst_har.records.feasibility import FeasibilityRecord, busy_with
from patchtst_har.records.measurement import Devices
from patchtst_har.support.files import atomic_write_json, ensure_folder
from patchtst_har.support.host import host_facts
from patchtst_har.support.host_limits import ProcessorUse
from patchtst_har.support.percentiles import MIN_SAMPLES
from patchtst_har.support.progress import OnProgress, under

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.benchmark.workloads import Workload

SCOPE = "measured on this host"
_WORKLOAD_S = 120.0
_QUICK = {"n_decisions": 700, "n_blocks": 10, "n_rested": 15, "open_loop_s": 2.0}
_QUICK |= {"capacity": False, "cold_start": False}
_LONGEST_OPEN_LOOP_S = 60.0
# 175 of 7000 decisions per block: enough for its p95, and blocks enough to find 15 % among disturbances.
_N_BLOCKS = 40


def settings_for(
    budget: Budget, *, hop_s: float | None = None, smoothing: str | None = None, quick: bool = False
) -> HarnessSettings:
    """Return how to measure so that a budget can be judged.

    Parameters
    ----------
    budget : Budget
        The open loop takes as many streams as a core must carry, for as long as p99.9 of them needs.
    hop_s : float, optional
        Seconds between decisions; by default the hop of the most targets on the CPU, of equally many the
        first one's. Targets with another hop are then not measured.
    smoothing : str, optional
        As in `Recognizer.stream`.
    quick : bool
        Measure some seconds: no p99.9, no search for the capacity, no cold start.
    """
    targets = [target for target in budget.targets if target.device == "cpu"] or list(budget.targets)
    hops = [target.hop_s for target in targets]
    hop = max(hops, key=hops.count) if hop_s is None else hop_s
    streams = max((target.streams_per_core for target in targets if target.hop_s == hop), default=1)
    options: dict[str, Any] = dict(_QUICK) if quick else {"n_blocks": _N_BLOCKS}
    if streams > 1:
        options["open_loop_streams"] = streams
        if not quick:
            enough_s = math.ceil(MIN_SAMPLES["p99_9"] * hop / streams)
            options["open_loop_s"] = float(min(max(10, enough_s), _LONGEST_OPEN_LOOP_S))
    return HarnessSettings(hop_s=hop, smoothing=smoothing, **options)


def too_short(budget: Budget, settings: HarnessSettings) -> tuple[str, ...]:
    """Return the names of the targets on the processor that a measurement makes too few decisions for."""
    return tuple(
        target.name
        for target in budget.targets
        if target.device == "cpu"
        and target.hop_s == settings.hop_s
        and n_decisions(target, settings) < least_decisions(target)
    )


def run_benchmark(
    model_dir: Path | str,
    out_dir: Path,
    *,
    budget: Budget | None = None,
    recording: pd.DataFrame | None = None,
    settings: HarnessSettings | None = None,
    compare_with: Path | None = None,
    timezone: str | None = None,
    adaptation: Path | None = None,
    on_progress: OnProgress | None = None,
) -> FeasibilityRecord:
    """Measure a model as streams use it, judge it against deployment targets, write ``feasibility.json``.

    Parameters
    ----------
    model_dir : pathlib.Path or str
        Model folder, or the name of a shipped model; scores are taken from ``evaluation.json`` of the run
        folder around it.
    out_dir : pathlib.Path
        For ``feasibility.json``; created if missing.
    budget : Budget, optional
        What is asked; default: `Budget()`.
    recording : DataFrame, optional
        Real samples (`data.read_recording`), measured in addition to the simulated workloads.
    settings : HarnessSettings, optional
        Default: `settings_for(budget)`.
    compare_with : pathlib.Path, optional
        A saved ``feasibility.json`` or its folder.
    timezone : str, optional
        Zone of the wearer, for a model that uses the time of day and stamps that carry a zone.
    adaptation : pathlib.Path, optional
        As `Recognizer.from_pretrained`.
    on_progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    FeasibilityRecord
        What was written; `reports.feasibility.render_feasibility` makes a page of it.

    Raises
    ------
    ModelFolderError, DataError, OSError
        If a file is missing or damaged, the recording has no segment as long as a window, or the saved
        report is of another model or other settings; before anything is measured.
    """
    budget = Budget() if budget is None else budget
    settings = settings_for(budget) if settings is None else settings
    model_dir = find_model(model_dir)
    recognizer = Recognizer.from_pretrained(model_dir, adaptation=adaptation).in_zone(timezone)
    smoothing = smoothing_name(settings.smoothing, recognizer.smoother)
    settings = settings.replace(smoothing=smoothing)
    saved = None if compare_with is None else read_saved(compare_with)
    if saved is not None:
        refuse_other_subject(saved, model_fingerprint(model_dir, recognizer.adaptation), settings)
    accuracy = known_accuracy(model_dir, recognizer.config, smoothing)
    workloads = _workloads(recognizer, recording, settings)
    out_dir = ensure_folder(out_dir)
    host, before = host_facts(), ProcessorUse.now()
    # Nothing that measuring does not need may be loaded before: it would lie in the caches and the memory.
    what = (recognizer, workloads, settings)
    cpu = measure_feasibility(*what, model_dir=model_dir, on_progress=on_progress)
    cuda = measure_cuda(*what, model_dir=model_dir, on_progress=under("CUDA", on_progress))
    if before is not None:
        host |= before.until(ProcessorUse.now())
    devices = Devices(cpu=cpu, cuda=cuda)
    whole = settings_for(budget, hop_s=settings.hop_s)
    record = FeasibilityRecord(
        format=1,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        scope=SCOPE,
        host=host,
        artefact=artefact_facts(model_dir, recognizer, smoothing),
        accuracy=accuracy,
        samples={name: hashlib.sha256(one.samples.tobytes()).hexdigest() for name, one in workloads.items()},
        devices=devices,
        targets=tuple(
            judge(target, devices, host["n_usable_cores"], busy=busy_with(host), whole=whole)
            for target in budget.targets
        ),
        comparison=None,
    )
    if saved is not None:
        record = record.model_copy(update={"comparison": compare(saved, record, str(compare_with))})
    atomic_write_json(out_dir / RECORD_FILE, record.model_dump(mode="json"))
    return record


def _workloads(
    recognizer: Recognizer, recording: pd.DataFrame | None, settings: HarnessSettings
) -> dict[str, Workload]:
    """Return the simulated workloads, and the recording if there is one."""
    rate = recognizer.config.data.sample_rate_hz
    workloads = simulated_workloads(rate, _WORKLOAD_S, settings.seed, recognizer.config)
    if recording is None:
        return workloads
    real = recorded_workload(recording, recognizer.config)
    if real.name in workloads:
        raise DataError(f"recording: the name {real.name!r} is that of a simulated workload")
    return {**workloads, real.name: real}
