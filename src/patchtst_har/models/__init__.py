"""The PatchTST encoder with rotary attention, and its parts."""

from patchtst_har.architecture import cut_patches
from patchtst_har.models.attention import precompute_freqs_cis, rope_attention
from patchtst_har.models.components.transformer import RoPETransformerEncoderLayer
from patchtst_har.models.patchtst import PatchTSTClassifier

__all__ = [
    "PatchTSTClassifier",
    "RoPETransformerEncoderLayer",
    "cut_patches",
    "precompute_freqs_cis",
    "rope_attention",
]
