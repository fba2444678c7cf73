"""Run by `cold_start` in a fresh process: prints, as JSON, how long the first decisions took.

Reads from standard input a line of JSON, then samples (n, 3) float32, then stamps (n,) int64.
"""

from time import perf_counter

_BEGAN = perf_counter()

from patchtst_har import Recognizer  # noqa: E402 - the import is timed
from patchtst_har.realtime.stream import Stream  # noqa: E402

_IMPORTED = perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from patchtst_har.process_memory import peak_rss_mb  # noqa: E402


def main() -> None:
    """Load the model, decide twice, print."""
    head = json.loads(sys.stdin.buffer.readline())
    n = head["n_samples"]
    samples = np.frombuffer(sys.stdin.buffer.read(12 * n), np.float32).reshape(n, 3)
    stamps = np.frombuffer(sys.stdin.buffer.read(8 * n), np.int64)
    before_load = perf_counter()
    stream = _open(head)
    loaded = perf_counter()
    n_first = head["window_size"]
    first = _decision_us(stream, samples[:n_first], stamps[:n_first])
    second = _decision_us(stream, samples[n_first:], stamps[n_first:])
    measured = {
        "import_s": _IMPORTED - _BEGAN,
        "load_s": loaded - before_load,
        "first_decision_us": first,
        "second_decision_us": second,
        "peak_rss_mb": peak_rss_mb(),
    }
    sys.stdout.write(json.dumps(measured))


def _open(head: dict[str, Any]) -> Stream:
    recognizer = Recognizer.from_pretrained(head["model_dir"], head["engine"])
    if head["engine"] == "torch":
        import torch

        torch.set_num_threads(1)
        recognizer.torch_module().to(head["device"])
    return recognizer.stream(head["hop_s"], head["smoothing"])


def _decision_us(stream: Stream, samples: Any, stamps: Any) -> float:
    """Push samples, the last one timed; it must complete a window (whose decision a lag may hold back)."""
    stream.push(samples[:-1], stamps[:-1])
    n_before = stream.stats.n_windows
    began = perf_counter()
    stream.push(samples[-1], stamps[-1])
    took = perf_counter() - began
    if stream.stats.n_windows != n_before + 1:
        raise RuntimeError(f"expected one window, got {stream.stats.n_windows - n_before}")
    return took * 1e6


if __name__ == "__main__":
    main()
