"""Parts of one sample in another: whole objects, rectangles, always image, mask and maps together."""

import numpy as np
import pytest
import torch

from changes import drawn, only
from uvala.arrays import IGNORE
from uvala.augment.mixing import mix, mixes, pasted_objects, require_pairs
from uvala.errors import ConfigError

SIDE = 32


class AllFit:
    """A generator that takes every object that fits."""

    def random(self, count):
        return np.zeros(count)


def square(top, left, side=5, of=1):
    """A class map with one square of a class."""
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[top : top + side, left : left + side] = of
    return classes


def pasted(theirs, own=None, largest=SIDE**2):
    return pasted_objects(theirs, np.zeros_like(theirs) if own is None else own, largest, AllFit())


def numbered(batch):
    """Samples that are full of their number, from 1 on: images, targets, maps."""
    number = torch.arange(1, batch + 1).view(-1, 1, 1, 1).expand(batch, 1, SIDE, SIDE)
    return number.float().clone(), number[:, 0].to(torch.uint8).clone(), number.float().clone()


class TestObjects:
    def test_an_object_is_pasted_whole(self):
        theirs = square(5, 5)
        assert np.array_equal(pasted(theirs), theirs == 1)

    def test_an_object_of_several_classes_stays_together(self):
        theirs = square(5, 5) + square(7, 7, 1)  # a nucleus in a cell
        assert np.array_equal(pasted(theirs), theirs != 0)

    @pytest.mark.parametrize(("left", "fits"), [(9, False), (10, False), (11, True)])
    def test_it_lies_on_background_and_touches_nothing(self, left, fits):
        assert pasted(square(5, 5), square(5, left)).any() == fits

    def test_it_does_not_lie_on_what_is_ignored(self):
        assert not pasted(square(5, 5), square(5, 5, of=IGNORE)).any()

    def test_an_object_that_an_ignored_region_cuts_off_stays_where_it_is(self):
        theirs = square(5, 5)
        theirs[:, 10:] = IGNORE
        assert not pasted(theirs).any()

    def test_objects_that_are_too_large_stay_where_they_are(self):
        both = square(2, 2, 10) + square(20, 20, 3)
        assert np.array_equal(pasted(both, largest=50), square(20, 20, 3) == 1)

    def test_half_of_the_objects_are_taken(self):
        many = np.tile(np.pad(np.ones((2, 2), np.uint8), 1), (8, 8))
        taken = [pasted_objects(many, 0 * many, 99, np.random.default_rng(n)).sum() / 4 for n in range(40)]
        assert np.mean(taken) == pytest.approx(32, abs=2)

    def test_nothing_is_pasted_from_nothing(self):
        assert not pasted(square(0, 0, 0)).any()

    def test_image_mask_and_maps_take_the_same_pixels(self):
        pair = torch.from_numpy(np.stack([square(2, 2), square(20, 20, of=2)])).repeat(8, 1, 1)
        parts = pair.float()[:, None], pair.clone(), pair.float()[:, None] * 3
        images, targets, maps = mix(*parts, drawn(only(copy_paste_probability=1.0), batch=16))
        assert torch.equal(images[:, 0], targets.float())
        assert torch.equal(maps[:, 0], targets.float() * 3)
        both = [set(target.unique().tolist()) == {0, 1, 2} for target in targets]
        assert 0 < sum(both) < 16


class TestCutMix:
    def test_a_rectangle_of_the_neighbour_is_put_in(self):
        images, targets, maps = mix(*numbered(2), drawn(only(cutmix_probability=1.0)))
        assert set(targets[0].unique().tolist()) == {1, 2}
        foreign = targets[0] == 2
        rows, columns = foreign.any(dim=1).sum(), foreign.any(dim=0).sum()
        assert foreign.sum() == rows * columns
        assert torch.equal(images[:, 0], targets.float())
        assert torch.equal(maps[:, 0], targets.float())

    def test_samples_mix_in_pairs(self):
        _, targets, _ = mix(*numbered(6), drawn(only(cutmix_probability=1.0), batch=6))
        for sample, target in enumerate(targets):
            assert set(target.unique().tolist()) <= {1 + sample, 1 + (sample ^ 1)}

    def test_a_last_sample_without_a_neighbour_stays(self):
        _, targets, _ = mix(*numbered(3), drawn(only(cutmix_probability=1.0), batch=3))
        assert (targets[2] == 3).all()

    def test_both_of_a_pair_get_what_the_other_was_before(self):
        _, targets, _ = mix(*numbered(2), drawn(only(cutmix_probability=1.0), amounts=0.5))
        assert torch.equal(targets[0] == 2, targets[1] == 1)

    def test_area_and_centre_are_those_that_were_drawn(self):
        """A quarter of the patch about the end of its first quarter, down and across: the first 16 of 32."""
        _, targets, _ = mix(*numbered(2), drawn(only(cutmix_probability=1.0), amounts=0.25))
        expected = torch.ones(SIDE, SIDE, dtype=torch.uint8)
        expected[:16, :16] = 2
        assert torch.equal(targets[0], expected)


class TestPairs:
    def test_whether_anything_is_mixed(self):
        assert not mixes(only())
        assert mixes(only(cutmix_probability=0.1))
        assert mixes(only(copy_paste_probability=0.1))

    @pytest.mark.parametrize("slots", [range(3), range(1, 3), range(5, 6)], ids=str)
    def test_pairs_must_not_be_torn_apart(self, slots):
        with pytest.raises(ConfigError, match="an even number of patches at a time"):
            require_pairs(only(cutmix_probability=0.5), slots)

    @pytest.mark.parametrize("slots", [range(4), range(2, 6)], ids=str)
    def test_whole_pairs_pass(self, slots):
        require_pairs(only(cutmix_probability=0.5), slots)

    def test_without_mixing_any_share_will_do(self):
        require_pairs(only(), range(1, 2))
