"""What each variation keeps and changes; see `recipe.AugmentationConfig`."""

import math

import pytest
import torch

from patchtst_har.config import AugmentationConfig
from patchtst_har.training.augmentation import Augmentation, at_lower_rate, octahedral_rotations, rotations

SIZE = 200
RATE_HZ = 100.0


def augmentation(seed=0, rate_hz=RATE_HZ, **settings) -> Augmentation:
    return Augmentation(AugmentationConfig(**settings), rate_hz, torch.Generator().manual_seed(seed))


def some_windows(n=16, seed=1) -> torch.Tensor:
    return torch.randn(n, SIZE, 3, generator=torch.Generator().manual_seed(seed))


def turn_of(before, after) -> torch.Tensor:
    """Return the matrices (n, 3, 3) that take the samples before to those after."""
    return torch.linalg.lstsq(before, after).solution.transpose(1, 2)


def test_nothing_varies_by_default():
    windows = some_windows()
    one = augmentation()
    state = one.generator.get_state()
    assert torch.equal(one.vary(windows), windows)
    starts, room = torch.tensor([0, 7]), torch.tensor([[0, 50], [7, 43]])
    signal = torch.randn(300, 3)
    cut = one.cut(signal, starts, room, SIZE)
    assert torch.equal(cut, torch.stack([signal[:SIZE], signal[7 : 7 + SIZE]]))
    assert torch.equal(one.generator.get_state(), state), "nothing was drawn"


ALL = {
    "rotation_deg": 12,
    "forearm_rotation_deg": 30,
    "octahedral": 0.5,
    "reversed": 0.5,
    "scale": 0.03,
    "axis_scale": 0.02,
    "offset_g": 0.03,
    "jitter_g": 0.02,
    "clip_2g": 0.5,
    "low_rate": 0.5,
}


@pytest.mark.parametrize("name", ALL)
def test_each_setting_changes_windows_and_leaves_the_batch_alone(name):
    windows = some_windows()
    before = windows.clone()
    varied = augmentation(**{name: ALL[name]}).vary(windows)
    assert torch.equal(windows, before)
    assert varied.shape == windows.shape
    assert varied.dtype == torch.float32
    assert not torch.equal(varied, windows)
    assert torch.isfinite(varied).all()


def test_the_same_seed_gives_the_same_batch_and_another_seed_another():
    settings = {**ALL, "time_warp": 0.02, "shift_s": 0.3}
    signal, starts = some_windows(10).flatten(0, 1), torch.arange(0, 1600, 100)
    room = torch.full((16, 2), 100)
    room[0, 0] = 0

    def batch(seed):
        one = augmentation(seed, **settings)
        return one.vary(one.cut(signal, starts, room, SIZE))

    assert torch.equal(batch(3), batch(3))
    assert not torch.equal(batch(3), batch(4))


@pytest.mark.parametrize("settings", [{"rotation_deg": 40}, {"octahedral": 0.7}, {"reversed": 0.5}])
def test_turning_keeps_norms_and_is_proper(settings):
    windows = some_windows()
    turned = augmentation(**settings).vary(windows)
    torch.testing.assert_close(turned.norm(dim=2), windows.norm(dim=2), rtol=1e-5, atol=1e-5)
    matrices = turn_of(windows, turned)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(16), rtol=1e-4, atol=1e-4)
    # One turn per window, not one for the batch.
    assert len({tuple(row.round(decimals=3).flatten().tolist()) for row in matrices}) > 1


def test_the_angle_of_a_rotation_has_the_given_spread():
    windows = some_windows(4000)[:, :5]
    matrices = turn_of(windows, augmentation(rotation_deg=12).vary(windows))
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    angles = torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))
    assert angles.square().mean().sqrt().item() == pytest.approx(12, rel=0.05)


@pytest.mark.parametrize(("axis", "others"), [("x", [1, 2]), ("y", [0, 2]), ("z", [0, 1])])
def test_a_forearm_rotation_leaves_the_axis_along_the_forearm(axis, others):
    windows = some_windows()
    turned = augmentation(forearm_rotation_deg=60, forearm_axis=axis).vary(windows)
    along = "xyz".index(axis)
    torch.testing.assert_close(turned[..., along], windows[..., along])
    torch.testing.assert_close(turned[..., others].norm(dim=2), windows[..., others].norm(dim=2))
    assert (turned[..., others[0]] - windows[..., others[0]]).abs().max() > 0.5


def test_a_rotation_is_right_handed_about_its_axis():
    quarter = rotations(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([math.pi / 2]))
    torch.testing.assert_close(quarter[0] @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))


def test_the_octahedral_rotations_map_axes_to_axes():
    turns = octahedral_rotations()
    assert turns.shape == (24, 3, 3)
    assert len({tuple(turn.flatten().tolist()) for turn in turns}) == 24
    assert torch.equal(turns[0], torch.eye(3))
    for turn in turns:
        assert sorted(turn.abs().flatten().tolist()) == [0.0] * 6 + [1.0] * 3
        assert torch.linalg.det(turn).item() == pytest.approx(1)
        assert torch.equal(turn @ turn.T, torch.eye(3))


def test_all_octahedral_rotations_are_drawn_and_only_permute_the_axes():
    windows = some_windows(1000)[:, :4]
    turned = augmentation(octahedral=1).vary(windows)
    assert torch.equal(turned.abs().sort(dim=2).values, windows.abs().sort(dim=2).values)
    drawn = {tuple(row.round().flatten().tolist()) for row in turn_of(windows, turned)}
    assert len(drawn) == 24


def test_reversed_negates_x_and_y_and_twice_is_the_identity():
    windows = some_windows()
    once = augmentation(reversed=1).vary(windows)
    assert torch.equal(once, windows * torch.tensor([-1.0, -1.0, 1.0]))
    assert torch.equal(augmentation(reversed=1).vary(once), windows)
    half = augmentation(reversed=0.5).vary(some_windows(1000))
    assert 400 < int((half == some_windows(1000)).all(dim=(1, 2)).sum()) < 600


def test_scales_are_factors_per_window_and_per_axis():
    windows = some_windows(2000)
    one = augmentation(scale=0.05).vary(windows) / windows
    torch.testing.assert_close(one, one[:, :1, :1].expand_as(one), rtol=1e-4, atol=1e-4)
    assert one[:, 0, 0].std().item() == pytest.approx(0.05, rel=0.1)
    each = augmentation(axis_scale=0.05).vary(windows) / windows
    torch.testing.assert_close(each, each[:, :1].expand_as(each), rtol=1e-4, atol=1e-4)
    assert (each[:, 0].std(dim=1) > 0).all()
    assert each[:, 0].std().item() == pytest.approx(0.05, rel=0.1)


def test_an_offset_is_constant_in_a_window():
    windows = some_windows(2000)
    added = augmentation(offset_g=0.03).vary(windows) - windows
    torch.testing.assert_close(added, added[:, :1].expand_as(added), rtol=0, atol=1e-5)
    assert added[:, 0].std().item() == pytest.approx(0.03, rel=0.1)


def test_jitter_differs_in_strength_from_window_to_window_up_to_its_bound():
    windows = torch.zeros(1000, SIZE, 3)
    spread = augmentation(jitter_g=0.1).vary(windows).std(dim=(1, 2))
    assert spread.max() < 0.11
    assert spread.mean().item() == pytest.approx(0.05, rel=0.1)
    assert spread.std().item() == pytest.approx(0.1 / math.sqrt(12), rel=0.1)


def test_clipping_bounds_at_two_g_and_leaves_the_rest():
    windows = 3 * some_windows()
    clipped = augmentation(clip_2g=1).vary(windows)
    assert clipped.abs().max() == 2
    assert torch.equal(clipped, windows.clamp(-2, 2))
    half = augmentation(clip_2g=0.5).vary(windows)
    changed = (half != windows).any(dim=2).any(dim=1)
    assert 0 < int(changed.sum()) < 16
    assert torch.equal(half[~changed], windows[~changed])
    assert (half[changed].abs() <= 2).all()


def sine(hz, rate_hz=RATE_HZ, n=SIZE) -> torch.Tensor:
    return torch.sin(2 * math.pi * hz * torch.arange(n) / rate_hz)[:, None].expand(n, 3)


@pytest.mark.parametrize("period", [1.0, 1.7, 4.0, 5.0])
def test_a_lower_rate_keeps_slow_sines_and_removes_fast_ones(period):
    phases = torch.linspace(0, 0.99, 8)
    periods = torch.full((8,), period)
    constant = torch.full((8, SIZE, 3), 1.25)
    torch.testing.assert_close(at_lower_rate(constant, periods, phases), constant)
    slow = sine(1.0).expand(8, SIZE, 3)
    inside = slice(10, -10)
    assert (at_lower_rate(slow, periods, phases) - slow)[:, inside].abs().max() < 0.05
    if period >= 4:
        fast = sine(41.0).expand(8, SIZE, 3)
        assert at_lower_rate(fast, periods, phases)[:, inside].abs().max() < 0.3
        assert at_lower_rate(fast, periods, phases).square().mean() < 0.02 * fast.square().mean()


def test_the_full_rate_in_phase_changes_nothing():
    windows = some_windows()
    same = at_lower_rate(windows, torch.ones(16), torch.zeros(16))
    torch.testing.assert_close(same, windows, rtol=1e-5, atol=1e-5)


def test_a_lower_rate_against_a_slow_reference():
    """Means over the slow sensor's periods, by summing a fine grid, then straight lines between them."""
    window, period, phase = some_windows(1), 2.5, 0.3
    found = at_lower_rate(window, torch.tensor([period]), torch.tensor([phase]))[0]
    fine = torch.arange(0, SIZE, 0.01)
    centres = [(k + phase) * period for k in range(-1, int(SIZE / period) + 2)]
    means = []
    for centre in centres:
        middle = min(max(centre, 0), SIZE - 1) + 0.5
        inside = (fine + 0.005 > middle - period / 2) & (fine + 0.005 < middle + period / 2)
        means.append(window[0, fine[inside].long()].mean(dim=0))
    for i in (0, 1, 57, 58, SIZE - 1):
        k = int((i / period) + 1 - phase)
        part = (i - centres[k]) / period
        expected = means[k] * (1 - part) + means[k + 1] * part
        torch.testing.assert_close(found[i], expected, rtol=0.01, atol=0.02)


def test_low_rates_are_drawn_between_20_hz_and_the_rate_of_the_windows(monkeypatch):
    seen = []

    def note(windows, periods, phases):
        seen.append(periods)
        return windows

    monkeypatch.setattr("patchtst_har.training.augmentation.at_lower_rate", note)
    for rate_hz, highest in ((100.0, 100.0), (200.0, 100.0), (50.0, 50.0)):
        augmentation(rate_hz=rate_hz, low_rate=1).vary(torch.zeros(2000, 2, 3))
        rates = rate_hz / seen.pop()
        assert 20 <= rates.min() < 22 < 0.96 * highest < rates.max() <= highest * 1.0001


def recordings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a signal of three stretches that tell themselves apart, starts, room and stretch of windows."""
    lengths = [SIZE, SIZE + 30, 1000]
    times = torch.cat([torch.arange(length) for length in lengths]).float()
    owner = torch.repeat_interleave(torch.arange(3.0), torch.tensor(lengths)) * 1000
    signal = torch.stack([times, owner, owner], 1)
    starts, room, whose = [], [], []
    begin = 0
    for number, length in enumerate(lengths):
        for before in {0, (length - SIZE) // 2, length - SIZE}:
            starts.append(begin + before)
            room.append([before, length - SIZE - before])
            whose.append(number)
        begin += length
    return signal, torch.tensor(starts), torch.tensor(room), torch.tensor(whose)


@pytest.mark.parametrize("settings", [{"shift_s": 2}, {"time_warp": 0.2}, {"shift_s": 2, "time_warp": 0.2}])
def test_moved_and_warped_windows_stay_in_their_stretch(settings):
    signal, starts, room, whose = recordings()
    for seed in range(40):
        windows = augmentation(seed, **settings).cut(signal, starts, room, SIZE)
        assert torch.equal(windows[:, :, 1], (whose * 1000.0)[:, None].expand(-1, SIZE))
        lengths = room.sum(1) + SIZE
        assert (windows[:, :, 0] >= 0).all()
        assert (windows[:, :, 0] <= lengths[:, None] - 1).all()
        assert (windows[:, :, 0].diff(dim=1) >= -1e-3).all()


def test_a_shift_is_uniform_over_the_room_there_is():
    signal = torch.arange(1000.0)[:, None].expand(1000, 3).contiguous()
    n = 4000
    starts, room = torch.full((n,), 300), torch.tensor([[4, 500]]).expand(n, 2)
    moved = augmentation(shift_s=0.1).cut(signal, starts, room, SIZE)[:, 0, 0] - 300
    values, counts = moved.long().unique(return_counts=True)
    assert values.tolist() == list(range(-4, 11))
    assert counts.min() > n / 15 * 0.7
    still = augmentation(shift_s=0.1).cut(signal, starts, torch.zeros(n, 2).long(), SIZE)
    assert (still[:, 0, 0] == 300).all()


def test_a_warp_keeps_the_centre_and_stretches_about_it():
    signal = torch.arange(2000.0)[:, None].expand(2000, 3).contiguous()
    n = 3000
    windows = augmentation(time_warp=0.05).cut(signal, torch.full((n,), 900), torch.full((n, 2), 500), SIZE)
    torch.testing.assert_close(windows[:, 99:101, 0].mean(dim=1), torch.full((n,), 999.5))
    factors = (windows[:, -1, 0] - windows[:, 0, 0]) / (SIZE - 1)
    assert factors.mean().item() == pytest.approx(1, abs=0.01)
    assert factors.std().item() == pytest.approx(0.05, rel=0.1)
    steps = windows[:, :, 0].diff(dim=1)
    torch.testing.assert_close(steps, factors[:, None].expand_as(steps), rtol=1e-2, atol=1e-3)
