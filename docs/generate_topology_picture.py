"""Draw docs/topology.svg: a made-up window of walking, its cloud of points, its diagram, its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from patchtst_har.benchmark.topology_example import topology_example
from patchtst_har.config import TopologyConfig
from patchtst_har.reports.plots import plot_topology


def walking(n_samples: int = 1000, sample_rate_hz: float = 100.0) -> np.ndarray:
    """Return (n_samples, 3) float32 in g: gravity, a swinging arm, heel strikes at 1.9 Hz, noise."""
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * 1.9 * np.arange(n_samples) / sample_rate_hz + 0.4 * np.sin(np.arange(n_samples) / 150)
    arm = np.sin(phase / 2)[:, np.newaxis] * [0.2, 0.12, 0.05]
    heel = np.exp(3 * (np.cos(phase) - 1))[:, np.newaxis] * [0.45, 0.1, 0.2]
    noise = rng.normal(0, 0.03, (n_samples, 3))
    return (np.array([-0.8, 0.3, 0.5]) - arm - heel + noise).astype(np.float32)


def picture() -> str:
    """Return the SVG text."""
    svg = plot_topology(topology_example(walking(), 100.0, TopologyConfig(), "simulated walking", "nobody"))
    # On its own, a picture needs its name spaces and a background.
    head, rest = svg.split(">", 1)
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}\n'


if __name__ == "__main__":
    Path(__file__).with_name("topology.svg").write_text(picture(), encoding="utf-8")
