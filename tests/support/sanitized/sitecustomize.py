"""Lets Python processes, and those that they start, load another build of the extension.

`make sanitize` puts this folder on ``PYTHONPATH``, and the build that ``PATCHTST_HAR_CORE`` names is found
before that of the installed package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType


class _OtherBuild:
    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "patchtst_har._core":
            return None
        return spec_from_file_location(name, os.environ["PATCHTST_HAR_CORE"])


if "PATCHTST_HAR_CORE" in os.environ:
    sys.meta_path.insert(0, _OtherBuild)
