"""The sum of losses that a plan names, over the outputs of a network."""

import pytest
import torch
from torch.testing import assert_close

from thread_ranks import on_ranks
from uvala.arrays import IGNORE
from uvala.config import build
from uvala.errors import ConfigError, ShapeError
from uvala.losses.combined import TERMS, over_outputs, segmentation_loss
from uvala.losses.comparison import compare
from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import cross_entropy
from uvala.losses.dice import dice_loss
from uvala.losses.distance import distance_loss
from uvala.losses.pixel_mean import Weighing

CPU = torch.device("cpu")


def half_and_half() -> torch.Tensor:
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    target[:, :, 2:] = 1
    return target


def only(**weights: float) -> LossConfig:
    """A sum of these terms alone."""
    return LossConfig(**({"cross_entropy": 0, "dice": 0} | weights))


def test_the_sum_weighs_its_parts():
    logits, target = torch.randn(1, 2, 4, 4, dtype=torch.float64), half_and_half()
    compared = compare(logits, target)
    loss = segmentation_loss(LossConfig(cross_entropy=0.5, dice=2.0), CPU)
    expected = 0.5 * cross_entropy(compared) + 2 * dice_loss(compared, over="batch")
    assert_close(loss(logits, target, None), expected)


@pytest.mark.parametrize("name", list(TERMS))
def test_each_term_is_turned_on_by_its_weight(name):
    logits, target = torch.randn(1, 3, 8, 8, dtype=torch.float64), torch.randint(0, 3, (1, 8, 8))
    config = only(**({"cross_entropy": 1.0} | {name: 2.0}))
    rest = segmentation_loss(only(cross_entropy=1.0), CPU)(logits, target, None) * (name != "cross_entropy")
    term = TERMS[name](compare(logits, target), Weighing(), config)
    assert_close(segmentation_loss(config, CPU)(logits, target, None), rest + 2 * term)


def test_classes_that_do_not_exclude_each_other_are_told_by_their_target():
    logits = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    target = torch.randint(0, 2, logits.shape).double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert_close(segmentation_loss(only(cross_entropy=1.0), CPU)(logits, target, None), expected)


def test_hard_pixels_are_those_of_the_config():
    logits, target = torch.randn(1, 2, 8, 8, dtype=torch.float64), torch.randint(0, 2, (1, 8, 8))
    loss = segmentation_loss(LossConfig(dice=0, hard_pixels=0.25, hard_pixels_least=1), CPU)
    single = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    assert_close(loss(logits, target, None), single.flatten().topk(16).values.mean())


class TestConfig:
    @pytest.mark.parametrize("alone", [{}, {"cldice": 1.0}, {"boundary": 0.01}, {"distance": 5.0}], ids=str)
    def test_something_must_be_minimised_that_can_stand_alone(self, alone):
        with pytest.raises(ConfigError, match="at least one of cross_entropy, binary_cross_entropy, focal"):
            build(LossConfig, {"cross_entropy": 0, "dice": 0} | alone, where="plan.toml")

    @pytest.mark.parametrize(
        "name", ["cross_entropy", "binary_cross_entropy", "focal", "dice", "tversky", "lovasz"]
    )
    def test_any_of_these_can(self, name):
        assert getattr(only(**{name: 1.0}), name) == 1

    @pytest.mark.parametrize("weights", [(-1.0, 2.0), (0.0, 0.0)], ids=str)
    def test_class_weights_that_make_no_mean_are_refused(self, weights):
        with pytest.raises(ConfigError, match="no weight may be below 0, and one at least must be above"):
            build(LossConfig, {"class_weights": weights}, where="plan.toml")

    def test_a_tversky_loss_in_which_nothing_costs_anything_is_refused(self):
        with pytest.raises(ConfigError, match="nothing costs anything"):
            build(LossConfig, {"tversky": 1, "tversky_alpha": 0, "tversky_beta": 0}, where="plan.toml")


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


def test_a_batch_split_over_ranks_has_the_loss_of_the_whole():
    logits, maps = torch.randn(4, 3, 6, 6, dtype=torch.float64), torch.rand(4, 1, 6, 6, dtype=torch.float64)
    target = torch.randint(0, 2, (4, 6, 6))
    target[0, :4] = IGNORE  # so that the samples count differently
    config = LossConfig(distance=3.0)
    whole = segmentation_loss(config, CPU, objects="distance")(logits, target, maps)

    def of_rank(rank, over_ranks):
        loss = segmentation_loss(config, CPU, objects="distance", over_ranks=over_ranks)
        return loss(logits[rank::2], target[rank::2], maps[rank::2])

    assert_close(torch.stack(on_ranks(2, of_rank)), whole.expand(2))


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

    def test_weights_of_one_change_nothing(self):
        logits, target = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 4, 4))
        compared = compare(logits, target)
        assert_close(
            cross_entropy(compared, weighing=Weighing(pixels=torch.ones(2, 4, 4))), cross_entropy(compared)
        )

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
        weighing = Weighing(classes=torch.tensor([0.5, 1.5, 1.5]))
        assert_close(loss(logits, target), cross_entropy(compare(logits, target), weighing=weighing))

    @pytest.mark.parametrize("objects", ["classes", "weights", "distance"])
    def test_where_no_border_is_learnt_one_class_weight_too_few_is_an_error(self, objects):
        loss = segmentation_loss(LossConfig(class_weights=(0.5, 1.5)), CPU, objects=objects)
        logits = torch.randn(1, 4 if objects == "distance" else 3, 4, 4)
        with pytest.raises(ShapeError, match="2 class weights for 3 logits"):
            loss(logits, torch.zeros(1, 4, 4, dtype=torch.long))

    def test_a_border_gets_a_weight_where_one_is_missing_and_not_where_two_are(self):
        loss = segmentation_loss(LossConfig(class_weights=(0.5, 1.5)), CPU, objects="borders")
        with pytest.raises(ShapeError, match="2 class weights for 4 logits"):
            loss(torch.randn(1, 4, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))

    def test_of_class_weights_only_the_ratios_matter(self):
        logits, target = torch.randn(1, 2, 4, 4), half_and_half()
        configs = (LossConfig(class_weights=weights) for weights in ((0.5, 1.5), (2.0, 6.0)))
        one, other = (segmentation_loss(config, CPU)(logits, target) for config in configs)
        assert_close(one, other)

    def test_maps_follow_their_output_to_its_size(self):
        full, half = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 2, 2)
        target, weights = torch.randint(0, 2, (1, 4, 4)), torch.rand(1, 1, 4, 4)
        loss = segmentation_loss(LossConfig(), CPU, objects="weights")
        expected = loss(full, target, weights) + loss(half, target[:, 1::2, 1::2], weights[..., 1::2, 1::2])
        assert_close(over_outputs(loss, [full, half], target, (1.0, 1.0), weights), expected)
