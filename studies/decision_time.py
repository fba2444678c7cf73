"""How long a decision of a model takes on this machine: python -m studies.decision_time wrist.

Simulated activities go through one stream. The push of the last sample of each window, from which the label
comes, is measured in processor time of its thread, which other work on the machine lengthens by colder caches
alone. `PATCHTST_HAR_ISA` chooses the instruction set. With --card, the times go onto the card of the model
folder, in place of earlier ones with the same instruction set.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from patchtst_har import cpu_info, synthetic
from patchtst_har.errors import DataError
from patchtst_har.inference.pretrained_card import write_pretrained_card
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.pretrained import read_summary
from patchtst_har.records.pretrained import DecisionLatency
from patchtst_har.support.percentiles import MIN_SAMPLES
from studies.commands import parser_of, run_command

N_WARM = 20


def decision_times_us(recognizer: Recognizer, n_windows: int) -> np.ndarray:
    """Return the processor time, us (n_windows,), of the pushes that complete a window."""
    data = recognizer.config.data
    bouts = [(name, 60.0) for name in synthetic.DAILY_ACTIVITIES]
    signal = synthetic.recording(bouts, sample_rate_hz=data.sample_rate_hz, make=synthetic.daily_bout)
    n = (n_windows + N_WARM) * data.window_size
    samples = np.resize(signal[["x", "y", "z"]].to_numpy(np.float32), (n, 3))
    stream, times = recognizer.stream(data.window_size / data.sample_rate_hz), []
    for first in range(0, n, data.window_size):
        last = first + data.window_size - 1
        stream.push(samples[first:last])
        before = time.thread_time_ns()
        decided = stream.push(samples[last : last + 1])
        times.append((time.thread_time_ns() - before) / 1e3)
        if not decided:
            raise DataError("a window gave no decision")
    return np.array(times[N_WARM:])


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = parser_of(__doc__, "decision_time")
    parser.add_argument("model", help="name of a shipped model, or a model folder")
    parser.add_argument("--windows", type=int, default=200, help=f"at least {MIN_SAMPLES['p95']}")
    parser.add_argument("--card", metavar="MACHINE", help="write the card; what it says of the machine")
    options = parser.parse_args(arguments)
    if options.windows < MIN_SAMPLES["p95"]:
        parser.error(f"--windows: a p95 needs {MIN_SAMPLES['p95']}")
    times = decision_times_us(Recognizer.from_pretrained(options.model), options.windows)
    p50, p95 = np.percentile(times, [50, 95])
    isa = str(cpu_info()["active"])
    print(
        f"{options.model}, {isa}: p50 {p50:.0f} us, p95 {p95:.0f} us of processor time, {len(times)} windows"
    )
    if options.card:
        _onto_card(
            Path(options.model),
            DecisionLatency(
                instruction_set=isa,
                p50_ms=round(p50 / 1e3, 3),
                p95_ms=round(p95 / 1e3, 3),
                machine=f"{options.card}; processor time, {len(times)} windows",
                date=time.strftime("%Y-%m-%d"),
                command=f"PATCHTST_HAR_ISA={isa} python -m studies.decision_time {Path(options.model).name}",
            ),
        )


def _onto_card(folder: Path, latency: DecisionLatency) -> None:
    summary = read_summary(folder)
    if summary is None:
        raise DataError(f"{folder}: has no summary, so there is no card to write")
    others = (one for one in summary.latency if one.instruction_set != latency.instruction_set)
    write_pretrained_card(folder, summary.model_copy(update={"latency": (*others, latency)}))


if __name__ == "__main__":
    run_command(main)
