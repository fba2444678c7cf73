"""From raw wrist acceleration to activity labels.

Importing this package is light: torch, pandas and numba are imported where they are first used.
"""

from typing import TYPE_CHECKING

from patchtst_har._core import __version__
from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.support.host import cpu_info
else:
    __getattr__, __dir__, _ = lazy_exports(
        __name__,
        {"patchtst_har.inference.recognizer": ["Recognizer"], "patchtst_har.support.host": ["cpu_info"]},
    )

__all__ = ["Recognizer", "__version__", "cpu_info"]
