"""From the torch module to a graph of named inputs and outputs: what every format is made from."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from patchtst_har.architecture import input_shapes
from patchtst_har.config import ModelConfig
from patchtst_har.errors import MissingDependencyError
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.attention import Backend, use_attention_backend

DESCRIPTION_NAME = "patchtst_har"
"""Under this name every file carries its description, as JSON."""

Arrays = Mapping[str, NDArray[np.float32]]
Run = Callable[[Arrays], dict[str, NDArray[np.float32]]]
"""A file that was read back: from inputs to outputs by name, (n, ...) each."""


class NamedClassifier(nn.Module):
    """A classifier that takes only the inputs that it uses, by name, and names its outputs.

    Parameters
    ----------
    model : PatchTSTClassifier
        The classifier.
    probabilities : bool
        Whether to return their softmax in addition to the logits.
    """

    def __init__(self, model: PatchTSTClassifier, probabilities: bool) -> None:
        super().__init__()
        self.model = model
        self.with_probabilities = probabilities

    def forward(
        self,
        patches: Tensor,
        times: Tensor | None = None,
        stats: Tensor | None = None,
        topo: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return ``logits`` and perhaps ``probabilities``, (B, K) each."""
        # The model does not look at an input that it does not use; any tensor will do.
        vectors = (patches if vector is None else vector for vector in (times, stats, topo))
        logits = self.model(patches, *vectors)
        return {"logits": logits, **({"probabilities": logits.softmax(1)} if self.with_probabilities else {})}


def used_inputs(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the inputs that a model uses, and their shapes for one window, in the order of the graph."""
    return {name: shape for name, shape in input_shapes(config).items() if all(shape)}


def trace(
    model: PatchTSTClassifier,
    *,
    probabilities: bool = False,
    batch: int | None = None,
    attention: Backend = "torch",
) -> ExportedProgram:
    """Return the graph of a model in evaluation mode, on the CPU in float32.

    Parameters
    ----------
    model : PatchTSTClassifier
        Is not changed.
    probabilities : bool
        Whether the graph returns them in addition to the logits.
    batch : int, optional
        Windows per call; None: any number from 1.
    attention : {"torch", "cpu"}
        Attention in plain operators of torch, which any run time knows, or as the fused operator of this
        package, for graphs that stay where it is installed.

    Returns
    -------
    ExportedProgram
        Called with the used inputs by name. It carries neither example inputs nor the paths of source files.
    """
    shapes = used_inputs(model.config)
    example = {name: torch.zeros(batch or 2, *shape) for name, shape in shapes.items()}
    sizes = None if batch else {name: {0: Dim("batch", min=1)} for name in shapes}
    module = NamedClassifier(copy.deepcopy(model).cpu().float(), probabilities).eval()
    with use_attention_backend(attention):
        program = torch.export.export(module, (), example, dynamic_shapes=sizes)
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    program.example_inputs = None
    return program


def require(what: str, extra: str, *packages: str) -> None:
    """Raise a `MissingDependencyError` that names the first package that is not installed, and its extra."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(f"{what} needs {package}: pip install 'patchtst-har[{extra}]'")


@contextmanager
def without_exporter_noise() -> Iterator[None]:
    """Hide what exporters say: deprecated parts of their own, packages that are not needed here.

    A warning that matters is not lost: what they make is run and compared afterwards.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
