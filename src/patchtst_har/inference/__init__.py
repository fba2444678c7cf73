"""The trained network in use: windows to probabilities, recordings to timelines, export; needs no torch.

May import `realtime`, `models` and everything below.
"""

from patchtst_har.inference.native import NativeClassifier

__all__ = ["NativeClassifier"]
