"""Which objects stay, against definitions object by object."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from uvala.errors import ShapeError
from uvala.instances.filters import drop_border_objects, fill_holes, remove_small, renumber

RING = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 7, 7, 7, 7, 0],
        [0, 7, 0, 0, 7, 0],
        [0, 7, 7, 7, 7, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    np.int32,
)


def random_labels(rng):
    """Blobs with holes, numbers with gaps, objects in several pieces; all sizes from 1x1, at times empty."""
    shape = rng.integers(1, 20, 2)
    coarse = rng.integers(0, rng.integers(1, 9) + 1, (7, 7)) * rng.integers(1, 50)
    labels = np.kron(coarse, np.ones((3, 3), int))[: shape[0], : shape[1]].astype(np.int32)
    labels[rng.random(labels.shape) < rng.choice([0, 0.1, 0.5])] = 0
    return labels


def cases(count=1000):
    rng = np.random.default_rng(0)
    return [(random_labels(rng), rng) for _ in range(count)]


def test_small_objects_go_and_the_others_keep_their_numbers():
    for labels, rng in cases():
        size = int(rng.integers(0, 30))
        expected = labels.copy()
        for number in np.unique(labels):
            if (labels == number).sum() < size:
                expected[labels == number] = 0
        assert_array_equal(remove_small(labels, size), expected)


def test_objects_in_the_outer_rows_and_columns_go():
    for labels, _ in cases():
        inner = np.pad(np.ones(np.maximum(np.subtract(labels.shape, 2), 0), bool), 1)
        outer = ~inner[: labels.shape[0], : labels.shape[1]] if min(labels.shape) > 1 else labels == labels
        expected = np.where(np.isin(labels, labels[outer]), 0, labels)
        assert_array_equal(drop_border_objects(labels), expected)


def test_numbers_follow_the_order_in_which_rows_meet_objects():
    for labels, _ in cases():
        met = [number for number in dict.fromkeys(labels.ravel().tolist()) if number]
        new = {0: 0} | {number: place for place, number in enumerate(met, start=1)}
        found = renumber(labels)
        assert found.dtype == np.int32
        assert_array_equal(found, [[new[number] for number in row] for row in labels.tolist()])


@pytest.mark.parametrize("connectivity", [1, 2])
def test_a_hole_is_what_one_object_alone_encloses(connectivity):
    around = ndimage.generate_binary_structure(2, 3 - connectivity)
    for labels, rng in cases():
        limit = int(rng.integers(0, 8))
        expected = labels.copy()
        holes, count = ndimage.label(labels == 0, around)
        for number in range(1, count + 1):
            hole = np.pad(holes == number, 1)
            ring = np.pad(labels, 1, constant_values=-1)[ndimage.binary_dilation(hole, around) & ~hole]
            if hole.sum() <= limit and len(set(ring.tolist()) - {0}) == 1 and -1 not in ring:
                expected[holes == number] = ring.max()
        assert_array_equal(fill_holes(labels, limit, connectivity), expected)


def test_a_hole_of_the_given_size_is_filled_and_a_larger_one_is_not():
    assert (fill_holes(RING, 2) == 7).sum() == 12
    assert_array_equal(fill_holes(RING, 1), RING)


def test_a_hole_with_an_island_or_a_second_neighbour_or_a_way_to_the_border_is_none():
    island, shared, open_ = RING.copy(), RING.copy(), RING[2:]
    island[2, 2] = 3
    shared[1:4, 4] = 3
    for labels in (island, shared, open_):
        assert_array_equal(fill_holes(labels, 9), labels)


def test_a_ring_closed_at_its_corners_has_an_inside_only_where_corners_join():
    diamond = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.int32)
    assert fill_holes(diamond, 1, connectivity=2)[1, 1] == 1
    assert fill_holes(diamond, 1, connectivity=1)[1, 1] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64])
def test_any_integers_are_object_numbers_and_keep_their_type(dtype):
    for function in (lambda x: remove_small(x, 1), lambda x: fill_holes(x, 1), drop_border_objects):
        assert function(RING.astype(dtype)).dtype == dtype
    assert_array_equal(renumber(RING.astype(dtype)), RING > 0)


def test_huge_numbers_cost_no_memory():
    labels = np.where(RING > 0, 2**31 - 1, 0).astype(np.int32)
    assert_array_equal(renumber(labels), RING > 0)
    assert_array_equal(remove_small(labels, 3), labels)
    assert_array_equal(drop_border_objects(labels), labels)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_an_image_without_pixels_is_fine(shape):
    empty = np.zeros(shape, np.int32)
    for found in (remove_small(empty, 3), fill_holes(empty, 3), drop_border_objects(empty), renumber(empty)):
        assert found.shape == shape


@pytest.mark.parametrize("labels", [RING.astype(float), RING > 0, RING[0], -RING], ids=str)
def test_what_is_not_object_numbers_is_refused(labels):
    for function in (lambda x: remove_small(x, 1), lambda x: fill_holes(x, 1), drop_border_objects, renumber):
        with pytest.raises(ShapeError, match="expected object numbers"):
            function(labels)


def test_the_given_array_is_never_changed():
    labels = RING.copy()
    for found in (
        remove_small(labels, 1),
        remove_small(labels, 99),
        fill_holes(labels, 0),
        fill_holes(labels, 9),
    ):
        found[:] = 1
    assert_array_equal(labels, RING)
