import math

import pytest
import torch

from uvala.arrays import IGNORE
from uvala.losses.distance import distance_loss


def test_a_perfect_distance_costs_nothing():
    distance = torch.tensor([[[0.2, 0.5, 0.9]]], dtype=torch.float64)
    target = torch.ones(1, 1, 3, dtype=torch.long)
    assert distance_loss(distance.logit(), distance, target).item() == pytest.approx(0, abs=1e-12)


def test_is_the_divergence_of_two_coins():
    # Kullback-Leibler divergence of a coin of 1/2 from one of 0.9
    said = distance_loss(
        torch.zeros(1, 1, 1, dtype=torch.float64),
        torch.tensor([[[0.9]]], dtype=torch.float64),
        torch.ones(1, 1, 1, dtype=torch.long),
    )
    assert said.item() == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2), rel=1e-12)


def test_ignored_pixels_do_not_count():
    target = torch.tensor([[[1, IGNORE]]])
    logits, distance = torch.tensor([[[0.0, 9.0]]]), torch.tensor([[[0.5, 0.0]]])
    assert distance_loss(logits, distance, target).item() == pytest.approx(0, abs=1e-6)


def test_of_nothing_but_ignored_pixels_is_zero():
    assert distance_loss(torch.ones(1, 2, 2), torch.ones(1, 2, 2), torch.full((1, 2, 2), IGNORE)) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_at_its_end_gives_finite_numbers(dtype):
    logits = torch.tensor([[[6e4, -6e4]]]).to(dtype).requires_grad_()
    loss = distance_loss(logits, torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 2, dtype=torch.long))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_each_rank_counts_by_its_pixels():
    # this rank has 1 of 4 known pixels, the other ranks a sum of 0.5 over 3
    logits = torch.zeros(1, 1, 1, dtype=torch.float64)
    alone = distance_loss(logits, torch.ones_like(logits), torch.ones(1, 1, 1, dtype=torch.long))
    split = distance_loss(
        logits,
        torch.ones_like(logits),
        torch.ones(1, 1, 1, dtype=torch.long),
        over_ranks=lambda tensor: tensor + torch.tensor([0.5, 3.0], dtype=torch.float64),
    )
    assert alone.item() == pytest.approx(math.log(2), rel=1e-12)
    assert split.item() == pytest.approx((math.log(2) + 0.5) / 4, rel=1e-12)
