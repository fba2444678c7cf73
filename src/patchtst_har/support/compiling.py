"""Functions compiled by numba; its files of compiled code may be missing or damaged. Imports numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numba
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)


class _Cache(FunctionCache):
    """Compiled code in files; what cannot be read or written is compiled for this process alone."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        return self._unless_damaged(super().load_overload, sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        self._unless_damaged(super().save_overload, sig, data)

    def _unless_damaged(self, do: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return do(*arguments)
        except (EOFError, OSError, UnpicklingError) as error:
            # Left by a full disk, or not ours to read or write.
            logger.warning(
                "%s: compiled code in %s cannot be used (%s: %s), compiling for this process",
                self._py_func.__qualname__,
                self.cache_path,
                type(error).__name__,
                error,
            )
            self.disable()  # type: ignore[no-untyped-call]
            return None


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function as numba compiles it, without the GIL, from compiled code in files if there is any.

    The files lie next to the function's own, or in the user's cache; there are none if neither folder can be
    written, or the function was typed into an interpreter.

    Parameters
    ----------
    function : function
        What to compile.
    **options
        Of ``numba.njit``.
    """
    dispatcher = numba.njit(nogil=True, **options)(function)
    # In place of njit's `cache=True`, whose cache raises where this one warns.
    try:
        dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        logger.info("%s: compiled in every process (%s)", function.__qualname__, error)
    return dispatcher
