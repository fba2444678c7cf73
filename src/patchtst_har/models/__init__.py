"""The PatchTST encoder with rotary attention, and its parts.

Its names are imported when they are first used: attention needs torch alone, the model its configuration too.
May import `datasets` and everything below it.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.architecture import cut_patches as cut_patches
    from patchtst_har.models.attention import precompute_freqs_cis as precompute_freqs_cis
    from patchtst_har.models.attention import rope_attention as rope_attention
    from patchtst_har.models.components.transformer import (
        RoPETransformerEncoderLayer as RoPETransformerEncoderLayer,
    )
    from patchtst_har.models.patchtst import PatchTSTClassifier as PatchTSTClassifier
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "patchtst_har.architecture": ["cut_patches"],
            "patchtst_har.models.attention": ["precompute_freqs_cis", "rope_attention"],
            "patchtst_har.models.components.transformer": ["RoPETransformerEncoderLayer"],
            "patchtst_har.models.patchtst": ["PatchTSTClassifier"],
        },
    )
