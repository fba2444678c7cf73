"""Numbers as float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers, or columns of pandas, as float32, without a copy if they are.

    What is too large becomes infinite, so it counts as non-finite. Neither this nor a signalling NaN, which
    a file may have, makes numpy warn.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single: NDArray[np.float32] = (
            values.to_numpy(dtype=np.float32)
            if hasattr(values, "to_numpy")
            else np.asarray(values, dtype=np.float32)
        )
    return single
