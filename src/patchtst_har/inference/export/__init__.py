"""Trained models as files for other run times: ONNX, torch.export, ExecuTorch.

May import the rest of `inference` and what `inference` may.
"""

from patchtst_har.inference.export.folder import Exported, Format, export_model

__all__ = ["Exported", "Format", "export_model"]
