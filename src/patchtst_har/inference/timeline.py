"""From decisions on windows to a timeline that tiles the covered time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import DataConfig
from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.smoothing.decide import Decisions

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 100_000


def decision_spans(
    start_ns: NDArray[np.int64], sequences: NDArray[np.int64], window_ns: int, hop_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the span of time that each window's decision speaks for.

    Overlapping windows share time; each gets one hop around its centre, and the first and
    last of a sequence reach to the ends of their windows. The spans tile each sequence without overlap.

    Parameters
    ----------
    start_ns : ndarray of int64, shape (n,)
        Starts of the windows.
    sequences : ndarray of int64, shape (n,)
        Runs of windows without a gap.
    window_ns, hop_ns : int
        Length of a window, distance between windows.

    Returns
    -------
    begin, end : ndarray of int64, shape (n,)
    """
    if not len(start_ns):
        return start_ns.copy(), start_ns.copy()
    changes = sequences[1:] != sequences[:-1]
    first, last = np.r_[True, changes], np.r_[changes, True]
    margin = (window_ns - hop_ns) // 2
    begin = np.where(first, start_ns, start_ns + margin)
    end = np.r_[begin[1:], 0]
    return begin, np.where(last, start_ns + window_ns, end)


def build_timeline(
    begin_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    labels: NDArray[np.str_],
    probabilities: NDArray[np.float64],
    timezone: tzinfo | None = None,
) -> pd.DataFrame:
    """Return the timeline: start, end, label, probability; one row per decision.

    Parameters
    ----------
    begin_ns, end_ns : ndarray of int64, shape (n,)
        Spans in nanoseconds since the epoch.
    labels : ndarray of str, shape (n,)
        Class names.
    probabilities : ndarray, shape (n,)
        Probability of the label.
    timezone : tzinfo, optional
        Zone of the recording's stamps; None keeps them naive.
    """
    import pandas as pd

    start, end = (_times(edge, timezone) for edge in (begin_ns, end_ns))
    return pd.DataFrame({"start": start, "end": end, "label": labels, "probability": probabilities})


def window_table(
    start_ns: NDArray[np.int64],
    data: DataConfig,
    classes: Sequence[str],
    made: Decisions,
    enmo_mg: NDArray[np.float64],
    timezone: tzinfo | None = None,
    distances: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    """Return one row per window with every class's probability (see `LabelledRecording.windows`)."""
    import pandas as pd

    names = np.array(classes)
    end_ns = start_ns + round(data.window_size * (1e9 / data.sample_rate_hz))
    columns = {
        "start": _times(start_ns, timezone),
        "end": _times(end_ns, timezone),
        "label": names[made.smoothed],
        "probability": made.probability,
        "enmo_mg": enmo_mg,
        "raw_label": names[made.raw],
    }
    for kind, values in (("raw", made.probabilities), ("smoothed", made.smoothed_probabilities)):
        columns |= {f"{kind}: {name}": values[:, k] for k, name in enumerate(classes)}
    if distances is not None:
        columns |= {"distance": distances, "unfamiliar": ~(distances <= 1)}
    return pd.DataFrame(columns)


def non_wear_rows(
    spans_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    hop_ns: int,
    timezone: tzinfo | None = None,
) -> pd.DataFrame:
    """Return time without wear as rows of a timeline: one per hop, the last of each span may be shorter.

    Rows of a span that lasts more than 100,000 hops last several: a device may sleep for years.

    Parameters
    ----------
    spans_ns : ndarray of int64, shape (k, 2)
        Begin and end of each span, sorted.
    end_ns : ndarray of int64, shape (n,)
        Ends of the rows of decisions, sorted: the last window before a span may reach into it by half a
        sample, and keeps that.
    hop_ns : int
        Distance between windows.
    timezone : tzinfo, optional
        As `build_timeline`.
    """
    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for begin, end in spans_ns.tolist():
        before = int(np.searchsorted(end_ns, end))
        begin = max(begin, int(end_ns[before - 1])) if before else begin
        step_ns = hop_ns * -(-(end - begin) // (hop_ns * _MOST_ROWS))
        start = np.arange(begin, end, max(step_ns, hop_ns))
        starts.append(start)
        ends.append(np.append(start[1:], end)[: len(start)])
    start_ns = np.concatenate(starts)
    labels, probabilities = np.full(len(start_ns), NON_WEAR), np.full(len(start_ns), np.nan)
    return build_timeline(start_ns, np.concatenate(ends), labels, probabilities, timezone)


def with_rows(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table of windows or decisions with other rows between its own, in order of time.

    Columns that the rows lack are empty there, and false if they are truth values.
    """
    import pandas as pd

    if rows.empty:
        return frame
    filled = {name: False for name in frame.columns if frame[name].dtype == bool}
    rows = rows.assign(**{name: value for name, value in filled.items() if name not in rows})
    rows = rows.reindex(columns=frame.columns).astype(frame.dtypes.to_dict())
    joined = pd.concat([frame, rows]) if len(frame) else rows
    return joined.sort_values("start", kind="stable", ignore_index=True)


def _times(stamps_ns: NDArray[np.int64], timezone: tzinfo | None) -> pd.Series[Any]:
    import pandas as pd

    times = pd.to_datetime(pd.Series(stamps_ns), unit="ns", utc=timezone is not None)
    return times if timezone is None else times.dt.tz_convert(timezone)
