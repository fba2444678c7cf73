"""Compilation of a feature function: alone, guarded, and over a batch. Imports numba."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cached_property
from types import FunctionType
from typing import Any, cast

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from patchtst_har.errors import FeatureError
from patchtst_har.features.plugins import templates
from patchtst_har.support.compiling import compiled
from patchtst_har.support.single_precision import to_float32

# Read-only: a feature that writes into its window would change what the next one sees.
_WINDOW = types.Array(types.float32, 2, "C", readonly=True)
_WINDOWS = types.Array(types.float32, 3, "C", readonly=True)
_ROW, _ROWS = types.float32[::1], types.float32[:, ::1]
_SAMPLE_RATE_HZ = 100.0
_SAMPLES = ("a window of movement", "a window of a still sensor", "a window of zeros")


class Kernel:
    """A compiled feature.

    Parameters
    ----------
    name : str
        Of the feature, for messages.
    outputs : sequence of str
        Names of the values that the function must return.
    function : function
        Of (window, sr).
    fingerprint : str
        Identifies the function with all it refers to; part of the name of its compiled files.

    Raises
    ------
    FeatureError
        If numba cannot compile the function, or the type that it returns is none of those allowed.
    """

    def __init__(self, name: str, outputs: Sequence[str], function: FunctionType, fingerprint: str) -> None:
        self.name = name
        self.outputs = tuple(outputs)
        self._function = function
        self._tag = fingerprint[:16]
        self._compiled = self._compile()
        names = {"feature": self._compiled, "store": self._storing(), "RAISED": templates.RAISED}
        self._guarded = self._jit(templates.guard, names, (_WINDOW, types.float64, _ROW))

    def fill(self, windows: NDArray[np.float32], sr: float, out: NDArray[np.float32], parallel: bool) -> None:
        """Write the values of windows (n, T, 3) to `out` (n, k), in parallel over numba's threads or not.

        Raises
        ------
        FeatureError
            If the function raises, or returns a wrong number of values or one that is not finite; names the
            first such window.
        """
        status = np.zeros(len(windows), np.int64)
        (self._parallel if parallel else self._serial)(windows, sr, out, status)
        failed = np.flatnonzero(status)
        if failed.size:
            row = int(failed[0])
            raise FeatureError(
                f"feature {self.name!r}: {self._reason(windows[row], sr, status[row])} (window {row})"
            )

    def try_samples(self) -> None:
        """Compute the feature of sample windows, twice; raises `FeatureError` if it fails on one."""
        for what, window in zip(_SAMPLES, _sample_windows(), strict=True):
            status = np.zeros(2, np.int64)
            rows = np.empty((2, len(self.outputs)), np.float32)
            self._serial(np.stack([window, window]), _SAMPLE_RATE_HZ, rows, status)
            if status.any():
                reason = self._reason(window, _SAMPLE_RATE_HZ, status.max())
                raise FeatureError(f"feature {self.name!r}: {reason} ({what})")
            if rows[0].tobytes() != rows[1].tobytes():
                raise FeatureError(
                    f"feature {self.name!r}: returns {rows[0].tolist()} and then {rows[1].tolist()} for the "
                    f"same window ({what})"
                )

    @cached_property
    def _serial(self) -> Any:
        return self._batch(parallel=False)

    @cached_property
    def _parallel(self) -> Any:
        return self._batch(parallel=True)

    def _batch(self, *, parallel: bool) -> Any:
        names = {"prange": numba.prange, "guarded": self._guarded}
        arguments = (_WINDOWS, types.float64, _ROWS, types.int64[::1])
        return self._jit(templates.fill, names, arguments, label="_parallel" * parallel, parallel=parallel)

    def _compile(self) -> Any:
        function = self._function
        try:
            # An index out of range is an exception with the feature's name, not a read from elsewhere.
            return self._jit(function, function.__globals__, (_WINDOW, types.float64), boundscheck=True)
        # numba's errors have no common base, and its author must learn which feature it was.
        except Exception as error:
            reason = textwrap.shorten(str(error), 600)
            raise FeatureError(f"feature {self.name!r}: numba cannot compile it: {reason}") from error

    def _jit(
        self,
        function: Any,
        names: dict[str, Any],
        arguments: tuple[Any, ...],
        label: str = "",
        **options: Any,
    ) -> Any:
        """Compile a copy of a function, with other globals, as if it stood in the feature's file.

        numba finds compiled files by the function's file and name. The tag in the name keeps a feature whose
        helper or constant has changed from meeting its own old code.
        """
        own = self._function.__code__
        code = function.__code__.replace(co_filename=own.co_filename, co_firstlineno=own.co_firstlineno)
        copy = FunctionType(code, names, function.__name__, function.__defaults__, function.__closure__)
        copy.__module__ = self._function.__module__
        copy.__qualname__ = f"{self._function.__qualname__}.{function.__name__}{label}.{self._tag}"
        return _specialised(compiled(copy, **options), arguments)

    def _storing(self) -> Any:
        """Return the function that writes what the feature returns to a row, by its type."""
        returned: Any = self._compiled.nopython_signatures[0].return_type
        if _is_number(returned):
            count, store = 1, templates.store_number
        elif isinstance(returned, types.BaseTuple) and all(map(_is_number, cast(Any, returned))):
            count, store = len(returned), templates.store_tuple
        elif isinstance(returned, types.Array) and returned.ndim == 1 and _is_number(returned.dtype):
            return templates.store_array
        else:
            raise FeatureError(
                f"feature {self.name!r}: must return a number, a tuple of numbers or a "
                f"one-dimensional array, returns {returned}"
            )
        if count != len(self.outputs):
            raise FeatureError(f"feature {self.name!r}: {self._count(count)}")
        return store

    def _count(self, count: int) -> str:
        return f"returns {count} values, outputs names {len(self.outputs)} ({', '.join(self.outputs)})"

    def _reason(self, window: NDArray[np.float32], sr: float, status: int) -> str:
        """Say what went wrong in a window, by computing it once more."""
        frozen = window.view()
        frozen.flags.writeable = False
        try:
            values = np.atleast_1d(self._compiled(frozen, sr))
        # Whatever the plug-in raises has to reach its author with the plug-in's name.
        except Exception as error:
            return f"raises {type(error).__name__}: {' '.join(str(error).split())}"
        if status == templates.WRONG_COUNT:
            return self._count(len(values))
        bad = np.flatnonzero(~np.isfinite(to_float32(values)))
        names = ", ".join(f"{self.outputs[i]} = {values[i]}" for i in bad)
        return f"returns values that are not finite in float32: {names}"


def _specialised(dispatcher: Any, arguments: tuple[Any, ...]) -> Any:
    """Compile a function for these types alone."""
    dispatcher.compile(arguments)
    # Or a writable array would get a variant of its own that may write to it.
    dispatcher.disable_compile()
    return dispatcher


def _is_number(value: Any) -> bool:
    return isinstance(value, types.Integer | types.Float | types.Boolean)


def _sample_windows() -> NDArray[np.float32]:
    """Return 10 s of gravity with steps and noise, of gravity alone, and of zeros, each (1000, 3)."""
    time_s = np.arange(1000) / _SAMPLE_RATE_HZ
    steps = np.sin(2 * np.pi * 1.8 * time_s) + 0.4 * np.sin(2 * np.pi * 3.6 * time_s + 1.0)
    noise = np.random.default_rng(0).normal(0, 0.05, (1000, 3))
    gravity = np.array([-0.6, 0.3, 0.75])
    movement = gravity + 0.3 * steps[:, None] * np.array([1.0, 0.5, 0.3]) + noise
    still = np.broadcast_to([0.0, 0.0, 1.0], movement.shape)
    return np.stack([movement, still, np.zeros_like(movement)]).astype(np.float32)
