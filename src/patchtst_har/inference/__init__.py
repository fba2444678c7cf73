"""Using a trained model: probabilities, timelines, the model folder as one object. Needs no torch."""

from patchtst_har.inference.native import NativeClassifier

__all__ = ["NativeClassifier"]
