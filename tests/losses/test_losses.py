import math

import pytest
import torch
from torch.testing import assert_close

from uvala.arrays import IGNORE
from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import cross_entropy
from uvala.losses.dice import dice_loss
from uvala.losses.distance import distance_loss

CPU = torch.device("cpu")


def logits_of(probability: float, size: tuple[int, int] = (4, 4)) -> torch.Tensor:
    """Logits [1, 2, H, W] whose softmax gives class 1 this probability everywhere."""
    logit = math.log(probability / (1 - probability))
    return torch.stack([torch.zeros(size), torch.full(size, logit)]).unsqueeze(0)


def half_and_half() -> torch.Tensor:
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    target[:, :, 2:] = 1
    return target


class TestCrossEntropy:
    def test_is_the_negative_logarithm_of_the_true_class_probability(self):
        target = torch.ones(1, 4, 4, dtype=torch.long)
        assert_close(cross_entropy(logits_of(0.8), target), torch.tensor(-math.log(0.8)))

    def test_an_ignored_pixel_changes_nothing(self):
        logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        target = half_and_half()
        target[0, 0, 0] = IGNORE
        known = target != IGNORE
        expected = torch.nn.functional.cross_entropy(logits.permute(0, 2, 3, 1)[known], target[known])
        assert_close(cross_entropy(logits, target), expected)

    def test_of_nothing_but_ignored_pixels_is_zero_with_a_gradient(self):
        logits = logits_of(0.3).requires_grad_()
        loss = cross_entropy(logits, torch.full((1, 4, 4), IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert_close(logits.grad, torch.zeros_like(logits))


class TestDice:
    def test_of_the_truth_itself_is_zero(self):
        target = half_and_half()
        logits = torch.nn.functional.one_hot(target, 2).permute(0, 3, 1, 2) * 100.0
        assert dice_loss(logits, target).item() == pytest.approx(0, abs=1e-6)

    def test_of_a_constant_probability_has_a_closed_form(self):
        # class 1: 2 * 8 * 0.8 / (16 * 0.8 + 8); class 0: 2 * 8 * 0.2 / (16 * 0.2 + 8)
        expected = 1 - (12.8 / 20.8 + 3.2 / 11.2) / 2
        assert dice_loss(logits_of(0.8), half_and_half()).item() == pytest.approx(expected, rel=1e-5)

    def test_an_absent_class_does_not_count(self):
        # class 1 alone: 2 * 16 * 0.8 / (16 * 0.8 + 16)
        target = torch.ones(1, 4, 4, dtype=torch.long)
        assert dice_loss(logits_of(0.8), target).item() == pytest.approx(1 - 25.6 / 28.8, rel=1e-5)

    def test_ignored_pixels_are_cut_out(self):
        logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        target = half_and_half()
        target[:, 3:] = IGNORE
        assert_close(dice_loss(logits, target), dice_loss(logits[:, :, :3], target[:, :3]))

    def test_of_nothing_but_ignored_pixels_is_zero(self):
        assert dice_loss(logits_of(0.3), torch.full((1, 4, 4), IGNORE)).item() == 0


def test_the_sum_weighs_its_parts():
    loss = segmentation_loss(LossConfig(cross_entropy=0.5, dice=2.0), CPU)
    logits, target = logits_of(0.8), half_and_half()
    assert_close(loss(logits, target), 0.5 * cross_entropy(logits, target) + 2 * dice_loss(logits, target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_logits_give_a_finite_loss_and_gradient(dtype):
    logits = (
        (torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 50)
        .to(dtype)
        .requires_grad_()
    )
    loss = segmentation_loss(LossConfig(), CPU)(logits, torch.zeros(2, 64, 64, dtype=torch.long))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


class TestDeepSupervision:
    """Each output of a network is compared with the target at its own size."""

    def test_one_output_is_its_loss(self):
        logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
        loss = segmentation_loss(LossConfig(), torch.device("cpu"))
        assert torch.equal(over_outputs(loss, logits, target, None), loss(logits, target))

    def test_several_are_summed_by_their_weights_against_the_middle_pixels(self):
        full, half = torch.randn(1, 2, 4, 6), torch.randn(1, 2, 2, 3)
        target = torch.randint(0, 2, (1, 4, 6))
        loss = segmentation_loss(LossConfig(), torch.device("cpu"))
        expected = 0.75 * loss(full, target) + 0.25 * loss(half, target[:, 1::2, 1::2])
        torch.testing.assert_close(over_outputs(loss, [full, half], target, (0.75, 0.25)), expected)

    def test_the_middle_is_that_of_the_square_at_every_stride(self):
        target = torch.arange(8 * 12).reshape(1, 8, 12)
        assert seen_at(target, 2, 3).tolist() == [[[26, 30, 34], [74, 78, 82]]]  # rows 2, 6; columns 2, 6, 10
        assert torch.equal(seen_at(target, 8, 12), target)

    def test_squares_keep_their_size_where_the_target_is_no_multiple(self):
        # squares of 4 by 2: the second row of them has its middle in row 6, the last column in column 5
        target = torch.arange(7 * 5).reshape(1, 7, 5)
        assert seen_at(target, 2, 3).tolist() == [[[11, 13, IGNORE], [31, 33, IGNORE]]]

    def test_ignored_pixels_stay_ignored_at_every_size(self):
        target = torch.ones(1, 4, 4, dtype=torch.long)
        target[0, 1, 3] = target[0, 0, 0] = IGNORE
        assert seen_at(target, 2, 2).tolist() == [[[1, 255], [1, 1]]]


def seen_at(target: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The target as a loss sees it next to logits of that size."""
    seen: list[torch.Tensor] = []

    def loss(logits: torch.Tensor, target: torch.Tensor, maps: None) -> torch.Tensor:
        seen.append(target)
        return logits.sum()

    over_outputs(loss, [torch.zeros(1, 2, height, width)], target, (1.0,))
    return seen[0]


class TestObjects:
    """What makes touching objects come apart, as terms of the loss."""

    def test_pixel_weights_make_a_weighted_mean(self):
        logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        target, weights = half_and_half(), torch.ones(1, 4, 4)
        target[0, 3], weights[0, 0] = IGNORE, 5.0
        single = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
        expected = (5 * single[0, 0].sum() + single[0, 1:3].sum()) / (5 * 4 + 2 * 4)
        assert_close(cross_entropy(logits, target, pixel_weights=weights), expected)

    def test_weights_of_one_change_nothing(self):
        logits, target = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 4, 4))
        assert_close(
            cross_entropy(logits, target, pixel_weights=torch.ones(2, 4, 4)), cross_entropy(logits, target)
        )

    def test_a_perfect_distance_costs_nothing(self):
        distance = torch.tensor([[[0.2, 0.5, 0.9]]])
        target = torch.ones(1, 1, 3, dtype=torch.long)
        assert distance_loss(distance.logit(), distance, target).item() == pytest.approx(0, abs=1e-6)
        # Kullback-Leibler divergence of a coin of 1/2 from one of 0.9
        said = distance_loss(torch.zeros(1, 1, 1), torch.tensor([[[0.9]]]), target[..., :1])
        assert said.item() == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2), rel=1e-5)

    def test_the_distance_of_ignored_pixels_does_not_count(self):
        target = torch.tensor([[[1, IGNORE]]])
        logits, distance = torch.tensor([[[0.0, 9.0]]]), torch.tensor([[[0.5, 0.0]]])
        assert distance_loss(logits, distance, target).item() == pytest.approx(0, abs=1e-6)

    def test_the_last_logit_is_the_distance_and_no_class(self):
        logits, target = torch.randn(1, 3, 4, 4), half_and_half()
        maps = torch.rand(1, 1, 4, 4)
        whole = segmentation_loss(LossConfig(distance=2.0), CPU, objects="distance")
        classes = segmentation_loss(LossConfig(), CPU)
        expected = classes(logits[:, :2], target) + 2 * distance_loss(logits[:, 2], maps[:, 0], target)
        assert_close(whole(logits, target, maps), expected)

    def test_class_weights_are_those_of_the_classes_and_the_border_weighs_like_its_object(self):
        logits = torch.randn(1, 3, 4, 4)
        target = torch.randint(0, 3, (1, 4, 4))
        loss = segmentation_loss(LossConfig(dice=0, class_weights=(0.5, 1.5)), CPU, objects="borders")
        assert_close(
            loss(logits, target), cross_entropy(logits, target, class_weights=torch.tensor([0.5, 1.5, 1.5]))
        )

    def test_maps_follow_their_output_to_its_size(self):
        full, half = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 2, 2)
        target, weights = torch.randint(0, 2, (1, 4, 4)), torch.rand(1, 1, 4, 4)
        loss = segmentation_loss(LossConfig(), CPU, objects="weights")
        expected = loss(full, target, weights) + loss(half, target[:, 1::2, 1::2], weights[..., 1::2, 1::2])
        assert_close(over_outputs(loss, [full, half], target, (1.0, 1.0), weights), expected)
