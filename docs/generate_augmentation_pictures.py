"""Draw docs/augmentation/NAME.svg: what each setting of `training.augmentation` does to a window."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from patchtst_har.config import AugmentationConfig
from patchtst_har.reports.plots.style import SMALL, add_grid, class_colours, new_figure, settings, to_svg
from patchtst_har.synthetic import signal
from patchtst_har.training.augmentation import Augmentation

FOLDER = Path(__file__).with_name("augmentation")
RATE_HZ, SIZE, ROOM = 100.0, 200, 60

# Strength, stronger than is useful so that it can be seen, and the seed of a typical draw.
DRAWN: dict[str, tuple[float, int]] = {
    "time_warp": (0.15, 4),
    "shift_s": (0.6, 1),
    "rotation_deg": (25.0, 7),
    "forearm_rotation_deg": (40.0, 3),
    "octahedral": (1.0, 0),
    "reversed": (1.0, 0),
    "scale": (0.15, 0),
    "axis_scale": (0.2, 9),
    "offset_g": (0.15, 8),
    "jitter_g": (0.15, 4),
    "clip_2g": (1.0, 0),
    "low_rate": (1.0, 3),
}


def recording(name: str) -> torch.Tensor:
    """Return (ROOM + SIZE + ROOM, 3) in g: simulated walking; of greater force where it is to be clipped."""
    samples = signal("walking", ROOM + SIZE + ROOM, np.random.default_rng(2), step_hz=1.8)
    return torch.from_numpy(samples) * (2.4 if name == "clip_2g" else 1.0)


def picture(name: str) -> str:
    """Return the SVG text of one setting."""
    strength, seed = DRAWN[name]
    around = recording(name)
    config = AugmentationConfig(**{name: strength})
    augmentation = Augmentation(config, RATE_HZ, torch.Generator().manual_seed(seed))
    cut = augmentation.cut(around, torch.tensor([ROOM]), torch.tensor([[ROOM, ROOM]]), SIZE)
    varied, before = augmentation.vary(cut)[0].numpy(), around[ROOM : ROOM + SIZE].numpy()
    with settings(name):
        figure, axes = new_figure(5.6, 1.9)
        times = np.arange(SIZE) / RATE_HZ
        for axis, colour in enumerate(class_colours("xyz").values()):
            axes.plot(times, before[:, axis], color=colour, linewidth=0.9, alpha=0.35)
            axes.plot(times, varied[:, axis], color=colour, linewidth=1.1, label="xyz"[axis])
        axes.set(xlabel="s", ylabel="g", xlim=(0, SIZE / RATE_HZ))
        axes.set_title(f"{name}: {strength:g}")
        add_grid(axes, "y")
        figure.legend(loc="outside right upper", fontsize=SMALL)
        svg = to_svg(figure, name, f"Three axes of a simulated window before (pale) and after {name}")
    # A hundredth of a point is enough; on its own, a picture needs a background.
    head, rest = re.sub(r"(\d\.\d\d)\d+", r"\1", svg).split(">", 1)
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}\n'


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in DRAWN:
        (FOLDER / f"{each}.svg").write_text(picture(each), encoding="utf-8")
