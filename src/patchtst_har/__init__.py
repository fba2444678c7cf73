"""From raw wrist acceleration to activity labels.

Importing this package is light: torch, pandas and numba are imported where they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from patchtst_har._core import __version__

if TYPE_CHECKING:
    from patchtst_har.host import cpu_info
    from patchtst_har.inference.recognizer import Recognizer

__all__ = ["Recognizer", "__version__", "cpu_info"]

_LAZY = {"Recognizer": "patchtst_har.inference.recognizer", "cpu_info": "patchtst_har.host"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
