"""ONNX: written by torch's exporter, checked and run by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import patchtst_har
from patchtst_har.inference.export.program import (
    DESCRIPTION_NAME,
    Arrays,
    Run,
    require,
    trace,
    without_exporter_noise,
)
from patchtst_har.models import PatchTSTClassifier

if TYPE_CHECKING:
    import onnx

NEEDS: tuple[str, ...] = ("ONNX", "export", "onnx", "onnxscript", "onnxruntime")
OPSET = 20
"""The first that has GELU as one operator."""


def write(
    model: PatchTSTClassifier, path: Path, description: Mapping[str, Any], *, probabilities: bool = False
) -> None:
    """Write a model as ONNX, for any number of windows per call (as `Writer.write`)."""
    require(*NEEDS)
    import onnx

    program = trace(model, probabilities=probabilities)
    (batch,) = program.range_constraints
    with without_exporter_noise():
        made = torch.onnx.export(
            program,
            input_names=list(program.graph_signature.user_inputs),
            output_names=["logits", "probabilities"][: 1 + probabilities],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if made is None:
        raise RuntimeError("torch.onnx.export returned no program")
    proto = made.model_proto
    _clean(proto, str(batch))
    proto.producer_name, proto.producer_version = "patchtst-har", patchtst_har.__version__
    onnx.helper.set_model_props(proto, {DESCRIPTION_NAME: json.dumps(description)})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def load(path: Path) -> Run:
    """Return the file as ONNX Runtime runs it, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]

    def run(inputs: Arrays) -> dict[str, Any]:
        return dict(zip(outputs, session.run(outputs, {name: inputs[name] for name in names}), strict=True))

    return run


def _clean(proto: onnx.ModelProto, symbol: str) -> None:
    """Name the batch axis, and drop the notes of the exporter: they are a third of the file."""
    graph = proto.graph
    graph.name = "patchtst_har"
    for node in graph.node:
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info):
        del value.metadata_props[:]
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.dim_param = axis.dim_param.replace(symbol, "batch")
