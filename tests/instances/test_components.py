"""Connected components, against a flood fill and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal
from skimage.measure import label

from uvala.errors import ShapeError
from uvala.instances.components import connected_components

MASK = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1]], bool)
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=16))

NEIGHBOURS = {1: [(0, 1), (1, 0), (0, -1), (-1, 0)]}
NEIGHBOURS[2] = [*NEIGHBOURS[1], (1, 1), (1, -1), (-1, 1), (-1, -1)]


def flood_fill(mask, neighbours):
    """The definition: from each pixel without a number, go as far as the mask goes."""
    labels, found = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        found += labels[start] == 0
        reached = [start] if labels[start] == 0 else []
        while reached:
            y, x = reached.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and labels[y, x] == 0:
                labels[y, x] = found
                reached += [(y + dy, x + dx) for dy, dx in neighbours]
    return labels


def test_pixels_that_share_an_edge_are_one_object():
    assert connected_components(MASK).tolist() == [[1, 1, 0, 0], [0, 0, 2, 0], [3, 0, 2, 0], [3, 0, 0, 4]]


def test_with_connectivity_2_a_corner_joins():
    expected = [[1, 1, 0, 0], [0, 0, 1, 0], [2, 0, 1, 0], [2, 0, 0, 1]]
    assert connected_components(MASK, connectivity=2).tolist() == expected


@pytest.mark.parametrize("connectivity", [1, 2])
@settings(deadline=None, max_examples=200)
@given(mask=masks)
def test_objects_and_their_numbers_equal_those_of_a_flood_fill(mask, connectivity):
    expected = flood_fill(mask, NEIGHBOURS[connectivity])
    assert_array_equal(connected_components(mask, connectivity), expected)


@pytest.mark.parametrize("connectivity", [1, 2])
@settings(deadline=None, max_examples=200)
@given(mask=masks)
def test_objects_and_their_numbers_equal_those_of_scikit_image(mask, connectivity):
    assert_array_equal(connected_components(mask, connectivity), label(mask, connectivity=connectivity))


@pytest.mark.parametrize(("filled", "expected"), [(False, 0), (True, 1)])
def test_an_empty_mask_has_no_object_and_a_full_one_has_one(filled, expected):
    labels = connected_components(np.full((5, 7), filled))
    assert (labels.dtype, labels.max()) == (np.int32, expected)


def test_a_mask_without_pixels_is_fine():
    assert connected_components(np.zeros((0, 4), bool)).shape == (0, 4)


def test_a_mask_that_is_not_contiguous_is_fine():
    assert_array_equal(connected_components(MASK.T), connected_components(np.ascontiguousarray(MASK.T)))


@pytest.mark.parametrize(
    "mask",
    [MASK.astype(np.uint8), MASK.astype(float), MASK[0], MASK[None]],
    ids=["uint8", "float", "1d", "3d"],
)
def test_what_is_not_a_mask_is_refused(mask):
    with pytest.raises(ShapeError, match="expected bool"):
        connected_components(mask)


@pytest.mark.parametrize("connectivity", [0, 4, 8])
def test_a_connectivity_counted_in_neighbours_is_answered_with_the_right_number(connectivity):
    with pytest.raises(ShapeError, match="8 neighbours are connectivity 2"):
        connected_components(MASK, connectivity)
