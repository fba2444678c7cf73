"""Runs of benchmarks on a simulated machine."""

import numpy as np

from runs import Run, _blocks_us

NAMES = [f"benches/bench_x.py::test_{number}" for number in range(20)]
HOST = {
    "cpu": "Example CPU",
    "isa": "avx2",
    "cuda_device": None,
    "python": "3.11.9",
    "numpy": "2.1.0",
    "torch": "2.9.0",
    "compiler": "GCC: (Debian) 12.2.0",
    "load_average": 0.1,
}


def made_run(
    seed,
    *,
    factors=None,
    speed_us=100.0,
    n_rounds=400,
    noise=0.05,
    shift=None,
    interrupted=None,
    names=NAMES,
    **facts,
):
    """Return a run whose times are lognormal around 1 to 20 µs, a benchmark `factors[name]` times as long.

    `shift` is by how much whole runs of a benchmark differ (0.01 by default).
    """
    rng = np.random.default_rng(seed)
    benchmarks = {}
    for number, name in enumerate(names):
        centre = (number + 1) * 1e-6 * (factors or {}).get(name, 1.0) * speed_us / 100.0
        # What slows down all rounds of a benchmark alike.
        centre *= np.exp(rng.normal(0, (shift or {}).get(name, 0.01)))
        speeds = speed_us * np.exp(rng.normal(0, 0.01, 2))
        seconds = centre * np.exp(rng.normal(0, noise, n_rounds))
        p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99]) * 1e6
        benchmarks[name] = {
            "device": "cuda" if "cuda" in name else "cpu",
            "p50_us": p50,
            "p95_us": p95 if n_rounds >= 130 else None,
            "p99_us": p99 if n_rounds >= 662 else None,
            "blocks_us": {percentile: _blocks_us(seconds, percentile) for percentile in ("p50", "p95")},
            "speed_us": speeds,
            "interrupted_share": (interrupted or {}).get(name, 0.0),
        }
    return Run(
        **{
            "format": 1,
            "time_utc": "2026-01-01T00:00:00+00:00",
            "commit": f"{seed:07x}" + "0" * 33,
            "dirty": False,
            "rounds_factor": 1.0,
            "host": HOST,
            "no_device": (),
            "benchmarks": benchmarks,
            **facts,
        }
    )
