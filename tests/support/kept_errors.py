"""Errors that a program keeps where it handles them, as any may do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable


def is_freed(call: Callable[[], object], kind: type[Exception]) -> bool:
    """Return whether an error that `call` raises is freed, though a frame that it refers to keeps it."""

    def keep() -> weakref.ref[Exception]:
        try:
            call()
        except kind as error:
            kept = error
        return weakref.ref(kept)

    kept = keep()
    gc.collect()
    return kept() is None
