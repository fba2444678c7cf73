"""Everything about the latency of a recogniser, as one record."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from patchtst_har.benchmark.loops.capacity import measure_capacity
from patchtst_har.benchmark.loops.clock import Clock, WallClock
from patchtst_har.benchmark.loops.closed_loop import ClosedLoopTimes, run_closed_loop
from patchtst_har.benchmark.loops.energy import EnergyMeter
from patchtst_har.benchmark.loops.feed import ChunkFeed, Feed
from patchtst_har.benchmark.loops.fresh_process import FreshProcess
from patchtst_har.benchmark.loops.garbage import GarbageWatch
from patchtst_har.benchmark.loops.geometry import StreamGeometry
from patchtst_har.benchmark.loops.hop_loop import N_PUSHES, Durations, run_rested, run_single_pushes
from patchtst_har.benchmark.loops.open_loop import Fleet
from patchtst_har.benchmark.workloads import Workload
from patchtst_har.errors import DataError
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.realtime.pool import StreamPool
from patchtst_har.records.measurement import (
    Capacity,
    ColdStart,
    DeviceName,
    HarnessSettings,
    Measured,
    Memory,
    OpenLoop,
    Percentiles,
    RestedTimes,
    StreamMemory,
    Unmeasured,
    WorkloadTimes,
)
from patchtst_har.support.process_memory import mark, peak_rss_mb, pooled_slope, reset_peak
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier


def measure_feasibility(
    recognizer: Recognizer,
    workloads: Mapping[str, Workload],
    settings: HarnessSettings,
    *,
    model_dir: Path | None,
    on_progress: OnProgress | None = None,
) -> Measured:
    """Measure a recogniser as live streams use it, in one thread.

    Every workload goes through a closed loop, and through decisions after a rest. The open loop runs on the
    workload that was the slowest in the closed loop at the median, so that it holds for the others; the
    capacity is searched on the recorded workload if there is one, else on that one too. See
    ``docs/latency.md`` for what is measured and how.

    Parameters
    ----------
    recognizer : Recognizer
        With either engine; torch's may be on a CUDA device.
    workloads : mapping of str to Workload
        At the model's rate (`simulated_workloads`, `recorded_workload`).
    settings : HarnessSettings
        What is measured, for how long.
    model_dir : pathlib.Path, optional
        The recogniser's model folder, for new processes that measure cold start and memory of streams;
        without it, both are left out.
    on_progress : callable, optional
        Called with (done, total, what) where nothing is timed.

    Returns
    -------
    Measured
        Durations in µs unless a name says otherwise; None where a sample is too small for a percentile, or
        something was not measured.

    Raises
    ------
    DataError
        If there is no workload, the hop or the smoothing does not fit the model, or a cold start fails.
    """
    if not workloads:
        raise DataError("workloads: there is nothing to measure on")
    geometry = StreamGeometry.of(recognizer, settings.hop_s, settings.smoothing)
    bench = _Bench(single_threaded(recognizer), settings, geometry, WallClock(), on_progress)
    with one_thread(recognizer.model):
        return bench.measure(workloads, model_dir)


def measure_cuda(
    recognizer: Recognizer,
    workloads: Mapping[str, Workload],
    settings: HarnessSettings,
    *,
    model_dir: Path | None,
    on_progress: OnProgress | None = None,
) -> Measured | Unmeasured:
    """Do `measure_feasibility` with a copy of the model in torch on the current CUDA device.

    Features and smoothing stay on the processor. Loads torch: measure the processor first.

    Returns
    -------
    Measured or Unmeasured
        The latter where torch sees no device.
    """
    import torch

    if not torch.cuda.is_available():
        return Unmeasured(device="cuda", status="no device")
    module = copy.deepcopy(recognizer.torch_module()).to("cuda")
    on_device = Recognizer(module, recognizer.classes, recognizer.config, recognizer.smoother)
    return measure_feasibility(on_device, workloads, settings, model_dir=model_dir, on_progress=on_progress)


@dataclass(frozen=True)
class _Bench:
    """A recogniser on the bench: each method is one measurement."""

    recognizer: Recognizer
    settings: HarnessSettings
    geometry: StreamGeometry
    clock: Clock
    on_progress: OnProgress | None

    def measure(self, workloads: Mapping[str, Workload], model_dir: Path | None) -> Measured:
        settings, device = self.settings, self._device()
        energy = EnergyMeter(device)
        whole_peak = not reset_peak()
        before = mark()
        energy.start()
        with GarbageWatch() as garbage:
            loops = {name: self._closed_loop(name, workload) for name, workload in workloads.items()}
        spent = energy.record(settings.n_decisions * len(loops))
        rested = {name: self._rested(name, workload) for name, workload in workloads.items()}
        slowest = max(loops, key=lambda name: float(np.median(loops[name].end_to_end_ns)))
        recorded = [name for name, workload in workloads.items() if workload.kind == "recorded"]
        typical = recorded[0] if recorded else slowest
        single = run_single_pushes(self._push(), self._feed(workloads[typical]), N_PUSHES, self.clock.now_ns)
        open_loop = self._open_loop(slowest, workloads[slowest])
        after = mark(), peak_rss_mb()
        fresh = self._fresh_process(model_dir, device)
        return Measured(
            device=device,
            status="measured",
            settings=settings,
            workloads={
                name: self._times(workloads[name], loop, rested[name]) for name, loop in loops.items()
            },
            open_loop=open_loop,
            capacity=self._capacity(typical, workloads[typical], loops[typical]),
            cold_start=self._cold_start(fresh, workloads[typical]),
            push_one_sample=Percentiles.of(single),
            memory=Memory(
                rss_mb_before=before.rss_kb / 1024,
                rss_mb_after=after[0].rss_kb / 1024,
                peak_rss_mb=after[1],
                peak_since="the start of the process" if whole_peak else "the start of the measurement",
                **_slopes(list(loops.values())),
                of_streams=self._memory_of_streams(fresh, list(workloads.values())),
            ),
            gc=garbage.record(),
            energy=spent,
            threads=1,
        )

    def _closed_loop(self, name: str, workload: Workload) -> ClosedLoopTimes:
        settings, tell = self.settings, self.on_progress
        return run_closed_loop(
            self._push(),
            self._feed(workload),
            self.geometry,
            n_decisions=settings.n_decisions,
            n_blocks=settings.n_blocks,
            now_ns=self.clock.now_ns,
            on_block=None if tell is None else lambda done, total: tell(done, total, f"closed loop, {name}"),
        )

    def _open_loop(self, name: str, workload: Workload) -> OpenLoop:
        n_streams = self.settings.open_loop_streams
        n_hops = max(int(np.ceil(self.settings.open_loop_s / self.geometry.hop_s - 1e-9)), 1)
        with self._stage(f"open loop, {n_streams} streams"):
            return self._fleet(workload).run(n_streams, n_hops).record(name)

    def _capacity(self, name: str, workload: Workload, loop: ClosedLoopTimes) -> Capacity | None:
        if not self.settings.capacity:
            return None
        hop_s = self.geometry.hop_s
        found = measure_capacity(
            self._fleet(workload),
            hop_s,
            self.settings.capacity_s,
            expected=hop_s * 1e9 / float(loop.end_to_end_ns.mean()),
            on_probe=lambda n, done: self._tell(done, 1, f"capacity, {n} streams"),
        )
        return found.model_copy(update={"criterion": f"{found.criterion}; samples: {name}"})

    def _rested(self, name: str, workload: Workload) -> Durations | None:
        settings = self.settings
        if not settings.n_rested:
            return None
        with self._stage(f"after a rest, {name}"):
            return run_rested(
                self._push(),
                self._feed(workload),
                self.geometry,
                settings.n_rested,
                partial(time.sleep, self._rest_s()),
                self.clock.now_ns,
            )

    def _times(self, workload: Workload, loop: ClosedLoopTimes, rested_ns: Durations | None) -> WorkloadTimes:
        rested = None
        if rested_ns is not None:
            ratio = float(np.median(rested_ns) / np.median(loop.end_to_end_ns))
            times = Percentiles.of(rested_ns)
            rested = RestedTimes(rest_s=self._rest_s(), times=times, ratio_of_medians=ratio)
        return WorkloadTimes(
            kind=workload.kind,
            description=workload.description,
            n_samples=len(workload.samples),
            closed_loop=loop.record(),
            rested=rested,
        )

    def _rest_s(self) -> float:
        # The settings have a rest whenever there are decisions after one.
        return min(self.settings.rest_s or 0.0, self.geometry.hop_s)

    def _fresh_process(self, model_dir: Path | None, device: str) -> FreshProcess | None:
        if model_dir is None:
            return None
        engine = "native" if isinstance(self.recognizer.model, NativeClassifier) else "torch"
        return FreshProcess(model_dir, self.geometry, self.settings.smoothing, engine, device)

    def _cold_start(self, fresh: FreshProcess | None, workload: Workload) -> ColdStart | None:
        if fresh is None or not self.settings.cold_start:
            return None
        with self._stage("cold start"):
            return fresh.cold_start(self._feed(workload))

    def _memory_of_streams(
        self, fresh: FreshProcess | None, workloads: list[Workload]
    ) -> tuple[StreamMemory, ...]:
        if fresh is None:
            return ()
        n_streams = sorted({1, self.settings.open_loop_streams})
        with self._stage("memory"):
            return fresh.memory([self._feed(workload) for workload in workloads], n_streams)

    def _push(self) -> Any:
        return self.recognizer.stream(self.settings.hop_s, self.settings.smoothing).push

    def _feed(self, workload: Workload) -> Feed:
        return Feed(workload.samples, self.geometry.rate_hz)

    def _fleet(self, workload: Workload) -> Fleet:
        geometry, settings = self.geometry, self.settings
        pool = StreamPool(self.recognizer, settings.hop_s, settings.smoothing)
        n_chunks = -(-len(workload.samples) // geometry.chunk_size)
        chunks = ChunkFeed(self._feed(workload), geometry.chunk_size, n_chunks)
        return Fleet(pool, chunks, geometry, self.clock, settings.seed)

    def _device(self) -> DeviceName:
        model = self.recognizer.model
        return "cpu" if isinstance(model, NativeClassifier) or not model.rope_cos.is_cuda else "cuda"

    @contextmanager
    def _stage(self, what: str) -> Iterator[None]:
        """Tell that something of one piece begins, and that it is done."""
        self._tell(0, 1, what)
        yield
        self._tell(1, 1, what)

    def _tell(self, done: int, total: int, what: str) -> None:
        if self.on_progress is not None:
            self.on_progress(done, total, what)


def _slopes(loops: list[ClosedLoopTimes]) -> dict[str, float | None]:
    """Return the growth of this process's memory within the closed loops."""
    done = [np.cumsum([0, *loop.block_sizes]) / 1e3 for loop in loops]
    resident = [np.array([one.rss_kb for one in loop.memory]) for loop in loops]
    blocks = [np.array([one.python_blocks for one in loop.memory], np.float64) for loop in loops]
    return {
        "rss_slope_kb_per_1000_decisions": pooled_slope(list(zip(done, resident, strict=True))),
        "python_blocks_per_1000_decisions": pooled_slope(list(zip(done, blocks, strict=True))),
    }


def one_thread(model: NativeClassifier | PatchTSTClassifier) -> AbstractContextManager[None]:
    """Keep torch to one thread if it is what runs."""
    if isinstance(model, NativeClassifier):
        return nullcontext()
    from patchtst_har.reproducibility import threads

    return threads(1)


def single_threaded(recognizer: Recognizer) -> Recognizer:
    """Return the recogniser with kernels that use one thread."""
    config = recognizer.config
    config = config.replace(features=config.features.replace(n_threads=1))
    return Recognizer(recognizer.model, recognizer.classes, config, recognizer.smoother)
