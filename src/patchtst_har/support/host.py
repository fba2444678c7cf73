"""Facts about the machine that a measured time depends on."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har import _core
from patchtst_har.support.host_limits import clock_settings, container_limits

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def cpu_info() -> dict[str, Any]:
    """Return which instruction sets the compiled kernels can use here and which one they do use.

    The fastest available one is active unless the environment variable ``PATCHTST_HAR_ISA`` names another
    (``baseline``, ``avx2`` or ``avx512``); importing the package fails if it names one that is not available.
    Statistical features do not depend on it, to the last bit; a model's logits agree to rounding.

    Returns
    -------
    dict
        ``active``, the name of the instruction set in use; ``available``, names, fastest first; ``features``,
        what processor and operating system support, by name (empty where there is only the baseline).
    """
    return {
        "active": _core.active_isa(),
        "available": _core.available_isas(),
        "features": _core.cpu_features(),
    }


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each package, ``not installed`` for one that is not there.

    What is recorded is not what is needed: a part of the package runs without the dependencies of another.
    """
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def host_facts() -> dict[str, Any]:
    """Return processor, cores, limits, load, versions and thread settings, ready for JSON.

    ``load_average`` is that of the last minute; ``container`` and what the clock does are as
    `patchtst_har.support.host_limits` reads them; None where the machine does not report them.

    torch is described only if it is already imported: measuring something else must not load it.
    """
    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "isa": _core.active_isa(),
        "isas_available": _core.available_isas(),
        "n_cores": os.cpu_count(),
        "n_usable_cores": _usable_cores(),
        **clock_settings(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "container": container_limits(),
        "garbage_collection": gc.isenabled(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts |= {"torch": torch.__version__, "torch_threads": torch.get_num_threads()}
    return facts


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
