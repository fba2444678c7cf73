"""What every file reader hands over: samples as the file has them, before units and checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(eq=False)
class RawSamples:
    """Samples of one recording in the file's own unit of acceleration."""

    time_ns: NDArray[np.int64]
    """(n,) ns since 1970."""
    is_utc: bool
    """True if the stamps carried a zone (they are UTC now), False if they are a local wall clock."""
    acceleration: NDArray[np.float32]
    """(n, 3)."""
    annotation: pd.Categorical | None = None
    """(n,) strings; missing where not annotated."""
    extras: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Further columns by name, each (n,)."""


def to_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers as float32; what is too large for it becomes infinite, so it counts as non-finite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def to_categorical(values: Any) -> pd.Categorical:
    """Return annotations as strings with sorted categories; None, NaN and "" mean not annotated."""
    import pandas as pd

    codes, names = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    texts = [str(name) for name in names]
    blank = [index for index, text in enumerate(texts) if not text]
    codes = np.where(np.isin(codes, blank), -1, codes) if blank else codes
    order = sorted({text for text in texts if text})
    position = np.array([order.index(text) if text else -1 for text in texts] + [-1], dtype=np.int64)
    return pd.Categorical.from_codes(position[codes], categories=pd.Index(order, dtype=object))


def join(parts: list[RawSamples]) -> RawSamples:
    """Return consecutive parts of one file as one; `parts` is emptied, so that no sample is kept twice."""
    import pandas as pd

    if len(parts) == 1:
        return parts.pop()
    annotations = [part.annotation for part in parts if part.annotation is not None]
    annotation = None
    if annotations:
        united = pd.api.types.union_categoricals(annotations, sort_categories=True)
        annotation = united.rename_categories(pd.Index(list(united.categories), dtype=object))
    end = sum(len(part.time_ns) for part in parts)
    extras = {name: np.empty(end, np.float32) for name in parts[0].extras}
    acceleration = np.empty((end, 3), np.float32)
    whole = RawSamples(np.empty(end, np.int64), parts[0].is_utc, acceleration, annotation, extras)
    while parts:
        part = parts.pop()
        rows = slice(end - len(part.time_ns), end)
        whole.time_ns[rows], whole.acceleration[rows] = part.time_ns, part.acceleration
        for name, values in part.extras.items():
            extras[name][rows] = values
        end = rows.start
    return whole
