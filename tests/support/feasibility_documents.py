"""Made-up measurements in the form that the harness gives them, for tests of what reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binom

from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.records.feasibility import FeasibilityRecord
from patchtst_har.records.measurement import Measured

STAGES = {"statistics": 0.05, "topology": 0.75, "model": 0.12, "smoothing": 0.03}
MEDIAN_US = {"still": 260.0, "walking": 310.0, "noisy": 330.0, "worst_case": 480.0, "recorded": 300.0}
HOST = {
    "cpu": "Example CPU",
    "isa": "avx2",
    "n_cores": 4,
    "n_usable_cores": 4,
    "platform": "Linux",
    "python": "3.11.9",
    "numpy": "2.1.0",
    "threads": {},
    "governor": None,
    "load_average": 0.1,
}
FIRST = {"overhead": 90.0, "end to end": 14_000.0}
_QUANTILES = {
    "p50": (0.5, 1),
    "p90": (0.9, 64),
    "p95": (0.95, 130),
    "p99": (0.99, 662),
    "p99_9": (0.999, 6636),
}


def percentiles(samples_us: np.ndarray) -> dict[str, Any]:
    """Return percentiles with bounds at 99 % confidence."""
    ordered, n = np.sort(samples_us), len(samples_us)
    row: dict[str, Any] = {"n": n, "mean_us": float(ordered.mean()), "max_us": float(ordered[-1])}
    row["bounds"] = {}
    for name, (quantile, least) in _QUANTILES.items():
        row[f"{name}_us"] = float(np.quantile(ordered, quantile)) if n >= least else None
        low, high = (int(rank) for rank in binom.ppf([0.005, 0.995], n, quantile))
        known = n >= least and low >= 0 and high < n
        row["bounds"][name] = [float(ordered[low]), float(ordered[high])] if known else None
    return row


def curve(samples_us: np.ndarray) -> dict[str, Any]:
    """Return the cumulative distribution with points in its tail."""
    fractions = [*np.linspace(0, 0.99, 100), 0.995, 0.999, 0.9995, 1.0]
    return {
        "fraction": [float(f) for f in fractions],
        "us": [float(v) for v in np.quantile(samples_us, fractions)],
    }


def times(rng: np.random.Generator, median_us: float, n: int) -> np.ndarray:
    """Return durations with a heavy tail."""
    slow = np.where(rng.random(n) < 0.004, rng.exponential(3.0, n), 0.0)
    return median_us * (rng.lognormal(0, 0.07, n) + slow)


def closed_loop(rng: np.random.Generator, median_us: float, n: int, n_blocks: int) -> dict[str, Any]:
    """Return a closed loop of n decisions."""
    took = times(rng, median_us, n)
    at_s = np.cumsum(took) / 1e6
    slowest = np.argsort(-took)[:20]
    parts = np.array_split(took, n_blocks)
    slices = np.array_split(np.arange(n), min(200, n))
    names = [*STAGES, "overhead"]
    return {
        "end_to_end": percentiles(took),
        "curve": curve(took),
        "stages": [{"name": name, **percentiles(share * took)} for name, share in STAGES.items()],
        "overhead": percentiles(took * (1 - sum(STAGES.values()))),
        "first_us": {**{name: 40 * median_us * share for name, share in STAGES.items()}, **FIRST},
        "outliers": [
            {"decision": int(i), "at_s": float(at_s[i]), "us": float(took[i]), "stage": names[int(i) % 5]}
            for i in slowest
        ],
        "timeline": {
            "at_s": [float(at_s[rows[0]]) for rows in slices],
            "us": [float(took[rows].max()) for rows in slices],
        },
        "deadline_misses": int((took > 1e6).sum()),
        "miss_rate_upper95": 3 / n,
        "real_time_factor": float(took.mean() / 1e6),
        "blocks": [
            {
                "p50_us": float(np.median(part)),
                "p95_us": float(np.quantile(part, 0.95)) if len(part) >= 130 else None,
                "calibration_us": 40.0 * rng.lognormal(0, 0.01),
            }
            for part in parts
        ],
    }


def measured_document(
    *,
    n: int = 7000,
    n_blocks: int = 20,
    n_streams: int = 500,
    scale: float = 1.0,
    smoothing: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return measurements on the CPU; `scale` slows every workload."""
    rng = np.random.default_rng(seed)
    workloads = {
        name: {
            "kind": "recorded" if name == "recorded" else "simulated",
            "description": f"An example of {name}",
            "n_samples": 12_000,
            "closed_loop": closed_loop(rng, scale * median, n, n_blocks),
            "rested": {
                "rest_s": 0.1,
                "times": percentiles(times(rng, 1.5 * scale * median, 130)),
                "ratio_of_medians": 1.5,
            },
        }
        for name, median in MEDIAN_US.items()
    }
    late = times(rng, 2.5 * scale * MEDIAN_US["worst_case"], 10 * n_streams)
    probes = [(250, 0.12, True), (500, 0.25, True), (1000, 0.5, True), (2000, 1.02, False), (1500, 0.8, True)]
    return {
        "device": "cpu",
        "status": "measured",
        "settings": {
            "hop_s": 1.0,
            "smoothing": smoothing,
            "n_decisions": n,
            "n_rested": 130,
            "rest_s": 0.1,
            "open_loop_s": 10.0,
            "open_loop_streams": n_streams,
            "capacity": True,
            "capacity_s": 3.0,
            "cold_start": True,
            "n_blocks": n_blocks,
            "seed": 0,
        },
        "workloads": workloads,
        "open_loop": {
            "workload": "worst_case",
            "n_streams": n_streams,
            "duration_s": 10.0,
            "chunk_s": 0.1,
            "from_schedule": percentiles(late),
            "curve": curve(late),
            "lateness_of_the_driver": percentiles(times(rng, 60.0, 5000)),
            "deadline_misses": 0,
            "miss_rate_upper95": 3 / len(late),
            "utilisation": 0.25,
            "timeline": {"at_s": [0.0, 5.0, 10.0], "us": [900.0, 1500.0, 800.0]},
        },
        "capacity": {
            "max_streams": 1500,
            "p99_us_there": 400_000.0,
            "criterion": "p99 from the schedule at most the hop",
            "probes": [
                {
                    "n_streams": streams,
                    "p99_us": 800.0 * streams / 250 if passed else 1.4e6,
                    "deadline_misses": 0 if passed else 300,
                    "utilisation": busy,
                    "passed": passed,
                }
                for streams, busy, passed in probes
            ],
        },
        "cold_start": {
            "import_s": 0.9,
            "load_s": 0.02,
            "first_decision_us": 2100.0,
            "second_decision_us": 450.0,
            "process_s": 1.2,
            "peak_rss_mb": 63.0,
            "n_processes": 3,
        },
        "push_one_sample": percentiles(times(rng, 2.4, 5000)),
        "memory": {
            "rss_mb_before": 171.0,
            "rss_mb_after": 173.5,
            "peak_rss_mb": 174.0,
            "rss_slope_kb_per_1000_decisions": 0.4,
            "python_blocks_per_1000_decisions": 0.0,
            "peak_since": "the start of the measurement",
            "of_streams": [
                {"n_streams": 1, "peak_rss_mb": 62.0},
                {"n_streams": n_streams, "peak_rss_mb": 90.0},
            ],
        },
        "gc": {"enabled": True, "collections": [12, 1, 0], "longest_pause_us": 310.0},
        "energy": {"status": "not measured", "why": "no counter can be read"},
        "threads": 1,
    }


def measured(**options: Any) -> Measured:
    """Return `measured_document`, checked."""
    return Measured.model_validate(measured_document(**options))


def feasibility_document(**options: Any) -> dict[str, Any]:
    """Return a whole report, judged by the default budget, with scores and without a comparison."""
    from patchtst_har.benchmark.budget import Budget
    from patchtst_har.benchmark.verdict import judge

    document: dict[str, Any] = {
        "format": 1,
        "created_utc": "2026-03-04T10:00:00+00:00",
        "scope": "measured on this host",
        "host": HOST,
        "artefact": {
            "model_dir": "runs/<b>demo</b>/model",
            "fingerprint": "3f9a" * 16,
            "classes": ["sitting", "walking"],
            "parameters": 118_213,
            "flops": 1_612_800,
            "features": {"statistical": N_STATISTICAL_FEATURES, "topological": 24, "time": 0, "plugins": []},
            "engine": "native",
            "smoothing": "filter",
        },
        "accuracy": {
            "source": "runs/demo/evaluation.json",
            "people": "test",
            "n_people": 4,
            "n_windows": 770,
            "hop_s": 5.0,
            "raw": {"accuracy": 0.81, "macro_f1": 0.801, "macro_f1_low": 0.74, "macro_f1_high": 0.85},
            "stream": {"lag": 0, "accuracy": 0.822, "macro_f1": 0.812},
            "offline": {"accuracy": 0.83, "macro_f1": 0.823, "macro_f1_low": 0.75, "macro_f1_high": 0.87},
        },
        "samples": {name: f"{name}-samples" for name in MEDIAN_US},
        "devices": {"cpu": measured_document(**options), "cuda": {"device": "cuda", "status": "no device"}},
        "targets": [],
        "comparison": None,
    }
    unjudged = FeasibilityRecord.model_validate(document)
    targets = [judge(target, unjudged.devices, 4) for target in Budget().targets]
    return {**document, "targets": [target.model_dump(mode="json") for target in targets]}


def feasibility_record(**options: Any) -> FeasibilityRecord:
    """Return `feasibility_document`, checked."""
    return FeasibilityRecord.model_validate(feasibility_document(**options))
