"""Running code where torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys

REFUSE_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not there")

sys.meta_path.insert(0, NoTorch())
"""


def run_without_torch(code: str) -> None:
    """Run `code` in a new interpreter; raise if it fails."""
    subprocess.run([sys.executable, "-W", "error", "-c", REFUSE_TORCH + code], check=True)
