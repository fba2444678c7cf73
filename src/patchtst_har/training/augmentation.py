"""Random variations of a batch of training windows (`recipe.AugmentationConfig`), on the signal's device.

Everything random is drawn on the CPU from one generator, so a batch does not depend on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import torch
from torch import Tensor

from patchtst_har.config import AugmentationConfig
from patchtst_har.datasets.stretches import Signal

_LOWEST_HZ, _HIGHEST_HZ = 20.0, 100.0
_RANGE_G = 2.0


@cache
def octahedral_rotations() -> Tensor:
    """Return the 24 rotations (24, 3, 3) that map each axis to an axis; the first is the identity."""
    eye = torch.eye(3)
    signed = [
        torch.diag(torch.tensor(signs)) @ eye[list(order)]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    return torch.stack([matrix for matrix in signed if torch.linalg.det(matrix) > 0])


def rotations(axes: Tensor, angles: Tensor) -> Tensor:
    """Return rotation matrices (n, 3, 3) about unit vectors (n, 3) by angles (n,) in radians."""
    x, y, z = axes.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    sin, cos = angles.sin()[:, None, None], angles.cos()[:, None, None]
    return torch.eye(3) + sin * cross + (1 - cos) * (cross @ cross)


@dataclass(frozen=True)
class Augmentation:
    """Draw and apply the variations of windows.

    Parameters
    ----------
    config : AugmentationConfig
        What varies, and how much.
    sample_rate_hz : float
        Samples per second.
    generator : torch.Generator
        Source of everything random, on the CPU.
    """

    config: AugmentationConfig
    sample_rate_hz: float
    generator: torch.Generator

    def cut(self, signal: Tensor | Signal, starts: Tensor, room: Tensor, size: int) -> Tensor:
        """Cut windows, moved and warped in time.

        Parameters
        ----------
        signal : Signal, or Tensor of shape (N, 3)
            The recordings.
        starts : Tensor of int64, shape (n,)
            First sample of each window; this and `room` on the CPU.
        room : Tensor of int64, shape (n, 2)
            Samples before and after each window that may be read.
        size : int
            Samples of a window.

        Returns
        -------
        Tensor, shape (n, size, 3)
            On the device of `signal`, if it is a tensor.
        """
        device = signal.device if isinstance(signal, Tensor) else starts.device
        if self.config.shift_s:
            most = round(self.config.shift_s * self.sample_rate_hz)
            before, after = room.clamp(max=most).unbind(1)
            moved = (self._uniform(len(starts)) * (before + after + 1)).long() - before
            starts, room = starts + moved, room + torch.stack([moved, -moved], 1)
        if isinstance(signal, Signal) and not self.config.time_warp:
            return torch.from_numpy(signal.read(starts.numpy(), size))
        starts, room = starts.to(device)[:, None], room.to(device)
        samples = torch.arange(size, device=device)
        if not self.config.time_warp:
            return _rows(signal, starts + samples)
        factors = (1 + self.config.time_warp * self._normal(len(room))).clamp(0.5, 2.0).to(device)
        centre = (size - 1) / 2
        first, last = -room[:, :1], size - 1 + room[:, 1:]
        places = (factors[:, None] * (samples - centre) + centre).clamp(first, last)
        below = places.floor()
        part = (places - below).unsqueeze(2)
        lower = below.long()
        upper = torch.minimum(lower + 1, last)
        return torch.lerp(_rows(signal, starts + lower), _rows(signal, starts + upper), part)

    def vary(self, windows: Tensor) -> Tensor:
        """Return windows (n, T, 3) in g as other sensors, worn otherwise, might have measured them."""
        config, n = self.config, len(windows)
        turned = self._orientation(n)
        if turned is not None:
            windows = windows @ turned.transpose(1, 2).to(windows.device)
        if config.scale or config.axis_scale:
            factors = 1 + config.scale * self._normal(n, 1, 1)
            factors = factors * (1 + config.axis_scale * self._normal(n, 1, 3))
            windows = windows * factors.to(windows.device)
        if config.offset_g:
            windows = windows + (config.offset_g * self._normal(n, 1, 3)).to(windows.device)
        if config.jitter_g:
            noise = self._normal(*windows.shape).mul_(config.jitter_g * self._uniform(n, 1, 1))
            windows = windows + noise.to(windows.device)
        if config.clip_2g:
            limits = torch.where(self._chosen(config.clip_2g, n, 1, 1), _RANGE_G, torch.inf).to(
                windows.device
            )
            windows = windows.clamp(-limits, limits)
        return self._slower(windows) if config.low_rate else windows

    def _orientation(self, n: int) -> Tensor | None:
        """Return rotations (n, 3, 3); None if nothing turns."""
        config, turns = self.config, []
        if config.octahedral:
            all_turns = octahedral_rotations()
            drawn = (self._uniform(n) * len(all_turns)).long()
            turns.append(all_turns[drawn * self._chosen(config.octahedral, n)])
        if config.reversed:
            signs = torch.where(self._chosen(config.reversed, n), -1.0, 1.0)
            turns.append(torch.diag_embed(torch.stack([signs, signs, torch.ones(n)], 1)))
        if config.forearm_rotation_deg:
            along = torch.eye(3)["xyz".index(config.forearm_axis)].expand(n, 3)
            turns.append(rotations(along, self._angles(config.forearm_rotation_deg, n)))
        if config.rotation_deg:
            axes = torch.nn.functional.normalize(self._normal(n, 3), dim=1)
            turns.append(rotations(axes, self._angles(config.rotation_deg, n)))
        whole: Tensor | None = None
        for turn in turns:
            whole = turn if whole is None else turn @ whole
        return whole

    def _slower(self, windows: Tensor) -> Tensor:
        chosen = self._chosen(self.config.low_rate, len(windows))
        highest = min(_HIGHEST_HZ, self.sample_rate_hz)
        rates_hz = _LOWEST_HZ + (highest - _LOWEST_HZ) * self._uniform(len(windows))
        phases = self._uniform(len(windows))
        rows = chosen.nonzero().squeeze(1)
        if not len(rows):
            return windows
        periods, phases = self.sample_rate_hz / rates_hz[rows], phases[rows]
        place = rows.to(windows.device)
        slow = at_lower_rate(windows[place], periods.to(windows.device), phases.to(windows.device))
        return windows.index_copy(0, place, slow)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def _chosen(self, probability: float, *shape: int) -> Tensor:
        return self._uniform(*shape) < probability

    def _angles(self, sd_deg: float, n: int) -> Tensor:
        return torch.deg2rad(sd_deg * self._normal(n))


def at_lower_rate(windows: Tensor, periods: Tensor, phases: Tensor) -> Tensor:
    """Resample windows to a lower rate and back, linearly.

    A slow sensor's sample is the mean over its period, which removes most of what is too fast for it.

    Parameters
    ----------
    windows : Tensor, shape (n, T, 3)
        Windows.
    periods : Tensor, shape (n,)
        Sampling period of the slow sensor in samples of the window, at least 1.
    phases : Tensor, shape (n,)
        Time of its first sample in its periods, from 0 to 1.

    Returns
    -------
    Tensor, shape (n, T, 3)
    """
    n, size, n_axes = windows.shape
    periods, phases = periods[:, None], phases[:, None]
    samples = torch.arange(size + 1, device=windows.device)
    # Sample i fills the time from i to i + 1, so the sums are exact integrals at whole times.
    sums = torch.zeros(n, size + 1, n_axes, dtype=torch.float64, device=windows.device)
    torch.cumsum(windows, 1, dtype=torch.float64, out=sums[:, 1:])

    def integral(times: Tensor) -> Tensor:
        lower = times.floor().clamp(max=size - 1)
        place = lower.long()
        return _of_each(sums, place) + (times - lower).unsqueeze(2) * _of_each(windows, place)

    centres = ((samples - 1 + phases) * periods).clamp(0, size - 1) + 0.5
    begins, ends = (centres - periods / 2).clamp(min=0), (centres + periods / 2).clamp(max=size)
    slow = ((integral(ends) - integral(begins)) / (ends - begins).unsqueeze(2)).float()
    places = samples[:-1] / periods + 1 - phases
    lower = places.floor().clamp(max=size - 1)
    part, lower = (places - lower).unsqueeze(2), lower.long()
    return torch.lerp(_of_each(slow, lower), _of_each(slow, lower + 1), part)


def _rows(signal: Tensor | Signal, places: Tensor) -> Tensor:
    """Return ``signal[places]`` (n, T, 3); one index per sample is several times as fast."""
    if isinstance(signal, Signal):
        return torch.from_numpy(signal.at(places.numpy()))
    return signal.index_select(0, places.flatten()).view(*places.shape, signal.shape[1])


def _of_each(values: Tensor, places: Tensor) -> Tensor:
    """Return the samples `places` (n, M) of each window of `values` (n, T, 3)."""
    offsets = values.shape[1] * torch.arange(len(values), device=values.device)[:, None]
    return _rows(values.flatten(0, 1), places + offsets)
