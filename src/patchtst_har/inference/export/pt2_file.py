"""A program of `torch.export`: a graph of torch's own operators, which needs torch but not this package."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from patchtst_har.inference.export.program import DESCRIPTION_NAME, Arrays, Run, trace
from patchtst_har.models import PatchTSTClassifier

NEEDS: tuple[str, ...] = ("torch.export", "", "torch")
DESCRIPTION_FILE = f"{DESCRIPTION_NAME}.json"


def write(
    model: PatchTSTClassifier, path: Path, description: Mapping[str, Any], *, probabilities: bool = False
) -> None:
    """Write a model as a torch.export archive, for any number of windows per call (as `Writer.write`).

    Nothing in it is pickled: weights are raw bytes, the graph is JSON.
    """
    archive = io.BytesIO()
    program = trace(model, probabilities=probabilities)
    torch.export.save(program, archive, extra_files={DESCRIPTION_FILE: json.dumps(description)})
    path.write_bytes(archive.getvalue())


def load(path: Path) -> Run:
    """Return the file as torch runs it.

    Only for a file that this process has just written: `torch.export.load` unpickles what a file asks it to.
    """
    module = torch.export.load(io.BytesIO(path.read_bytes())).module()

    def run(inputs: Arrays) -> dict[str, Any]:
        with torch.inference_mode():
            outputs = module(**{name: torch.tensor(values) for name, values in inputs.items()})
        return {name: values.numpy() for name, values in outputs.items()}

    return run
