"""What of the recipe depends on the machine: device, mixed precision, the compiler."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from patchtst_har.config import TrainingConfig
from patchtst_har.errors import ConfigError
from patchtst_har.reproducibility import resolve_device
from patchtst_har.support.host import cpu_info
from patchtst_har.training.processes import ALONE, Processes


@dataclass(frozen=True)
class Machine:
    """Where a network is trained.

    Attributes
    ----------
    device : torch.device
        Of model and batches.
    amp : torch.dtype or None
        What products are computed in, if not in float32.
    processes : Processes
        Those that train together.
    """

    device: torch.device
    amp: torch.dtype | None = None
    processes: Processes = ALONE

    @classmethod
    def of(cls, config: TrainingConfig, further: Sequence[str] = ()) -> Machine:
        """Return what a recipe asks for.

        Parameters
        ----------
        config : TrainingConfig
            `device`, `amp`, `compile`.
        further : sequence of str
            Problems that were found elsewhere.

        Raises
        ------
        ConfigError
            If this machine cannot do it, or there are further problems; all at once.
        """
        problems, processes = list(further), Processes.current()
        try:
            device = _own(resolve_device(config.device), processes)
        except ConfigError as error:
            problems = [*error.problems, *problems]
            device = torch.device(config.device)
        else:
            problems += _problems(config, device)
        if config.compile and processes.size > 1:
            problems.append(f"training.compile: is for one process, these are {processes.size}")
        if problems:
            raise ConfigError(problems)
        wanted = config.amp
        if wanted == "auto":
            wanted = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "off"
        return cls(device, {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[wanted], processes)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes."""
        dtype = self.amp or torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.amp is not None)

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return what keeps small gradients from vanishing; bfloat16 has float32's range and needs none."""
        return torch.amp.GradScaler(self.device.type) if self.amp is torch.float16 else None


def compiled(module: nn.Module) -> nn.Module:
    """Return a module that computes the same for batches of any size, compiled on the first one."""
    made = cast(nn.Module, torch.compile(module))
    # Else the last batch of an epoch, which is smaller, would be compiled for as well, as long again.
    made.register_forward_pre_hook(_let_size_vary)
    return made


def _let_size_vary(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    for tensor in inputs:
        torch._dynamo.maybe_mark_dynamic(tensor, 0)


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers; without it torch imitates them, slowly."""
    if platform.machine() == "aarch64":
        flags = Path("/proc/cpuinfo")
        return flags.exists() and " bf16" in flags.read_text(encoding="utf-8")
    return bool(cpu_info()["features"].get("avx512_bf16"))


def _own(device: torch.device, processes: Processes) -> torch.device:
    """Return the device of this process among those of its machine."""
    if device.type != "cuda" or processes.size == 1:
        return device
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise ConfigError(
            [
                f"training.device: process {number} of this machine has no CUDA device of its own, there are "
                f"{torch.cuda.device_count()}; start as many processes (--nproc-per-node)"
            ]
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _problems(config: TrainingConfig, device: torch.device) -> list[str]:
    problems = []
    if config.amp == "bf16" and device.type == "cpu" and not has_bfloat16():
        problems.append(
            'training.amp: "bf16" was asked for, but this processor has no bfloat16 instructions '
            '(AVX-512 BF16, or bf16 of ARM): "off"'
        )
    if config.amp == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        problems.append('training.amp: "bf16" was asked for, but this CUDA device has none: "fp16" or "off"')
    if config.amp == "fp16" and device.type == "cpu":
        problems.append('training.amp: "fp16" needs CUDA, and the device is the CPU; there, "bf16" or "off"')
    if config.compile and device.type == "cpu":
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            problems.append(
                f"training.compile: on the CPU torch.compile needs a C++ compiler, and {compiler!r} "
                "is not found (the environment variable CXX names another)"
            )
    return problems
