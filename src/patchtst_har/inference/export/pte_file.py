"""ExecuTorch: one window per call, for phones and microcontrollers; computed by XNNPACK where it can be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from patchtst_har.inference.export.program import (
    DESCRIPTION_NAME,
    Arrays,
    Run,
    require,
    trace,
    without_exporter_noise,
)
from patchtst_har.models import PatchTSTClassifier

NEEDS: tuple[str, ...] = ("ExecuTorch", "executorch", "executorch")


def write(
    model: PatchTSTClassifier, path: Path, description: Mapping[str, Any], *, probabilities: bool = False
) -> None:
    """Write a model as an ExecuTorch program for one window per call (as `Writer.write`)."""
    require(*NEEDS)
    with without_exporter_noise():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        lowered = to_edge_transform_and_lower(
            trace(model, probabilities=probabilities, batch=1),
            partitioner=[XnnpackPartitioner()],
            constant_methods={DESCRIPTION_NAME: json.dumps(description)},
        ).to_executorch()
    path.write_bytes(lowered.buffer)


def load(path: Path) -> Run:
    """Return the file as ExecuTorch's run time for this machine runs it."""
    with without_exporter_noise():
        from executorch.runtime import Runtime

    program = Runtime.get().load_program(path.read_bytes())

    def run(inputs: Arrays) -> dict[str, Any]:
        # The method reads memory that only the program keeps alive.
        forward = program.load_method("forward")
        columns = [torch.tensor(values) for values in inputs.values()]
        rows = [
            [output.numpy().copy() for output in forward.execute([column[i : i + 1] for column in columns])]
            for i in range(len(columns[0]))
        ]
        outputs = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        return dict(zip(("logits", "probabilities"), outputs, strict=False))

    return run
