"""The PatchTST encoder with rotary attention, and its parts.

Its names are imported when they are first used: attention needs torch alone, the model its configuration too.
May import `datasets` and everything below it.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "PatchTSTClassifier": "patchtst_har.models.patchtst",
        "RoPETransformerEncoderLayer": "patchtst_har.models.components.transformer",
        "cut_patches": "patchtst_har.architecture",
        "precompute_freqs_cis": "patchtst_har.models.attention",
        "rope_attention": "patchtst_har.models.attention",
    },
)
