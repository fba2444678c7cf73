"""Run by `fresh_process`: prints, as JSON, how long first decisions took and the memory of streams.

Reads from standard input a line of JSON, then blocks: samples (n, 3) float32 and stamps (n,) int64 each.
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

from patchtst_har.support.process_memory import peak_rss_mb  # noqa: E402


def main() -> None:
    """Load the model, decide twice; then decide the other blocks, and some of them with many streams."""
    head = json.loads(sys.stdin.buffer.readline())
    before_load = perf_counter()
    recognizer = _load(head)
    stream = recognizer.stream(head["hop_s"], head["smoothing"])
    loaded = perf_counter()
    sizes = iter(head["block_sizes"])
    block = _read_block(next(sizes))
    n_first = head["geometry"]["window_size"]
    measured: dict[str, Any] = {
        "import_s": _IMPORTED - _BEGAN,
        "load_s": loaded - before_load,
        "first_decision_us": _decision_us(stream, *(part[:n_first] for part in block)),
        "second_decision_us": _decision_us(stream, *(part[n_first:] for part in block)),
        "peak_rss_mb": peak_rss_mb(),
    }
    for size in sizes:
        stream.push(*_read_block(size))
    measured["n_windows"] = stream.stats.n_windows
    measured["peaks_rss_mb"] = [_peak_of(recognizer, stream, head, n, block) for n in head["n_streams"]]
    sys.stdout.write(json.dumps(measured))


def _load(head: dict[str, Any]) -> Recognizer:
    recognizer = Recognizer.from_pretrained(head["model_dir"], head["engine"], adaptation=head["adaptation"])
    if head["engine"] == "torch":
        import torch

        torch.set_num_threads(1)
        recognizer.torch_module().to(head["device"])
    return recognizer


def _read_block(n: int) -> tuple[Any, Any]:
    samples = np.frombuffer(sys.stdin.buffer.read(12 * n), np.float32).reshape(n, 3)
    return samples, np.frombuffer(sys.stdin.buffer.read(8 * n), np.int64)


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


def _peak_of(
    recognizer: Recognizer, first: Stream, head: dict[str, Any], n_streams: int, block: tuple[Any, Any]
) -> float:
    """Return the peak so far with so many streams at work: `first`, and others that have decided, too."""
    if n_streams == 1:
        return peak_rss_mb()
    from patchtst_har.realtime.pool import StreamPool

    pool = StreamPool(recognizer, head["hop_s"], head["smoothing"])
    for key in range(n_streams - 1):
        pool.push(key, *block)
    first.push(*block)
    return peak_rss_mb()


if __name__ == "__main__":
    main()
