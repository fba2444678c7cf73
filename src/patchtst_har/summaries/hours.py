"""The hours of the day over the valid days of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from patchtst_har.summaries.rows import Rows, local_edges, time_in_cells

if TYPE_CHECKING:
    import pandas as pd


class Hours(NamedTuple):
    """What worn time is made of, by hour of the day; NaN for an hour without wear."""

    shares: NDArray[np.float64]
    """(24, K) share of each class in the worn time of all valid days, 0 to 1."""
    enmo_mg: NDArray[np.float64]
    """(24,) mean over that time; NaN also where it is not known."""


def hours_of_day(rows: Rows, daily: pd.DataFrame) -> Hours:
    """Return how the valid days of `daily_table` look by the hours of the wall clock."""
    names, edges_ns = local_edges(int(rows.start_ns[0]), int(rows.end_ns[-1]), rows.zone, "h")
    time_ns, enmo_mg = time_in_cells(rows, edges_ns)
    valid = names.normalize().isin(daily.loc[daily["valid"], "date"])
    worn_ns = np.where(valid[:, None], time_ns[:, :-1], 0)
    by_hour = worn_ns.reshape(-1, 24, worn_ns.shape[1]).sum(axis=0)
    total_ns = by_hour.sum(axis=1)
    known = np.where(np.isfinite(enmo_mg), worn_ns.sum(axis=1), 0).reshape(-1, 24)
    weighted = (known * np.nan_to_num(enmo_mg).reshape(-1, 24)).sum(axis=0)
    return Hours(_ratio(by_hour, total_ns[:, None]), _ratio(weighted, known.sum(axis=0)))


def _ratio(part: NDArray[np.generic], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    whole = np.broadcast_to(whole, part.shape)
    result: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return result
