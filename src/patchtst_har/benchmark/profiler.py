"""Time and memory of named operations, nested ones too. Importing this module imports no torch."""

from __future__ import annotations

import functools
import inspect
import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from patchtst_har.benchmark.profiling.device import Device
from patchtst_har.benchmark.profiling.leaks import LeakEstimate, watch_repeats
from patchtst_har.benchmark.profiling.operation import Operation
from patchtst_har.benchmark.profiling.record import Call, OperationRecord
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.host import host_facts

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")

_N_EMPTY = 200


class ComprehensiveProfiler:
    """Measures operations: wall and processor time, resident memory, CUDA memory and utilisation.

    Operations may nest, in threads and in tasks of an event loop too; a nested one has the path
    ``"outer/inner"``. An operation that ends by an exception is recorded as failed. An operation in a
    coroutine includes the time that it waits, and its processor time includes what else its thread did
    meanwhile.

    Parameters
    ----------
    keep : int
        Calls of each operation whose durations are kept for percentiles: the last ones. Sums are of all.
    imports_torch : bool
        Import torch to look for a CUDA device. Otherwise one is looked for once torch is imported.
        Operations wait at both ends until the device is idle.
    resets_peaks : bool
        Measure each operation's peak of memory. The process has one counter of its highest resident memory,
        and torch one of CUDA memory: every beginning resets them, for everyone who reads them (``VmHWM``,
        `torch.cuda.max_memory_allocated`). With False they are left alone and there are no peaks.
    """

    def __init__(self, *, keep: int = 4096, imports_torch: bool = False, resets_peaks: bool = True) -> None:
        if keep < 1:
            raise DataError(f"keep: needs at least 1, is {keep}")
        self._keep = keep
        self._device = Device(imports_torch)
        self._resets_peaks = resets_peaks
        # Reentrant: the collector may end a forgotten operation while this thread holds it.
        self._lock = threading.RLock()
        self._records: dict[str, OperationRecord] = {}
        self._overhead: dict[str, float] | None = None

    def profile_operation(self, name: str) -> Operation:
        """Return a context manager that measures its block as an operation.

        Parameters
        ----------
        name : str
            Not empty, without a slash.

        Returns
        -------
        Operation
            ``with profiler.profile_operation("forward") as operation:``; afterwards `operation.call` holds
            what was measured.

        Raises
        ------
        DataError
            If the name is empty or has a slash.
        """
        if not name or "/" in name:
            raise DataError(f"name: must not be empty and have no slash, is {name!r}")
        return Operation(name, self, self._device, self._record, self._resets_peaks)

    def profiled(self, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Return a decorator that measures each call of a function as an operation.

        Parameters
        ----------
        name : str
            See `profile_operation`.

        Raises
        ------
        DataError
            See `profile_operation`.
        TypeError
            By the decorator, for generator and coroutine functions: calling one only makes an object, and
            the time between its steps is somebody else's. `profile_operation` inside measures their parts.
        """
        self.profile_operation(name)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            _refuse_what_only_makes_an_object(function)

            @functools.wraps(function)
            def measured(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.profile_operation(name):
                    return function(*args, **kwargs)

            return measured

        return decorate

    def find_leak(
        self,
        name: str,
        function: Callable[[], Any],
        repeats: int = 60,
        *,
        warm_up: int = 10,
        tolerance_bytes: float = 1024.0,
    ) -> LeakEstimate:
        """Repeat a function as an operation and estimate what memory each repeat keeps.

        Parameters
        ----------
        name : str
            See `profile_operation`.
        function : callable
            Called without arguments.
        repeats : int
            Calls that count, at least 30.
        warm_up : int
            Calls before them: caches and allocators fill up.
        tolerance_bytes : float
            Growth of resident memory a repeat that is not called a leak.

        Returns
        -------
        LeakEstimate
            Growth a repeat of resident memory and of the interpreter's blocks, each with its 99 % bounds.
            The collector runs after every call. Also kept with the operation for `to_dict`.

        Raises
        ------
        DataError
            If a number is out of its range.
        """
        path = name

        def once() -> None:
            nonlocal path
            with self.profile_operation(name) as operation:
                path = operation.path
                function()

        leak = watch_repeats(once, repeats, warm_up, tolerance_bytes)
        with self._lock:
            self._records[path].leak = leak
        return leak

    def profile_model_complexity(
        self, model: nn.Module, inputs: Sequence[Tensor] | Mapping[str, Tensor]
    ) -> dict[str, Any]:
        """Count parameters and floating-point operations of one window. Imports torch.

        Parameters
        ----------
        model : torch.nn.Module
            The model.
        inputs : sequence or mapping of Tensor
            Arguments of `forward` for one window, by position or by name.

        Returns
        -------
        dict
            See `patchtst_har.benchmark.complexity.model_complexity`, and ``expected``: parameters and flops
            of a `PatchTSTClassifier` in closed form, None for other modules.

        Raises
        ------
        DataError
            If an input does not hold exactly one window.
        RuntimeError
            If a `PatchTSTClassifier` does not have the parameters and flops of its configuration.
        """
        from patchtst_har.architecture import expected_complexity
        from patchtst_har.benchmark.complexity import model_complexity
        from patchtst_har.models import PatchTSTClassifier

        if isinstance(inputs, Mapping):
            inputs = inspect.signature(model.forward).bind(**inputs).args
        found = model_complexity(model, tuple(inputs))
        # Subclasses may add what no formula knows.
        if type(model) is not PatchTSTClassifier:
            return {**found, "expected": None}
        expected = expected_complexity(model.config, model.num_classes)
        for name, value in expected.items():
            if found[name] != value:
                raise RuntimeError(f"{name}: counted {found[name]}, but the closed form has {value}")
        return {**found, "expected": expected}

    def overhead(self) -> dict[str, float]:
        """Return what an empty operation costs here, medians in microseconds.

        Returns
        -------
        dict
            ``recorded_us``, what is recorded of it; ``whole_us``, what it takes from the code around it.
        """
        if self._overhead is None:
            probe = ComprehensiveProfiler(keep=_N_EMPTY, imports_torch=False, resets_peaks=self._resets_peaks)
            taken: dict[str, list[int]] = {"recorded_us": [], "whole_us": []}
            for _ in range(_N_EMPTY):
                before = time.perf_counter_ns()
                with probe.profile_operation("empty") as operation:
                    pass
                taken["whole_us"].append(time.perf_counter_ns() - before)
                taken["recorded_us"].append(operation.call.wall_ns)
            self._overhead = {name: statistics.median(ns) / 1e3 for name, ns in taken.items()}
        return self._overhead

    def to_dict(self) -> dict[str, Any]:
        """Return everything measured so far as JSON values.

        Returns
        -------
        dict
            ``operations``, a dict each, nested ones after the one that encloses them; ``device``, the CUDA
            device and NVML's driver or why there is none; ``overhead``, see `overhead`; ``keep``; ``host``.
            Every number has its unit in its name; None stands for what is not known, and for percentiles
            with too few calls.
        """
        with self._lock:
            # By the parts of the paths: "a/b" belongs before "a b".
            paths = sorted(self._records, key=lambda path: path.split("/"))
            operations = [self._records[path].to_dict() for path in paths]
        return {
            "operations": operations,
            "device": self._device.status(),
            "overhead": self.overhead(),
            "keep": self._keep,
            "host": host_facts(),
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to the JSON file `path`, whole or not at all."""
        atomic_write_json(path, self.to_dict())

    def table(self) -> Table:
        """Return a table of the operations; "n/a" for what is not known or has too few calls."""
        from patchtst_har.benchmark.profiling.table import table_of

        return table_of(self.to_dict())

    def _record(self, path: str, call: Call) -> None:
        with self._lock:
            if path not in self._records:
                self._records[path] = OperationRecord(path, self._keep)
            self._records[path].add(call)


def _refuse_what_only_makes_an_object(function: Callable[..., Any]) -> None:
    kinds = {
        "generator": inspect.isgeneratorfunction,
        "coroutine": inspect.iscoroutinefunction,
        "asynchronous generator": inspect.isasyncgenfunction,
    }
    for kind, belongs in kinds.items():
        if belongs(function):
            how = "profile the parts of its body with profile_operation"
            raise TypeError(f"{function.__qualname__} is a {kind} function: {how}")
