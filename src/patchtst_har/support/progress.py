"""How long-running functions say where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

OnProgress: TypeAlias = Callable[[int, int, str], None]
"""Called with the number of items done, their total, and what was just done."""


def under(name: str, on_progress: OnProgress | None) -> OnProgress | None:
    """Return a callback that reports every item under one `name`, as a step of something larger."""
    if on_progress is None:
        return None
    return lambda done, total, _: on_progress(done, total, name)
