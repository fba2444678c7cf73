"""Everything about the latency of a recogniser, as one record."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from patchtst_har.benchmark.loops.capacity import measure_capacity
from patchtst_har.benchmark.loops.closed_loop import ClosedLoopTimes, run_closed_loop
from patchtst_har.benchmark.loops.fresh_process import FreshProcess
from patchtst_har.benchmark.loops.hop_loop import N_PUSHES, run_rested, run_single_pushes
from patchtst_har.benchmark.loops.open_loop import Fleet
from patchtst_har.benchmark.loops.resources import EnergyMeter, GarbageWatch
from patchtst_har.benchmark.loops.schedule import ChunkFeed, Clock, Feed, StreamGeometry, WallClock
from patchtst_har.benchmark.workloads import Workload
from patchtst_har.errors import DataError
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.realtime.pool import StreamPool
from patchtst_har.records import measurement as records
from patchtst_har.records.measurement import DeviceName, HarnessSettings
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
) -> records.Measured:
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
        If there is no workload, the hop or the smoothing does not fit the model, a cold start fails, or the
        system does not tell the memory of a process (Windows).
    """
    if not workloads:
        raise DataError("workloads: there is nothing to measure on")
    peak_rss_mb()  # Refused now, not after minutes.
    geometry = StreamGeometry.of(recognizer, settings.hop_s, settings.smoothing)
    tell = on_progress or (lambda *_: None)
    bench = _Bench(single_threaded(recognizer), settings, geometry, WallClock(), tell)
    with one_thread(recognizer.model):
        return bench.measure(workloads, model_dir)


def measure_cuda(
    recognizer: Recognizer,
    workloads: Mapping[str, Workload],
    settings: HarnessSettings,
    *,
    model_dir: Path | None,
    on_progress: OnProgress | None = None,
) -> records.Measured | records.Unmeasured:
    """Do `measure_feasibility` with a copy of the model in torch on the current CUDA device.

    Features and smoothing stay on the processor. Loads torch: measure the processor first.

    Parameters and errors are those of `measure_feasibility`.

    Returns
    -------
    Measured or Unmeasured
        The latter where torch sees no device.
    """
    import torch

    if not torch.cuda.is_available():
        return records.Unmeasured(device="cuda", status="no device")
    module = copy.deepcopy(recognizer.torch_module()).to("cuda")
    on_device = recognizer.replace(model=module)
    return measure_feasibility(on_device, workloads, settings, model_dir=model_dir, on_progress=on_progress)


@dataclass(frozen=True)
class _Bench:
    """A recogniser on the bench: each method is one measurement."""

    recognizer: Recognizer
    settings: HarnessSettings
    geometry: StreamGeometry
    clock: Clock
    tell: OnProgress

    def measure(self, workloads: Mapping[str, Workload], model_dir: Path | None) -> records.Measured:
        device = self._device()
        feeds = {name: Feed(one.samples, self.geometry.rate_hz) for name, one in workloads.items()}
        energy = EnergyMeter(device)
        peak_since = "the start of the measurement" if reset_peak() else "the start of the process"
        before = mark()
        energy.start()
        with GarbageWatch() as garbage:
            loops = {name: self._closed_loop(name, feed) for name, feed in feeds.items()}
        spent = energy.record(self.settings.n_decisions * len(loops))
        rested = {name: self._rested(name, feed, loops[name]) for name, feed in feeds.items()}
        slowest = max(loops, key=lambda name: float(np.median(loops[name].end_to_end_ns)))
        typical = next((name for name, one in workloads.items() if one.kind == "recorded"), slowest)
        single = run_single_pushes(self._push(), feeds[typical], N_PUSHES, self.clock.now_ns)
        open_loop = self._open_loop(slowest, feeds[slowest])
        after, peak_mb = mark(), peak_rss_mb()
        capacity = self._capacity(typical, feeds[typical], loops[typical])
        cold_start, of_streams = self._fresh_processes(
            model_dir, device, feeds[typical], list(feeds.values())
        )
        return records.Measured(
            device=device,
            status="measured",
            settings=self.settings,
            workloads={
                name: records.WorkloadTimes(
                    kind=one.kind,
                    description=one.description,
                    n_samples=len(one.samples),
                    closed_loop=loops[name].record(),
                    rested=rested[name],
                )
                for name, one in workloads.items()
            },
            open_loop=open_loop,
            capacity=capacity,
            cold_start=cold_start,
            push_one_sample=records.Percentiles.of(single),
            memory=records.Memory(
                rss_mb_before=before.rss_kb / 1024,
                rss_mb_after=after.rss_kb / 1024,
                peak_rss_mb=peak_mb,
                peak_since=peak_since,
                rss_slope_kb_per_1000_decisions=_slope(loops.values(), "rss_kb"),
                python_blocks_per_1000_decisions=_slope(loops.values(), "python_blocks"),
                of_streams=of_streams,
            ),
            gc=garbage.record(),
            energy=spent,
            threads=1,
        )

    def _closed_loop(self, name: str, feed: Feed) -> ClosedLoopTimes:
        return run_closed_loop(
            self._push(),
            feed,
            self.geometry,
            n_decisions=self.settings.n_decisions,
            n_blocks=self.settings.n_blocks,
            now_ns=self.clock.now_ns,
            on_block=lambda done, total: self.tell(done, total, f"closed loop, {name}"),
        )

    def _rested(self, name: str, feed: Feed, loop: ClosedLoopTimes) -> records.RestedTimes | None:
        n = self.settings.n_rested
        # The settings have a rest whenever there are decisions after one.
        rest_s = min(self.settings.rest_s or 0.0, self.geometry.hop_s)
        if not n:
            return None
        with self._stage(f"after a rest, {name}"):
            rest = partial(time.sleep, rest_s)
            took_ns = run_rested(self._push(), feed, self.geometry, n, rest, self.clock.now_ns)
        ratio = float(np.median(took_ns) / np.median(loop.end_to_end_ns))
        times = records.Percentiles.of(took_ns)
        return records.RestedTimes(rest_s=rest_s, times=times, ratio_of_medians=ratio)

    def _open_loop(self, name: str, feed: Feed) -> records.OpenLoop:
        n_streams = self.settings.open_loop_streams
        n_hops = max(int(np.ceil(self.settings.open_loop_s / self.geometry.hop_s - 1e-9)), 1)
        with self._stage(f"open loop, {n_streams} streams"):
            return self._fleet(feed).run(n_streams, n_hops).record(name)

    def _capacity(self, name: str, feed: Feed, loop: ClosedLoopTimes) -> records.Capacity | None:
        if not self.settings.capacity:
            return None
        hop_s = self.geometry.hop_s
        found = measure_capacity(
            self._fleet(feed),
            hop_s,
            self.settings.capacity_s,
            expected=hop_s * 1e9 / float(loop.end_to_end_ns.mean()),
            on_probe=lambda n, done: self.tell(done, 1, f"capacity, {n} streams"),
        )
        return found.model_copy(update={"criterion": f"{found.criterion}; samples: {name}"})

    def _fresh_processes(
        self, model_dir: Path | None, device: DeviceName, typical: Feed, feeds: list[Feed]
    ) -> tuple[records.ColdStart | None, tuple[records.StreamMemory, ...]]:
        if model_dir is None:
            return None, ()
        engine = "native" if isinstance(self.recognizer.model, NativeClassifier) else "torch"
        with TemporaryDirectory() as folder:
            adaptation = None
            if self.recognizer.adaptation is not None:
                adaptation = self.recognizer.save_adaptation(Path(folder) / "adaptation.safetensors")
            fresh = FreshProcess(
                model_dir, self.geometry, self.settings.smoothing, engine, device, adaptation
            )
            cold_start = None
            if self.settings.cold_start:
                with self._stage("cold start"):
                    cold_start = fresh.cold_start(typical)
            with self._stage("memory"):
                return cold_start, fresh.memory(feeds, sorted({1, self.settings.open_loop_streams}))

    def _push(self) -> Any:
        return self.recognizer.stream(self.settings.hop_s, self.settings.smoothing).push

    def _fleet(self, feed: Feed) -> Fleet:
        pool = StreamPool(self.recognizer, self.settings.hop_s, self.settings.smoothing)
        chunks = ChunkFeed(feed, self.geometry.chunk_size, -(-feed.n_samples // self.geometry.chunk_size))
        return Fleet(pool, chunks, self.geometry, self.clock, self.settings.seed)

    def _device(self) -> DeviceName:
        model = self.recognizer.model
        return "cpu" if isinstance(model, NativeClassifier) or not model.rope_cos.is_cuda else "cuda"

    @contextmanager
    def _stage(self, what: str) -> Iterator[None]:
        """Tell that something of one piece begins, and that it is done."""
        self.tell(0, 1, what)
        yield
        self.tell(1, 1, what)


def _slope(loops: Iterable[ClosedLoopTimes], name: str) -> float:
    """Return the growth of a part of this process's memory in 1,000 decisions of the closed loops."""
    lines = []
    for loop in loops:
        thousands = np.cumsum([0, *loop.block_sizes]) / 1e3
        lines.append((thousands, np.array([getattr(one, name) for one in loop.memory], np.float64)))
    return pooled_slope(lines)


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
    return recognizer.replace(config=config)
