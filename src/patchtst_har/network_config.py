"""What a network looks like: `ModelConfig` and its parts, checked field by field, then against each other."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)
from patchtst_har.support.settings import (
    Count,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    Section,
    refuse,
)

N_STATISTICAL_FEATURES = len(STATISTICAL_FEATURE_NAMES)
N_MOVEMENT_FEATURES = len(MOVEMENT_FEATURE_NAMES)
N_TOPOLOGICAL_FEATURES = len(TOPOLOGICAL_FEATURE_NAMES)
N_TIME_FEATURES = 5


class StemLayer(Section):
    """One convolution of the stem: without bias, then batch norm and activation."""

    channels: Annotated[int, Field(ge=1, le=8192)]
    """Output channels."""
    kernel: Annotated[int, Field(ge=1, le=2**20)]
    """Samples that an output sees."""
    stride: Count
    """Samples between outputs; at most the kernel."""
    padding: Annotated[int, Field(ge=0, le=2**20)] = 0
    """Zeros before and after its input; only with `stem_over: window`."""


class FeatureBranchConfig(Section):
    """Branch for the feature vectors, parallel to the encoder.

    Each feature is scaled to a normal distribution by its quantiles over the training windows; then come two
    layers with batch norm.
    """

    width: Annotated[int, Field(ge=1, le=8192)] = 96
    """Width of both layers."""
    input_dropout: Fraction = 0.1
    """Dropout probability of the scaled features."""
    hidden_dropout: Fraction = 0.4
    """Dropout probability between the layers."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation of the normal noise that is added to the scaled features in training."""
    drop: Fraction = 0.05
    """Probability that all features of a window are zero in training."""


class ModelConfig(Section):
    """Architecture of the PatchTST encoder. The defaults are the reference configuration."""

    window_size: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Samples per window."""
    patch_len: Count = 100
    """Samples per patch."""
    patch_stride: Count | None = None
    """Samples between the starts of patches; smaller than patch_len: they overlap; None: patch_len."""
    stem: Annotated[tuple[StemLayer, ...], Field(max_length=8)] = ()
    """Strided convolutions before the encoder.

    Each is a mapping `{channels, kernel, stride, padding}`; they must use their input to the last sample.
    """
    stem_over: Literal["patch", "window"] = "patch"
    """`patch`: the stem works inside each patch, whose outputs are projected to one token; `window`: over the
    whole window, and each of its outputs is a token: the last layer must have d_model channels.

    With `window`, patch_len is window_size and follows it if it is not set.
    """
    channels: Annotated[int, Field(ge=1, le=3)] = 3
    """Acceleration axes."""
    d_model: Annotated[int, Field(ge=1, le=8192)] = 56
    """Width of a token."""
    n_heads: Annotated[int, Field(ge=1, le=1024)] = 2
    """Attention heads; d_model / n_heads must be even (rotary pairs)."""
    n_layers: Annotated[int, Field(ge=1, le=256)] = 2
    """Encoder layers."""
    d_ff: Annotated[int, Field(ge=1, le=65_536)] = 112
    """Width of the feed-forward layers."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each residual branch (and before pooling), or after each sum."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Activation of the stem, the feature embeddings or branch, and the feed-forward layers."""
    pooling: Literal["mean", "cls", "attention", "mean_max"] = "mean"
    """From tokens to one vector: their mean, a learned token put before them, a learned weighting, or mean
    and maximum side by side."""
    dropout: Fraction = 0.3
    """Dropout probability of the encoder layers, attention included."""
    embedding_dropout: Fraction | None = None
    """Dropout probability of the tokens before the encoder and of the head's input; None: `dropout`."""
    features_as: Literal["tokens", "branch"] = "tokens"
    """Feature vectors are tokens of the encoder, or go through a branch of two layers parallel to it, whose
    output the head reads together with the pooled tokens."""
    branch: FeatureBranchConfig = FeatureBranchConfig()
    """`features_as: branch`: its width and regularisation."""
    auxiliary_heads: bool = False
    """In training, the encoder and the branch each have their own head in addition to the joint one
    (`features_as: branch`)."""
    n_stat_features: Annotated[int, Field(ge=0, le=100_000)] = N_STATISTICAL_FEATURES
    """Length of the statistical feature vector; 0 leaves its token out.

    In an experiment it follows `features.groups` and `features.plugins` if it is not set.
    """
    n_topo_features: Annotated[int, Field(ge=0, le=100_000)] = N_TOPOLOGICAL_FEATURES
    """Length of the topological feature vector; 0 leaves its token out.

    In an experiment it follows `features.groups` if it is not set.
    """
    n_stat_tokens: Annotated[int, Field(ge=1, le=1024)] = 1
    """Tokens that the statistical feature vector is projected to."""
    n_topo_tokens: Annotated[int, Field(ge=1, le=1024)] = 1
    """Tokens that the topological feature vector is projected to."""
    n_time_features: Annotated[int, Field(ge=0, le=1024)] = N_TIME_FEATURES
    """Length of the time vector, added once to the pooled tokens; 0 leaves it out.

    Leave it out unless the training recordings span whole days: from one session per person, a
    model can only learn when the session was.
    """
    rope_base: PositiveFloat = 10000.0
    """Base of the rotary frequencies."""
    gradient_checkpointing: bool = False
    """Recompute each encoder layer in the backward pass: less memory, more time, equal gradients."""

    @property
    def patch_hop(self) -> int:
        """Samples between the starts of patches."""
        return self.patch_len if self.patch_stride is None else self.patch_stride

    @property
    def n_patches(self) -> int:
        """Patch tokens per window."""
        return (self.window_size - self.patch_len) // self.patch_hop + 1

    @property
    def stem_lengths(self) -> tuple[int, ...]:
        """Length of a patch before the stem and after each of its convolutions."""
        lengths = [self.patch_len]
        for layer in self.stem:
            lengths.append((lengths[-1] + 2 * layer.padding - layer.kernel) // layer.stride + 1)
        return tuple(lengths)

    @property
    def n_patch_tokens(self) -> int:
        """Tokens that the samples become: one for each patch, or each output of the stem over the window."""
        return self.stem_lengths[-1] if self.stem_over == "window" else self.n_patches

    @property
    def patch_width(self) -> int:
        """Values that are projected to a patch token."""
        return self.stem_lengths[-1] * (self.stem[-1].channels if self.stem else self.channels)

    @property
    def feature_tokens(self) -> tuple[int, int]:
        """Statistical and topological tokens per window."""
        if self.features_as == "branch":
            return 0, 0
        return (
            self.n_stat_tokens if self.n_stat_features else 0,
            self.n_topo_tokens if self.n_topo_features else 0,
        )

    @property
    def n_tokens(self) -> int:
        """All tokens per window: the class token if there is one, patches, features."""
        return (self.pooling == "cls") + self.n_patch_tokens + sum(self.feature_tokens)

    @property
    def pooled_width(self) -> int:
        """Width of the pooled tokens."""
        return 2 * self.d_model if self.pooling == "mean_max" else self.d_model

    @property
    def embedding_width(self) -> int:
        """Width of the head's input: the pooled tokens, then the output of the feature branch."""
        return self.pooled_width + (self.branch.width if self.features_as == "branch" else 0)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stem_over == "window" and "patch_len" not in self.model_fields_set:
            # Frozen, but still being built; it stays unset, so that it follows again.
            object.__setattr__(self, "patch_len", self.window_size)
            self.model_fields_set.discard("patch_len")
        problems = self._cutting_problems() + self._stem_problems() + self._branch_problems()
        if self.d_model % self.n_heads:
            problems.append(f"d_model ({self.d_model}) must be divisible by n_heads ({self.n_heads})")
        elif self.head_dim % 2:
            problems.append(f"head_dim = d_model / n_heads ({self.head_dim}) must be even")
        return refuse(self, problems + self.token_problems())

    def token_problems(self) -> list[str]:
        """Return what contradicts itself in the numbers of tokens."""
        if self.features_as == "branch":
            return [
                f"{name} ({getattr(self, name)}) has no meaning with features_as branch"
                for name in ("n_stat_tokens", "n_topo_tokens")
                if getattr(self, name) != 1
            ] + (
                []
                if self.n_stat_features or self.n_topo_features
                else ["features_as: branch needs features, n_stat_features and n_topo_features are 0"]
            )
        unused = {"n_stat_tokens": self.n_stat_features, "n_topo_tokens": self.n_topo_features}
        return [
            f"{name} ({getattr(self, name)}) has no meaning with {name.replace('tokens', 'features')} 0"
            for name, n_features in unused.items()
            if not n_features and getattr(self, name) != 1
        ]

    def _branch_problems(self) -> list[str]:
        if self.features_as == "branch":
            return []
        problems = (
            [] if self.branch == FeatureBranchConfig() else ["branch has no meaning with features_as tokens"]
        )
        if self.auxiliary_heads:
            problems.append("auxiliary_heads needs features_as branch: without it, there is one head")
        return problems

    def _stem_problems(self) -> list[str]:
        """Each convolution must use its input to the last sample."""
        if self.stem_over == "window":
            if not self.stem:
                return ["stem_over: window needs a stem"]
            problems = []
            if self.patch_len != self.window_size:
                problems.append(
                    f"patch_len ({self.patch_len}) must be window_size ({self.window_size}) with "
                    "stem_over window; left out, it follows"
                )
            if self.stem[-1].channels != self.d_model:
                problems.append(
                    f"stem.{len(self.stem) - 1}.channels ({self.stem[-1].channels}) must be d_model "
                    f"({self.d_model}) with stem_over window"
                )
        else:
            problems = [
                f"stem.{i}.padding ({layer.padding}) has no meaning with stem_over patch"
                for i, layer in enumerate(self.stem)
                if layer.padding
            ]
        for i, (layer, length) in enumerate(zip(self.stem, self.stem_lengths, strict=False)):
            if layer.stride > layer.kernel:
                problems.append(f"stem.{i}.stride ({layer.stride}) must not exceed kernel ({layer.kernel})")
            if layer.padding >= layer.kernel:
                problems.append(f"stem.{i}.padding ({layer.padding}) must be below kernel ({layer.kernel})")
            left_over = (length + 2 * layer.padding - layer.kernel) % layer.stride
            if layer.kernel > length + 2 * layer.padding or left_over > layer.padding:
                problems.append(
                    f"stem.{i}: kernel ({layer.kernel}) and stride ({layer.stride}) must cover its input of "
                    f"{length} samples exactly"
                )
                break
        return problems

    def _cutting_problems(self) -> list[str]:
        """Patches must cover the window to the last sample."""
        if self.patch_len > self.window_size:
            return [f"patch_len ({self.patch_len}) must not exceed window_size ({self.window_size})"]
        problems = []
        if self.patch_stride is None and self.window_size % self.patch_len:
            problems.append(
                f"window_size ({self.window_size}) must be divisible by patch_len ({self.patch_len})"
            )
        elif self.patch_hop > self.patch_len:
            problems.append(
                f"patch_stride ({self.patch_stride}) must not exceed patch_len ({self.patch_len}): "
                "samples between patches would be ignored"
            )
        elif (self.window_size - self.patch_len) % self.patch_hop:
            problems.append(
                f"window_size - patch_len ({self.window_size - self.patch_len}) must be divisible by "
                f"patch_stride ({self.patch_hop}): the last samples would be ignored"
            )
        return problems
