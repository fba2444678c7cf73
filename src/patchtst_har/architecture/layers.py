"""Descriptions of layers: which tensors they hold, what they compute, which rows they read and write.

A layer gives its tensors and multiply-adds; `inference.native_program` has one function for each kind, which
adds its steps to the compiled engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Literal

Activation = Literal["none", "relu", "gelu"]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor by its name in `PatchTSTClassifier.state_dict`.

    Attributes
    ----------
    name : str
        Dotted name.
    shape : tuple of int
        Shape; () for a number.
    trained : bool
        Whether the optimiser changes it; a buffer otherwise.
    least : {"any", "zero", "positive"}
        What its values must be at least.
    """

    name: str
    shape: tuple[int, ...]
    trained: bool = True
    least: Literal["any", "zero", "positive"] = "any"


@dataclass(frozen=True)
class Rows:
    """Rows of a buffer that holds values of one window; an input is a buffer too.

    Attributes
    ----------
    buffer : str
        Name. Layers that use the same name use the same memory.
    n_rows, width : int
        Rows, and values of each.
    first : int
        The first of them in the buffer.
    column : int
        Where they begin in the buffer's rows. Layers that write side by side do so in the order of their
        columns: a layer may write zeros up to the end of a vector beyond its own.
    n_needed : int or None
        If only the first rows influence the logits: how many. The compiled engine leaves out the others.
    """

    buffer: str
    n_rows: int
    width: int
    first: int = 0
    column: int = 0
    n_needed: int | None = None

    def part(self, first: int, n_rows: int) -> Rows:
        """Return `n_rows` of these rows, from the `first` on."""
        return replace(self, first=self.first + first, n_rows=n_rows)

    def columns(self, first: int, width: int) -> Rows:
        """Return `width` columns of these rows, from the `first` on."""
        return replace(self, column=self.column + first, width=width)

    @property
    def n_computed(self) -> int:
        """Rows that the engine computes."""
        return self.n_rows if self.n_needed is None else self.n_needed


@dataclass(frozen=True)
class Layer:
    """What all layers have: a name, which begins those of its tensors, and where the result goes."""

    name: str
    target: Rows

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return its tensors."""
        return ()

    def multiply_adds(self) -> int:
        """Return those of products and convolutions for one window; element-wise work is not counted."""
        return 0

    def rows(self) -> Iterator[Rows]:
        """Return all rows that it reads or writes."""
        values = (getattr(self, field.name) for field in fields(self))
        return (value for value in values if isinstance(value, Rows))


@dataclass(frozen=True)
class Constant(Layer):
    """A trained row, the same for every window."""

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return the row."""
        return (TensorSpec(self.name, (self.target.width,)),)


@dataclass(frozen=True)
class Standardise(Layer):
    """Subtract a mean, divide by a standard deviation, clip to ± `limit`; both come from the training set."""

    source: Rows
    limit: float

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return mean and standard deviation."""
        return _scale(self.name, self.source.width)


@dataclass(frozen=True)
class StandardiseAxes(Layer):
    """Standardise the samples of each axis, a row of source and target, by the axis' mean and deviation."""

    source: Rows

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return mean and standard deviation of each axis."""
        return _scale(self.name, self.source.n_rows)


@dataclass(frozen=True)
class QuantileNormalLayer(Layer):
    """Map each value to the normal quantile of its rank among the training windows, up to ± `limit`.

    The map is linear between `n_steps` + 1 quantiles; see `models.components.embedding.QuantileNormal`.
    """

    source: Rows
    n_steps: int
    limit: float

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return where each step begins, and the inverse of its width."""
        shape = (self.n_steps, self.source.width)
        lower = TensorSpec(f"{self.name}.lower", shape, trained=False)
        return lower, TensorSpec(f"{self.name}.inverse_width", shape, trained=False, least="positive")


@dataclass(frozen=True)
class Linear(Layer):
    """target = activation(source weightᵀ + bias), or this added to target.

    Where there are more target than source rows, the outputs of one source row are several rows.
    """

    source: Rows
    _: KW_ONLY
    activation: Activation = "none"
    adds: bool = False

    @property
    def n_inputs(self) -> int:
        """Values on which each output depends."""
        return self.source.width

    @property
    def rows_each(self) -> int:
        """Target rows for each source row."""
        return self.target.n_rows // self.source.n_rows

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return weight and bias."""
        return _affine(self.name, (self.rows_each * self.target.width, self.n_inputs))

    def multiply_adds(self) -> int:
        """Return one for each weight and row, as torch counts them."""
        return self.target.n_rows * self.target.width * self.n_inputs


@dataclass(frozen=True)
class NormedLinear(Linear):
    """Linear layer with batch norm in the place of a bias."""

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return weight and batch norm."""
        width = self.target.width
        return (
            TensorSpec(f"{self.name}.0.weight", (width, self.n_inputs)),
            *_batch_norm(f"{self.name}.1", width),
        )


@dataclass(frozen=True)
class AuxiliaryHead(Layer):
    """A head that only training reads: it has tensors and computes nothing here."""

    n_inputs: int

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return weight and bias."""
        return _affine(self.name, (self.target.width, self.n_inputs))

    def rows(self) -> Iterator[Rows]:
        """Return none."""
        return iter(())


@dataclass(frozen=True)
class Convolution(Linear):
    """Convolution over time inside each patch; its outputs are rows (patch, time).

    Its source has rows (patch, time) of channels, or rows (channel, patch) of samples (`from_axes`).
    With batch norm it has no bias. Without, it is stored as a linear layer over flattened patches.

    Attributes
    ----------
    n_patches, kernel, stride : int
        Patches; samples.
    from_axes : bool
        Whether the source has a row for each channel.
    batch_norm : bool
        Before the activation.
    scale : str
        Name of the standardisation of its input, which has no step of its own; empty: none.
    """

    n_patches: int
    kernel: int
    stride: int
    _: KW_ONLY
    from_axes: bool = False
    batch_norm: bool = False
    scale: str = ""

    @property
    def channels(self) -> int:
        """Input channels."""
        return self.source.n_rows // self.n_patches if self.from_axes else self.source.width

    @property
    def n_inputs(self) -> int:
        """Values on which each output depends."""
        return self.channels * self.kernel

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return scaling of the input, kernel, and batch norm or bias."""
        width = self.target.width
        scale = _scale(self.scale, self.channels) if self.scale else ()
        if not self.batch_norm:
            return scale + _affine(self.name, (width, self.n_inputs))
        return (
            *scale,
            TensorSpec(f"{self.name}.0.weight", (width, self.channels, self.kernel)),
            *_batch_norm(f"{self.name}.1", width),
        )


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Layer norm of each row."""

    source: Rows

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return gain and bias."""
        return _affine(self.name, (self.source.width,))


@dataclass(frozen=True)
class Attention(Layer):
    """Projection to queries, keys and values, and rotary attention over all rows.

    Attributes
    ----------
    source, qkv : Rows
        Tokens, and their projections.
    n_heads : int
        Heads.
    rope_base : float
        Of the rotation tables.
    """

    source: Rows
    qkv: Rows
    n_heads: int
    rope_base: float

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.target.width // self.n_heads

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return weight and bias of the projection."""
        return _affine(self.name, (self.qkv.width, self.source.width))

    def multiply_adds(self) -> int:
        """Return those of the projection, the scores and the mixing."""
        n_rows = self.source.n_rows
        return n_rows * self.qkv.width * self.source.width + 2 * n_rows * n_rows * self.target.width


@dataclass(frozen=True)
class Pooling(Layer):
    """One row from many.

    Attributes
    ----------
    source : Rows
        Tokens.
    kind : {"mean", "maximum", "attention"}
        Of each column; `attention`: the mean weighted by the softmax of the rows' products with a trained
        query / √width.
    """

    source: Rows
    kind: Literal["mean", "maximum", "attention"]

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Return the query, if there is one."""
        return (TensorSpec(f"{self.name}.query", (self.source.width,)),) if self.kind == "attention" else ()

    def multiply_adds(self) -> int:
        """Return those of scores and mixing, if there is a query."""
        return 2 * self.source.n_rows * self.source.width if self.kind == "attention" else 0


def _affine(name: str, shape: tuple[int, ...]) -> tuple[TensorSpec, ...]:
    return TensorSpec(f"{name}.weight", shape), TensorSpec(f"{name}.bias", shape[:1])


def _batch_norm(name: str, width: int) -> tuple[TensorSpec, ...]:
    return (
        *_affine(name, (width,)),
        TensorSpec(f"{name}.running_mean", (width,), trained=False),
        TensorSpec(f"{name}.running_var", (width,), trained=False, least="zero"),
        TensorSpec(f"{name}.num_batches_tracked", (), trained=False),
    )


def _scale(name: str, width: int) -> tuple[TensorSpec, ...]:
    mean = TensorSpec(f"{name}.mean", (width,), trained=False)
    return mean, TensorSpec(f"{name}.std", (width,), trained=False, least="positive")
