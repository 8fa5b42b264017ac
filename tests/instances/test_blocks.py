"""What a block tells of its objects, by hand."""

import numpy as np
from numpy.testing import assert_array_equal

from uvala.arrays import Box, Size
from uvala.instances.blocks import blocks_of, objects_in


def test_numbers_sizes_first_pixels_and_boxes():
    block = np.array([[0, 7, 7, 0], [9, 0, 7, 9], [9, 9, 0, 0]], np.int32)
    found = objects_in(block)
    assert found.numbers.tolist() == [7, 9]
    assert found.sizes.tolist() == [3, 4]
    assert found.first.tolist() == [1, 4]
    assert found.boxes.tolist() == [[0, 1, 2, 3], [1, 0, 3, 4]]


def test_a_run_ends_at_the_end_of_its_row():
    found = objects_in(np.array([[0, 5], [5, 0]], np.int32))
    assert found.boxes.tolist() == [[0, 0, 2, 2]]


def test_an_empty_block_has_no_objects():
    assert_array_equal(objects_in(np.zeros((3, 4), np.int32)).boxes, np.zeros((0, 4)))


def test_blocks_cover_each_pixel_once():
    covered = np.zeros((20, 33), int)
    for box in blocks_of(Size(20, 33), 8):
        covered[box.slices] += 1
    assert (covered == 1).all()
    assert blocks_of(Size(20, 33), 8)[0] == Box(0, 0, 8, 8)
