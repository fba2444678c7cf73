import math

import pytest
import torch

from patchtst_har.training.loss import class_weights, cross_entropy
from patchtst_har.training.scheduler import warmup_cosine, warmup_cosine_factor


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
    loss = cross_entropy(labels, 2, "balanced", 0.0)(logits, labels)
    assert loss.item() == pytest.approx((wrong_on_rare + right_on_common) / 2, rel=1e-5)
    plain = cross_entropy(labels, 2, "none", 0.0)(logits, labels)
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


def test_schedule_drives_the_optimiser():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = warmup_cosine(optimizer, 10, 0.2)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == [pytest.approx(0.5 * warmup_cosine_factor(step, 10, 0.2)) for step in range(10)]
