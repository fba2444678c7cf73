"""The classifier without torch: one call of a compiled engine on packed weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.architecture import checked_weights, input_shapes
from patchtst_har.config import ModelConfig
from patchtst_har.errors import DataError
from patchtst_har.features.checks import check_threads
from patchtst_har.features.threads import run_in_chunks
from patchtst_har.inference.native_program import Precision, build_engine
from patchtst_har.model_folder import StoredModel, read_model_folder
from patchtst_har.pretrained import find_model

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier

Float32Array = NDArray[np.float32]
Inputs = tuple[Float32Array, Float32Array, Float32Array, Float32Array]

_UNUSED = np.empty(0, np.float32)


class NativeClassifier:
    """A `PatchTSTClassifier` in evaluation mode, compiled to a sequence of steps for this processor.

    Made by `from_pretrained` or `from_torch`; torch is not needed to run it, nor for `from_pretrained`. It
    keeps to the instruction set that is active when it is made. After the first calls nothing is allocated
    but the result, and not that with `out`. Calls from several threads at once are safe.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of classes.
    tensors : mapping of str to array
        All tensors of the model, by their names in `PatchTSTClassifier.state_dict`.
    precision : {"float32", "bfloat16"}
        What the inputs and weights of linear layers and convolutions are rounded to; sums and everything else
        are float32. bfloat16 is faster, its logits differ in the third digit; it needs a processor with
        avx512_bf16 (`patchtst_har.cpu_info`) and the instruction set avx512.

    Attributes
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of classes.
    tensors : dict of str to ndarray
        What it was made from.
    precision : str
        As above.
    engine : _core.Engine
        The compiled steps.

    Raises
    ------
    ValueError
        If a tensor is missing, unknown, of the wrong shape, not finite, or a spread that is not positive; the
        message names it.
    PrecisionError
        If there is no such precision, or this processor or the instruction set in use lacks it.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_classes: int,
        tensors: Mapping[str, Any],
        precision: Precision = "float32",
    ) -> None:
        self.config = config
        self.num_classes = num_classes
        self.tensors = dict(tensors)
        self.precision = precision
        weights = checked_weights(tensors, config, num_classes)
        self.engine = build_engine(config, num_classes, weights, precision)
        self._run = self.engine.run
        self._shapes = input_shapes(config)

    def __reduce__(self) -> tuple[type[NativeClassifier], tuple[Any, ...]]:
        """Travel to another process as tensors, and be compiled there for what it has."""
        return type(self), (self.config, self.num_classes, self.tensors, self.precision)

    @classmethod
    def from_torch(cls, module: PatchTSTClassifier, precision: Precision = "float32") -> Self:
        """Compile a torch module; its weights are copied. For `precision` see the class.

        Raises
        ------
        TypeError
            If `module` is not exactly a `PatchTSTClassifier`: a subclass may compute something else.
        ValueError
            If its tensors do not fit its configuration, or are not finite.
        PrecisionError
            If the precision is not available here.
        """
        from torch import float32, int64

        from patchtst_har.models import PatchTSTClassifier

        if type(module) is not PatchTSTClassifier:
            raise TypeError(f"module must be a PatchTSTClassifier, not {type(module).__name__}")
        tensors = {
            name: tensor.detach().cpu().to(float32 if tensor.is_floating_point() else int64).numpy().copy()
            for name, tensor in module.state_dict().items()
        }
        return cls(module.config, module.num_classes, tensors, precision)

    @classmethod
    def from_pretrained(cls, folder: Path | str, precision: Precision = "float32") -> Self:
        """Load the shipped model or the model folder that `folder` names, without torch.

        For `precision` see the class.

        Raises
        ------
        ModelFolderError
            If a file is missing or damaged, or the files do not fit each other; the message names it.
        PrecisionError
            If the precision is not available here.
        """
        return cls.from_stored(read_model_folder(find_model(folder)), precision)

    @classmethod
    def from_stored(cls, stored: StoredModel, precision: Precision = "float32") -> Self:
        """Compile `stored`, which `read_model_folder` returned; `precision` as `from_pretrained`."""
        return cls(stored.config.model, len(stored.classes), stored.tensors, precision)

    def logits(
        self,
        patches: Float32Array,
        times: Float32Array,
        stats: Float32Array,
        topo: Float32Array,
        *,
        n_threads: int = 1,
        out: Float32Array | None = None,
    ) -> Float32Array:
        """Classify windows.

        Values that are not finite are not refused: as in torch, they make the window's logits NaN.

        Parameters
        ----------
        patches : ndarray of float32, shape (n, channels, n_patches, patch_len)
            Acceleration in g, C-ordered as all arrays here; n may be 0.
        times : ndarray of float32, shape (n, n_time_features)
            Hour and weekday (`data.times.time_features`).
        stats : ndarray of float32, shape (n, n_stat_features)
            Statistical features, unscaled.
        topo : ndarray of float32, shape (n, n_topo_features)
            Topological features, unscaled. An input of no features may be anything.
        n_threads : int
            Threads to split the windows over. The result does not depend on it, to the last bit.
        out : ndarray of float32, shape (n, num_classes), optional
            Where to write; must not overlap the inputs.

        Returns
        -------
        ndarray of float32, shape (n, num_classes)
            `out`, or a new array.

        Raises
        ------
        DataError
            If an array has another type, shape or memory layout; the message names it.
        """
        inputs = self._inputs(patches, times, stats, topo)
        try:
            if out is None:
                out = np.empty((len(patches), self.num_classes), np.float32)
            if n_threads == 1:
                self._run(*inputs, out)
                return out
        except (TypeError, ValueError):
            # The engine takes float32 arrays of the right shape in C order and nothing else: say what is not.
            self._check(inputs, out)
            raise
        self._check(inputs, out)
        self._run_threads(inputs, out, check_threads(n_threads))
        return out

    def embed(
        self, patches: Float32Array, times: Float32Array, stats: Float32Array, topo: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Return logits (n, num_classes) and embeddings (n, embedding_width).

        Parameters and errors are those of `logits`.

        The logits are the head's linear function of the embedding.
        """
        inputs = self._inputs(patches, times, stats, topo)
        n = len(patches)
        out = np.empty((n, self.num_classes), np.float32)
        embeddings = np.empty((n, self.config.embedding_width), np.float32)
        self._check(inputs, out)
        self.engine.embed(inputs, out, embeddings)
        return out, embeddings

    def probabilities(
        self,
        patches: Float32Array,
        times: Float32Array,
        stats: Float32Array,
        topo: Float32Array,
        *,
        n_threads: int = 1,
        out: Float32Array | None = None,
    ) -> Float32Array:
        """Return the softmax of the logits, (n, num_classes); parameters and errors as `logits`."""
        out = self.logits(patches, times, stats, topo, n_threads=n_threads, out=out)
        _core.softmax(out)
        return out

    @property
    def n_workspaces_made(self) -> int:
        """How often a call had to allocate: once for each thread that ever ran at the same time."""
        return self.engine.n_workspaces_made

    def _inputs(
        self, patches: Float32Array, times: Float32Array, stats: Float32Array, topo: Float32Array
    ) -> Inputs:
        return (
            patches,
            times if self.config.n_time_features else _UNUSED,
            stats if self.config.n_stat_features else _UNUSED,
            topo if self.config.n_topo_features else _UNUSED,
        )

    def _run_threads(self, inputs: Inputs, out: Float32Array, n_threads: int) -> None:
        patches, *vectors = inputs

        def run(rows: slice) -> None:
            times, stats, topo = (vector[rows] for vector in vectors)
            self._run(patches[rows], times, stats, topo, out[rows])

        run_in_chunks(run, len(patches), n_threads)

    def _check(self, inputs: Inputs, out: Any) -> None:
        """Raise a `DataError` that names what is wrong; the engine itself says only that something is."""
        n = len(inputs[0]) if isinstance(inputs[0], np.ndarray) and inputs[0].ndim else 0
        shapes = {**self._shapes, "out": (self.num_classes,)}
        for (name, shape), array in zip(shapes.items(), (*inputs, out), strict=True):
            if not all(shape):
                continue
            if not isinstance(array, np.ndarray):
                raise DataError(f"{name} must be a numpy array, not {type(array).__name__}")
            if array.dtype != np.float32:
                raise DataError(f"{name} must be float32, not {array.dtype}")
            if array.shape != (n, *shape):
                raise DataError(f"{name} must have shape {(n, *shape)}, not {array.shape}")
            if not (array.flags.c_contiguous and array.flags.aligned):
                raise DataError(f"{name} must be C-ordered and aligned: pass np.ascontiguousarray({name})")
        if not out.flags.writeable:
            raise DataError("out is read-only")
