"""Seeds, device choice and the record of the environment."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

import patchtst_har
from patchtst_har.errors import ConfigError
from patchtst_har.support.host import host_facts, package_versions

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_RECORDED = (
    *("numpy", "scipy", "numba", "pandas", "torch"),
    *("scikit-learn", "ripser", "hmmlearn", "safetensors"),
)


def seed_everything(seed: int, *, deterministic: bool | None = None) -> None:
    """Seed Python's, numpy's (legacy global) and torch's generators.

    What this promises: on one machine, with one build of torch, one device and one number of threads, a
    training run repeats bit for bit on the CPU. What it does not promise: equality across machines, CPU
    models, thread counts, torch versions or devices; there, sums run in another order and training
    amplifies the last bit. On CUDA some kernels are not deterministic unless `deterministic` is set.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    deterministic : bool, optional
        Make torch refuse operations that have no deterministic implementation (slower on CUDA), or allow
        them again; None leaves it as it is.
    """
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - third-party code may draw from the global generator
    torch.manual_seed(seed)
    if deterministic is not None:
        torch.use_deterministic_algorithms(deterministic)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch use `n` CPU threads while inside; 0 leaves its own choice."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device, and log which one was taken and why.

    Raises
    ------
    ConfigError
        If ``cuda`` is asked for and there is none.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(["training.device: cuda was asked for, but torch sees no CUDA device"])
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        logger.info("device: %s", torch.cuda.get_device_name())
        return torch.device("cuda")
    logger.info("device: CPU (torch sees no CUDA device)")
    return torch.device("cpu")


def environment() -> dict[str, Any]:
    """Return what a later reader needs to judge a run: versions, processor, cores, threads, devices."""
    import torch

    return {
        "patchtst_har": patchtst_har.__version__,
        **host_facts(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "no device",
        **package_versions(_RECORDED),
    }
