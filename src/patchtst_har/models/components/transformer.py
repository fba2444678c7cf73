"""One transformer encoder layer with rotary attention."""

from __future__ import annotations

from typing import Literal, Self

from torch import Tensor, nn

from patchtst_har.config import ModelConfig
from patchtst_har.models.attention import rope_attention
from patchtst_har.models.attention_plain import rope_attention_weights
from patchtst_har.models.components.activation import ACTIVATIONS
from patchtst_har.models.dropout import Dropout


class RoPETransformerEncoderLayer(nn.Module):
    """Encoder layer: rotary self-attention, then a feed-forward network, each added to its input.

    Parameters
    ----------
    d_model : int
        Width of a token.
    n_heads : int
        Attention heads; ``d_model / n_heads`` must be even.
    dropout : float
        Dropout probability of the attention weights, the feed-forward layer and both residual branches.
    d_ff : int, optional
        Width of the feed-forward layer; 4 * d_model if not given.
    norm : {"pre", "post"}
        Normalise the input of each branch, or each sum.
    activation : {"gelu", "relu"}
        Of the feed-forward layer.

    Attributes
    ----------
    last_attn : Tensor or None
        Attention weights (B, n_heads, N, N), detached, of the last call with ``return_attn=True``.
    """

    def __init__(
        self,
        d_model: int = 128,
        n_heads: int = 2,
        dropout: float = 0.25,
        d_ff: int | None = None,
        *,
        norm: Literal["pre", "post"] = "pre",
        activation: Literal["gelu", "relu"] = "gelu",
    ) -> None:
        super().__init__()
        if d_model % n_heads or (d_model // n_heads) % 2:
            raise ValueError(f"d_model / n_heads must be a whole even number, got {d_model} / {n_heads}")
        self.n_heads = n_heads
        self.norm = norm
        self.dropout_p = dropout
        self.norm_attention = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)
        d_ff = d_ff or 4 * d_model
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), ACTIVATIONS[activation](), Dropout(dropout), nn.Linear(d_ff, d_model)
        )
        self.dropout = Dropout(dropout)
        self.last_attn: Tensor | None = None

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """Return the layer that the architecture in `config` asks for."""
        sizes = (config.d_model, config.n_heads, config.dropout, config.d_ff)
        return cls(*sizes, norm=config.norm, activation=config.activation)

    def forward(self, x: Tensor, freqs_cis: tuple[Tensor, Tensor], return_attn: bool = False) -> Tensor:
        """Encode tokens.

        Parameters
        ----------
        x : Tensor, shape (B, N, d_model)
            Tokens.
        freqs_cis : tuple of Tensor, each of shape (N, head_dim / 2)
            Tables of `precompute_freqs_cis`.
        return_attn : bool
            Keep the attention weights in `last_attn`; otherwise `last_attn` becomes None.

        Returns
        -------
        Tensor, shape (B, N, d_model)
        """
        encoded: Tensor
        if self.norm == "pre":
            x = x + self.dropout(self._attend(self.norm_attention(x), freqs_cis, return_attn))
            encoded = x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))
        else:
            x = self.norm_attention(x + self.dropout(self._attend(x, freqs_cis, return_attn)))
            encoded = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return encoded

    def _attend(self, x: Tensor, freqs_cis: tuple[Tensor, Tensor], return_attn: bool) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1))
        self.last_attn = rope_attention_weights(qkv.detach(), *freqs_cis) if return_attn else None
        mixed = rope_attention(qkv, *freqs_cis, dropout_p=self.dropout_p, training=self.training)
        attended: Tensor = self.out(mixed.flatten(2))
        return attended
