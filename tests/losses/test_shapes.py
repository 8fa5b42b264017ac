"""Losses that look at where a pixel lies: clDice and the boundary loss."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from uvala.errors import ConfigError
from uvala.losses.boundary import boundary_loss, signed_distances
from uvala.losses.cldice import cldice_loss, soft_skeleton
from uvala.losses.comparison import compare
from uvala.losses.neighbours import largest_of_nine, smallest_of_cross


def picture(*rows: str) -> Tensor:
    """int64 [1, H, W], 1 where a row has a #."""
    return torch.tensor([[[int(letter == "#") for letter in row] for row in rows]])


def sure(mask: Tensor) -> Tensor:
    """Logits [1, 2, H, W] that say this mask, without a doubt."""
    return 1000 * F.one_hot(mask, 2).permute(0, 3, 1, 2).double()


LINE = picture("...........", "...........", ".#########.", "...........", "...........")
GAP = picture("...........", "...........", ".###...###.", "...........", "...........")
THICK = picture("...........", ".#########.", ".#########.", ".#########.", "...........")


class TestNeighbours:
    @pytest.mark.parametrize("size", [(6, 7), (1, 5), (2, 2)], ids=str)
    def test_are_those_of_a_pooling_and_so_are_their_gradients(self, size):
        x = torch.rand(2, 3, *size, dtype=torch.float64, requires_grad=True)
        weights = torch.rand_like(x)
        cross = torch.maximum(F.max_pool2d(-x, (3, 1), 1, (1, 0)), F.max_pool2d(-x, (1, 3), 1, (0, 1)))
        for ours, pooled in [(largest_of_nine(x), F.max_pool2d(x, 3, 1, 1)), (smallest_of_cross(x), -cross)]:
            assert torch.equal(ours, pooled)
            one, other = (torch.autograd.grad((each * weights).sum(), x)[0] for each in (ours, pooled))
            assert_close(one, other)

    def test_equals_share_a_gradient_without_loss_or_gain(self):
        stripes = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0]).expand(1, 1, 6, 6).clone().requires_grad_()
        largest_of_nine(stripes).sum().backward()
        assert stripes.grad.sum() == 36
        assert torch.equal(stripes.grad * (1 - stripes), torch.zeros(1, 1, 6, 6))


class TestSoftSkeleton:
    def test_of_a_line_is_the_line(self):
        assert torch.equal(soft_skeleton(LINE[None].double(), 2), LINE[None].double())

    def test_of_a_bar_is_its_middle(self):
        middle = picture("...........", "...........", "..#######..", "...........", "...........")
        assert torch.equal(soft_skeleton(THICK[None].double(), 2), middle[None].double())

    def test_what_is_found_twice_counts_once(self):
        # 0.75 less the opening's 0.25, and then what 0.25 adds to the half that is left
        hill = torch.tensor([0.0, 0.25, 0.75, 0.25, 0.0], dtype=torch.float64).view(1, 1, 1, 5)
        assert soft_skeleton(hill, 1).flatten().tolist() == [0, 0, 0.5 + 0.5 * 0.25, 0, 0]


class TestClDice:
    def test_a_gap_costs_its_share_of_the_line(self):
        # all of the 6 predicted pixels are true, 6 of 9 true ones are found: 2 * 1 * (2 / 3) / (5 / 3)
        assert cldice_loss(compare(sure(GAP), LINE), iterations=2).item() == pytest.approx(0.2, abs=1e-12)

    def test_width_costs_nothing(self):
        assert cldice_loss(compare(sure(THICK), LINE), iterations=2).item() == pytest.approx(0, abs=1e-12)

    def test_the_thin_class_may_be_the_first(self):
        flipped = compare(sure(1 - GAP), 1 - LINE)
        value = cldice_loss(flipped, iterations=2, classes=(0,))
        assert value.item() == pytest.approx(0.2, abs=1e-12)

    def test_a_class_that_there_is_not_is_named(self):
        with pytest.raises(ConfigError, match=r"cldice_classes = \[2\] for 2 classes"):
            cldice_loss(compare(sure(GAP), LINE), iterations=2, classes=(2,))

    def test_without_anything_thin_costs_nothing(self):
        assert cldice_loss(compare(sure(GAP), torch.zeros_like(LINE)), iterations=2) == 0


def distances(mask: Tensor, known: Tensor | None = None) -> np.ndarray:
    """Signed distances of class 1 [H, W]."""
    truth = F.one_hot(mask, 2).permute(0, 3, 1, 2).numpy() > 0
    seen = np.ones(mask.shape, bool) if known is None else known.numpy()
    both = signed_distances(truth, seen)
    assert np.array_equal(both[:, 0], -both[:, 1])
    return both[0, 1]


class TestSignedDistances:
    def test_count_from_between_the_pixels_and_are_negative_inside(self):
        assert distances(picture("..##")).tolist() == [[1.5, 0.5, -0.5, -1.5]]

    def test_are_euclidean(self):
        assert distances(picture("#..", "...", "..."))[2, 2] == pytest.approx(np.sqrt(8) - 0.5)

    def test_see_no_outline_along_what_is_ignored(self):
        mask, known = picture("..##.."), picture("######") > 0
        known[..., 4:] = False
        assert distances(mask, known).tolist() == [[1.5, 0.5, -0.5, -1.5, -2.5, -3.5]]

    def test_are_zero_without_an_outline(self):
        assert not distances(picture("####")).any()

    def test_of_three_classes_are_each_its_own(self):
        truth = np.array([[[[1, 1, 0, 0]], [[0, 0, 1, 0]], [[0, 0, 0, 1]]]], bool)
        assert signed_distances(truth, np.ones((1, 1, 4), bool))[0, :, 0].tolist() == [
            [-1.5, -0.5, 0.5, 1.5],
            [1.5, 0.5, -0.5, 0.5],
            [2.5, 1.5, 0.5, -0.5],
        ]


class TestBoundary:
    def test_a_shift_costs_the_distances_of_what_is_wrong(self):
        # two pixels beyond the outline, at 0.5 and 1.5; both classes; four pixels
        value = boundary_loss(compare(sure(picture("####")), picture("..##")))
        assert value.item() == pytest.approx((0.5 + 1.5) / 4, abs=1e-12)

    def test_a_farther_mistake_costs_more(self):
        truth = picture("....##")
        near, far = picture("...###"), picture("#...##")
        assert boundary_loss(compare(sure(far), truth)) > 5 * boundary_loss(compare(sure(near), truth))
