"""How many windows are classified at a time, and their patches (see `patchtst_har.datasets.inputs`)."""

from patchtst_har.architecture import cut_patches

__all__ = ["BATCH_SIZE", "cut_patches"]

BATCH_SIZE = 256
"""Windows that are cut and classified at a time."""
