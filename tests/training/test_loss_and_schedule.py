import math

import pytest
import torch

from patchtst_har.config import TrainingConfig
from patchtst_har.training.loss import Criterion, FocalLoss, SetsCriterion, class_weights
from patchtst_har.training.scheduler import Schedule, warmup_cosine_factor


def test_class_weights_are_inverse_frequencies():
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    torch.testing.assert_close(class_weights(labels, 3), torch.tensor([6 / 9, 6 / 6, 6 / 3]))


def test_an_absent_class_gets_a_finite_weight():
    assert class_weights(torch.tensor([0, 0, 2]), 4).tolist() == [0.375, 1.0, 0.75, 1.0]


def test_weighted_loss_counts_every_class_alike():
    labels = torch.tensor([0] * 9 + [1])
    logits = torch.zeros(10, 2)
    logits[:, 0] = 2.0
    wrong_on_rare = -math.log(1 / (1 + math.exp(2)))
    right_on_common = -math.log(1 / (1 + math.exp(-2)))
    loss = Criterion(TrainingConfig(), labels, 2)((logits,), labels)
    assert loss.item() == pytest.approx((wrong_on_rare + right_on_common) / 2, rel=1e-5)
    plain = Criterion(TrainingConfig(class_weights="none"), labels, 2)((logits,), labels)
    assert plain.item() == pytest.approx((wrong_on_rare + 9 * right_on_common) / 10, rel=1e-5)


def test_schedule_rises_then_falls_and_never_reaches_zero_on_a_step_taken():
    factors = [warmup_cosine_factor(step, 100, 0.1) for step in range(100)]
    assert factors[:11] == sorted(factors[:11])
    assert factors[10] == max(factors) == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert min(factors) > 0
    assert warmup_cosine_factor(100, 100, 0.1) == pytest.approx(0)


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0.0), (1, 0.9), (2, 0.5), (3, 0.99)])
def test_schedule_of_a_few_steps_is_positive(n_steps, warmup):
    assert all(0 < warmup_cosine_factor(step, n_steps, warmup) <= 1 for step in range(n_steps))


def rates_of(config, n_steps, optimizer):
    """Return rate and betas at every step that a schedule drives."""
    schedule = Schedule(optimizer, config, n_steps)
    seen = []
    for _ in range(n_steps):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], *group["betas"]))
        optimizer.step()
        schedule.step()
    return seen


def some_optimizer(**settings):
    return torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], **settings)


def test_schedule_drives_the_optimiser():
    config = TrainingConfig(lr=0.5, warmup_fraction=0.2, betas=(0.8, 0.9))
    expected = [(0.5 * warmup_cosine_factor(step, 10, 0.2), 0.8, 0.9) for step in range(10)]
    assert rates_of(config, 10, some_optimizer(lr=0.5)) == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(("n_steps", "warmup"), [(57, 0.2), (10, 0.3), (2, 0.9), (3, 0.4)])
def test_one_cycle_is_torchs(n_steps, warmup):
    ours = TrainingConfig(lr=0.004, warmup_fraction=warmup, schedule="one_cycle", betas=(0.9, 0.98))
    optimizer = some_optimizer(lr=0.004, betas=(0.9, 0.98))
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.004, total_steps=n_steps, pct_start=warmup)
    expected = []
    for step in range(n_steps):
        group = optimizer.param_groups[0]
        expected.append((group["lr"], *group["betas"]))
        optimizer.step()
        if step < n_steps - 1:
            cycle.step()
    found = rates_of(ours, n_steps, some_optimizer(lr=1.0))
    assert found == [pytest.approx(row, rel=1e-9) for row in expected]


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0.0), (1, 0.5), (5, 0.2), (4, 0.0), (4, 0.999)])
def test_one_cycle_of_a_few_steps_stays_within_its_bounds(n_steps, warmup):
    config = TrainingConfig(lr=1.0, warmup_fraction=warmup, schedule="one_cycle")
    for rate, beta, _ in rates_of(config, n_steps, some_optimizer()):
        assert 1e-4 / 25 * 0.999 <= rate <= 1
        assert 0.85 - 1e-9 <= beta <= 0.95 + 1e-9


def test_root_weights_are_roots_of_inverse_frequencies_with_mean_one():
    labels = torch.tensor([0] * 16 + [1] * 4 + [3])
    weights = class_weights(labels, 4, "root")
    roots = torch.tensor([1 / 4, 1 / 2, 1.0])
    torch.testing.assert_close(weights[[0, 1, 3]], roots / roots.mean())
    assert weights[2] == 1, "a class without windows"


def test_the_loss_of_auxiliary_heads_is_added_with_its_weight():
    labels, heads = torch.tensor([0, 2, 1, 1]), torch.randn(3, 4, 3)
    config = TrainingConfig(auxiliary_weight=0.3, label_smoothing=0.1, class_weights="root")
    criterion = Criterion(config, labels, 3)
    joint, first, second = (criterion((head,), labels) for head in heads)
    torch.testing.assert_close(criterion(tuple(heads), labels), joint + 0.3 * (first + second))


@pytest.mark.parametrize("weighting", ["none", "root"])
def test_teachers_share_the_loss_with_the_labels(weighting):
    labels, logits = torch.tensor([0, 1, 1]), torch.randn(3, 2)
    teachers = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.0, 1.0]])
    config = TrainingConfig(teachers=("a",), distillation=0.25, class_weights=weighting)
    found = Criterion(config, labels, 2)((logits,), labels, teachers).item()
    weights = [1.0, 1.0] if weighting == "none" else class_weights(labels, 2, "root").tolist()
    hard = soft = total = 0.0
    for row in range(3):
        surprise = (-logits[row].double().log_softmax(0)).tolist()
        label = int(labels[row])
        hard += weights[label] * surprise[label]
        soft += sum(w * float(t) * s for w, t, s in zip(weights, teachers[row], surprise, strict=True))
        total += weights[label]
    assert found == pytest.approx(0.75 * hard / total + 0.25 * soft / total, rel=1e-5)


def test_a_sure_teacher_who_is_right_is_the_label():
    labels, logits = torch.tensor([0, 1, 1]), torch.randn(3, 2)
    config = TrainingConfig(teachers=("a",), distillation=0.6, class_weights="root")
    criterion = Criterion(config, labels, 2)
    sure = torch.nn.functional.one_hot(labels, 2).float()
    torch.testing.assert_close(criterion((logits,), labels, sure), criterion((logits,), labels))


def test_effective_weights_are_inverse_effective_numbers_with_mean_one():
    labels = torch.tensor([0] * 500 + [1] * 20 + [3])
    weights = class_weights(labels, 4, "effective", 0.99)
    inverse = torch.tensor([(1 - 0.99) / (1 - 0.99**n) for n in (500, 20, 1)])
    torch.testing.assert_close(weights[[0, 1, 3]], inverse / inverse.mean())
    assert weights[2] == 1, "a class without windows"


def test_effective_weights_lie_between_none_and_balanced():
    labels = torch.tensor([0] * 9 + [1] * 3)
    torch.testing.assert_close(class_weights(labels, 2, "effective", 1e-9), torch.ones(2))
    balanced = class_weights(labels, 2, "balanced")
    nearly = class_weights(labels, 2, "effective", 1 - 1e-9)
    torch.testing.assert_close(nearly, balanced / balanced.mean(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 2.0])])
def test_focal_loss_is_that_of_a_hand_computation(weight):
    labels, logits = torch.tensor([0, 1, 1]), torch.tensor([[2.0, -1.0], [0.3, 0.1], [-3.0, 3.0]])
    total = weights = 0.0
    for row, label in zip(logits.double(), labels.tolist(), strict=True):
        p = float(row.softmax(0)[label])
        w = 1.0 if weight is None else float(weight[label])
        total, weights = total - w * (1 - p) ** 1.5 * math.log(p), weights + w
    assert FocalLoss(weight, 1.5)(logits, labels).item() == pytest.approx(total / weights, rel=1e-5)


def test_focal_loss_without_focus_is_cross_entropy_and_keeps_its_gradient_where_sure():
    labels, logits = torch.tensor([0, 1]), torch.randn(2, 2)
    plain = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(FocalLoss(None, 1e-6)(logits, labels), plain, rtol=1e-4, atol=1e-6)
    sure = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = FocalLoss(None, 0.5)(sure, labels)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(sure.grad).all()


@pytest.mark.parametrize("settings", [{}, {"loss": "focal"}, {"class_weights": "none"}])
def test_what_parts_add_to_a_batch_is_its_loss(settings):
    labels, heads = torch.tensor([0, 2, 1, 1, 0]), tuple(torch.randn(3, 5, 3))
    teachers = torch.rand(5, 3).softmax(dim=1)
    criterion = Criterion(TrainingConfig(teachers=("a",), **settings), labels[1:], 3)
    whole = criterion(heads, labels, teachers)
    cuts = (slice(0, 1), slice(1, 4), slice(4, 5))
    parts = (
        criterion(tuple(head[cut] for head in heads), labels[cut], teachers[cut], labels) for cut in cuts
    )
    torch.testing.assert_close(sum(parts), whole)


def test_what_parts_add_to_a_batch_of_several_sets_is_its_loss():
    labels, heads = torch.tensor([0, 2, 1, 3, 0, 4]), tuple(torch.randn(2, 6, 5))
    criterion = SetsCriterion(TrainingConfig(), labels, (range(2), range(2, 5)))
    cuts = (slice(0, 1), slice(1, 4), slice(4, 6))
    parts = (criterion(tuple(head[cut] for head in heads), labels[cut], None, labels) for cut in cuts)
    torch.testing.assert_close(sum(parts), criterion(heads, labels))


def test_the_rate_before_a_plateau_rises_in_the_first_epoch():
    config = TrainingConfig(lr=1.0, schedule="plateau", warmup_fraction=0.5, epochs=7)
    assert config.n_schedule_epochs == 1
    rates = [rate for rate, *_ in rates_of(config, 8, some_optimizer())]
    assert rates[:5] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1.0])
    assert rates[5:] == [1.0] * 3


def test_a_schedule_goes_on_from_its_state():
    config = TrainingConfig(lr=1.0, schedule="plateau", plateau_patience=1, warmup_fraction=0.0)
    one, other = (Schedule(some_optimizer(), config, 3) for _ in range(2))
    for height in (0.5, 0.4, 0.4):
        one.step()
        one.end_epoch(height)
    other.load_state_dict(one.state_dict())
    for schedule in (one, other):
        schedule.end_epoch(0.45)
    assert one.state_dict() == other.state_dict()
    assert other.optimizer.param_groups[0]["lr"] == 0.125
