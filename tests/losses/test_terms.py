"""Each loss against its closed form, or against torch's own."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.losses.comparison import compare
from uvala.losses.cross_entropy import binary_cross_entropy, cross_entropy
from uvala.losses.dice import dice_loss
from uvala.losses.focal import focal_loss
from uvala.losses.hard_pixels import hardest
from uvala.losses.lovasz import lovasz_loss
from uvala.losses.pixel_mean import Weighing
from uvala.losses.tversky import tversky_loss


def approx(value: float):
    return pytest.approx(value, rel=1e-12)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def saying(probability: float) -> Tensor:
    """Logits [1, 2, 4, 4] whose softmax gives class 1 this probability everywhere."""
    return torch.tensor([0.0, logit(probability)], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 4, 4)


def half_and_half() -> Tensor:
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    target[:, :, 2:] = 1
    return target


def random_batch(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 5, 4, generator=generator, dtype=torch.float64)
    target = torch.randint(0, classes, (2, 5, 4), generator=generator)
    target[:, 0] = IGNORE
    return logits, target


class TestCompare:
    def test_unlike_shapes_are_named(self):
        with pytest.raises(ShapeError, match=r"logits \[1, 2, 4, 4\], target \[1, 4, 3\]"):
            compare(saying(0.5), half_and_half()[..., :3])

    def test_a_mask_of_another_size_is_named(self):
        with pytest.raises(ShapeError, match=r"known \[1, 3, 4\]"):
            compare(saying(0.5), half_and_half(), known=torch.ones(1, 3, 4, dtype=torch.bool))

    def test_one_logit_cannot_be_exclusive(self):
        with pytest.raises(ShapeError, match="two classes or more"):
            compare(saying(0.5)[:, :1], half_and_half(), exclusive=True)

    def test_several_classes_a_pixel_cannot_be_exclusive(self):
        with pytest.raises(ShapeError, match="each pixel has one"):
            compare(saying(0.5), torch.ones(1, 2, 4, 4), exclusive=True)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64], ids=str)
    def test_any_integers_are_classes(self, dtype):
        target = half_and_half()
        assert torch.equal(compare(saying(0.7), target.to(dtype)).truth, compare(saying(0.7), target).truth)


class TestCrossEntropy:
    def test_is_the_negative_logarithm_of_the_true_class_probability(self):
        compared = compare(saying(0.8), torch.ones(1, 4, 4, dtype=torch.long))
        assert cross_entropy(compared).item() == approx(-math.log(0.8))

    @pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=str)
    def test_is_that_of_torch(self, options):
        logits, target = random_batch()
        assert_close(
            cross_entropy(compare(logits, target), **options),
            F.cross_entropy(logits, target, ignore_index=IGNORE, **options),
        )

    def test_class_weights_are_those_of_torch(self):
        logits, target = random_batch()
        weights = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
        assert_close(
            cross_entropy(compare(logits, target), weighing=Weighing(classes=weights)),
            F.cross_entropy(logits, target, ignore_index=IGNORE, weight=weights),
        )

    def test_class_weights_of_one_logit_are_those_of_background_and_foreground(self):
        """The same as of two logits of which the first is 0: a softmax of these is the sigmoid of one."""
        logits, target = random_batch(2)
        weighing = Weighing(classes=torch.tensor([0.5, 3.0], dtype=torch.float64))
        one = logits[:, 1:]
        two = torch.cat([torch.zeros_like(one), one], dim=1)
        expected = cross_entropy(compare(two, target), weighing=weighing)
        assert_close(cross_entropy(compare(one, target), weighing=weighing), expected)
        assert_close(focal_loss(compare(one, target), gamma=0, weighing=weighing), expected)

    def test_class_weights_are_those_of_a_pixels_class_where_each_class_has_a_sigmoid(self):
        logits, target = random_batch()
        weights = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
        known = target != IGNORE
        truth = F.one_hot(target.where(known, 0), 3).movedim(-1, 1).to(logits.dtype)
        costs = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=1)
        counts = weights[target.where(known, 0)] * known
        assert_close(
            binary_cross_entropy(compare(logits, target), weighing=Weighing(classes=weights)),
            (costs * counts).sum() / counts.sum(),
        )

    @pytest.mark.parametrize(("classes", "weights"), [(1, 3), (2, 1), (2, 3), (3, 2)])
    def test_as_many_class_weights_as_classes_are_wanted(self, classes, weights):
        logits, target = random_batch(classes)
        compared = compare(logits, target.where(target == IGNORE, target.clamp(max=1)))
        with pytest.raises(
            ShapeError, match=f"found {weights} class weights? for {classes} logits?.*expected"
        ):
            cross_entropy(compared, weighing=Weighing(classes=torch.ones(weights)))

    def test_pixel_weights_make_a_weighted_mean(self):
        logits, target = saying(0.8), half_and_half()
        target[0, 3] = IGNORE
        weights = torch.ones(1, 4, 4)
        weights[:, :, 2:] = 5
        expected = -(5 * math.log(0.8) + math.log(0.2)) / 6
        value = cross_entropy(compare(logits, target), weighing=Weighing(pixels=weights))
        assert value.item() == approx(expected)

    def test_of_classes_that_do_not_exclude_each_other_is_that_of_each_sigmoid(self):
        logits = torch.randn(2, 3, 5, 4, dtype=torch.float64)
        target = torch.randint(0, 2, logits.shape).double()
        assert_close(
            cross_entropy(compare(logits, target)), F.binary_cross_entropy_with_logits(logits, target)
        )

    def test_smooths_yes_and_no_alike(self):
        logits, target = torch.zeros(1, 1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.long)
        logits += logit(0.8)
        value = cross_entropy(compare(logits, target), label_smoothing=0.2)
        assert value.item() == approx(-0.9 * math.log(0.8) - 0.1 * math.log(0.2))

    def test_binary_asks_of_each_class_whether_it_is_there(self):
        # the logit of class 0 is 0, a probability of one half
        value = binary_cross_entropy(compare(saying(0.8), torch.ones(1, 4, 4, dtype=torch.long)))
        assert value.item() == approx(-(math.log(0.5) + math.log(0.8)) / 2)


class TestHardPixels:
    def test_the_largest_losses_of_each_image_count(self):
        losses = torch.tensor([[[[1.0, 4.0, 2.0, 3.0]]], [[[8.0, 7.0, 6.0, 5.0]]]])
        chosen = hardest(losses, torch.ones_like(losses), 0.5, 1)
        assert chosen.flatten(1).tolist() == [[0, 1, 0, 1], [1, 1, 0, 0]]

    def test_ignored_pixels_are_no_share_and_never_chosen(self):
        losses = torch.tensor([[[[1.0, 4.0, 2.0, 3.0]]]])
        chosen = hardest(losses, torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]]), 0.5, 1)
        assert chosen.flatten().tolist() == [0, 0, 1, 0]

    def test_at_least_so_many_count_if_there_are_so_many(self):
        losses = torch.arange(4.0).view(1, 1, 1, 4)
        assert hardest(losses, torch.ones_like(losses), 0.1, 3).flatten().tolist() == [0, 1, 1, 1]
        assert hardest(losses, torch.ones_like(losses), 0.1, 9).flatten().tolist() == [1, 1, 1, 1]

    def test_the_mean_is_over_those_that_count(self):
        # half of the pixels are wrong: they are the hardest half
        value = cross_entropy(compare(saying(0.8), half_and_half()), weighing=Weighing(hard_share=0.5))
        assert value.item() == approx(-math.log(0.2))


class TestFocal:
    def test_weighs_a_pixel_by_how_wrong_it_is(self):
        compared = compare(saying(0.8), torch.ones(1, 4, 4, dtype=torch.long))
        assert focal_loss(compared, gamma=2).item() == approx(-(0.2**2) * math.log(0.8))
        assert focal_loss(compared, gamma=0.5).item() == approx(-(0.2**0.5) * math.log(0.8))

    def test_of_gamma_0_is_the_cross_entropy(self):
        compared = compare(*random_batch())
        assert_close(focal_loss(compared, gamma=0), cross_entropy(compared))

    def test_of_one_logit_is_the_papers(self):
        target = torch.ones(1, 1, 2, dtype=torch.long)
        target[..., 1] = 0
        compared = compare(torch.full((1, 1, 1, 2), logit(0.9), dtype=torch.float64), target)
        expected = -(0.1**2 * math.log(0.9) + 0.9**2 * math.log(0.1)) / 2
        assert focal_loss(compared, gamma=2).item() == approx(expected)


class TestDice:
    def test_of_a_constant_probability_has_a_closed_form(self):
        # class 1: 2 * 8 * 0.8 / (16 * 0.8 + 8); class 0: 2 * 8 * 0.2 / (16 * 0.2 + 8)
        expected = 1 - (12.8 / 20.8 + 3.2 / 11.2) / 2
        compared = compare(saying(0.8), half_and_half())
        assert dice_loss(compared, over="batch").item() == approx(expected)

    def test_an_absent_class_does_not_count(self):
        # class 1 alone: 2 * 16 * 0.8 / (16 * 0.8 + 16)
        compared = compare(saying(0.8), torch.ones(1, 4, 4, dtype=torch.long))
        assert dice_loss(compared, over="batch").item() == approx(1 - 25.6 / 28.8)

    def test_the_background_may_be_left_out(self):
        compared = compare(saying(0.8), half_and_half())
        assert dice_loss(compared, over="batch", background=False).item() == approx(1 - 12.8 / 20.8)

    def test_over_samples_is_the_mean_of_what_each_has(self):
        logits, target = random_batch()
        target[0] = target[0].where(target[0] != 1, 0)  # the first sample lacks a class
        one, other = (dice_loss(compare(logits[[n]], target[[n]]), over="batch") for n in range(2))
        assert_close(dice_loss(compare(logits, target), over="sample"), (one + other) / 2)

    def test_over_samples_passes_over_one_of_which_nothing_is_known(self):
        logits, target = random_batch()
        target[1] = IGNORE
        assert_close(
            dice_loss(compare(logits, target), over="sample"),
            dice_loss(compare(logits[:1], target[:1]), over="batch"),
        )

    def test_ignored_pixels_are_cut_out(self):
        logits, target = random_batch()
        whole, cut = compare(logits, target), compare(logits[:, :, 1:], target[:, 1:])
        assert_close(dice_loss(whole, over="batch"), dice_loss(cut, over="batch"))


class TestTversky:
    def test_of_halves_is_dice(self):
        compared = compare(*random_batch())
        assert_close(
            tversky_loss(compared, alpha=0.5, beta=0.5, over="batch"), dice_loss(compared, over="batch")
        )

    @pytest.mark.parametrize("gamma", [1.0, 4 / 3])
    def test_weighs_false_positives_by_alpha_and_missed_pixels_by_beta(self, gamma):
        # class 1: TP 6.4, FP 6.4, FN 1.6; class 0: TP 1.6, FP 1.6, FN 6.4
        ones = 1 - 6.4 / (6.4 + 0.3 * 6.4 + 0.7 * 1.6)
        zeros = 1 - 1.6 / (1.6 + 0.3 * 1.6 + 0.7 * 6.4)
        compared = compare(saying(0.8), half_and_half())
        value = tversky_loss(compared, alpha=0.3, beta=0.7, gamma=gamma, over="batch")
        assert value.item() == approx((ones ** (1 / gamma) + zeros ** (1 / gamma)) / 2)


class TestLovasz:
    def test_of_a_sure_prediction_is_one_less_the_intersection_over_union(self):
        predicted = torch.zeros(1, 4, 4, dtype=torch.long)
        predicted[:, :2] = 1  # half right: 4 pixels in common of 12, for both classes
        sure = 1000 * F.one_hot(predicted, 3).permute(0, 3, 1, 2).double()
        assert lovasz_loss(compare(sure, half_and_half())).item() == approx(2 / 3)

    def test_of_two_pixels_has_a_closed_form(self):
        # class 1: errors 0.4, 0.3; the larger one is the true pixel, without which the union is nothing: 0.4.
        # class 0: errors 0.4, 0.3; the larger one is false and halves the overlap: 0.4 / 2 + 0.3 / 2.
        probabilities = torch.tensor([[0.4, 0.7], [0.6, 0.3]], dtype=torch.float64)
        compared = compare(probabilities.log().view(1, 2, 1, 2), torch.tensor([[[1, 0]]]))
        assert lovasz_loss(compared).item() == approx((0.4 + 0.35) / 2)

    def test_of_one_logit_is_the_hinge(self):
        # logits of -1 and 1 have hinges of 2 where they are wrong
        predicted = torch.zeros(1, 1, 4, 4, dtype=torch.float64) - 1
        predicted[:, :, :2] = 1
        assert lovasz_loss(compare(predicted, half_and_half())).item() == approx(2 * 2 / 3)

    def test_a_batch_is_the_mean_of_its_images(self):
        logits, target = random_batch()
        each = [lovasz_loss(compare(logits[[n]], target[[n]])) for n in range(2)]
        assert_close(lovasz_loss(compare(logits, target)), torch.stack(each).mean())

    def test_ignored_pixels_are_cut_out(self):
        logits, target = random_batch()
        assert_close(
            lovasz_loss(compare(logits, target)), lovasz_loss(compare(logits[:, :, 1:], target[:, 1:]))
        )
