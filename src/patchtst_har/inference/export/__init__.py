"""Trained models as files for other run times: ONNX, torch.export, ExecuTorch."""

from patchtst_har.inference.export.folder import Exported, Format, export_model

__all__ = ["Exported", "Format", "export_model"]
