"""What one mask holds is counted as NumPy would count it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from uvala.data.mask_facts import MAX_VALUES, look_at_mask, look_at_objects
from uvala.images.read import RawMask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64], ids=str)
def test_values_are_counted(dtype):
    values = np.random.default_rng(0).integers(0, 9, (20, 30)).astype(dtype)
    facts = look_at_mask(RawMask(values), "m")
    expected, counts = np.unique(values, return_counts=True)
    assert_array_equal(facts.values, expected)
    assert_array_equal(facts.counts, counts)
    assert (facts.distinct, facts.count(3), facts.count(99)) == (9, (values == 3).sum(), 0)


def test_colours_are_counted_packed():
    values = np.zeros((4, 5, 3), np.uint8)
    values[1, :] = (1, 2, 3)
    facts = look_at_mask(RawMask(values), "m")
    assert (facts.values.tolist(), facts.counts.tolist()) == ([0, 0x010203], [15, 5])


def test_inner_pixels_are_those_with_four_equal_neighbours():
    values = np.zeros((7, 7), np.uint8)
    values[1:4, 1:4] = 1  # its middle; of the zeros, those of row 5 and column 5 (9) and the one at (4, 4)
    facts = look_at_mask(RawMask(values), "m")
    assert facts.inner.tolist() == [10, 1]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 40)], ids=str)
def test_masks_too_small_for_inner_pixels_are_counted(size):
    assert look_at_mask(RawMask(np.ones(size, np.int32)), "m").inner.tolist() == [0]


def test_only_the_most_frequent_values_are_kept():
    values = np.arange(40 * 40, dtype=np.uint16).reshape(40, 40)
    values[:20] = 5
    facts = look_at_mask(RawMask(values), "m")
    assert (facts.distinct, len(facts.values), facts.count(5), facts.highest) == (801, MAX_VALUES, 800, 1599)


def test_numbers_that_are_one_piece_are_told_from_those_in_several():
    values = np.array([[1, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 2], [0, 3, 0, 0]], np.uint8)
    assert look_at_mask(RawMask(values), "m", components=True).single == pytest.approx(2 / 3)


def test_overlapping_objects_are_counted_once_as_foreground():
    first, second = np.zeros((2, 5, 5), np.uint8)
    first[:2], second[1:3] = 255, 1
    facts = look_at_objects([RawMask(first), RawMask(second)], "case")
    assert (facts.values.tolist(), facts.counts.tolist(), facts.overlap, facts.objects) == (
        [0, 1],
        [10, 15],
        5,
        2,
    )
