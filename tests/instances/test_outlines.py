"""Outlines of objects: polygons that cover their pixels and nothing else."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage.measure import label, points_in_poly

from uvala.errors import ShapeError
from uvala.instances.outlines import polygons


def random_labels(seed):
    random = np.random.default_rng(seed)
    shape = random.integers(1, 14, 2)
    return random.integers(0, random.integers(2, 7), shape) * (random.random(shape) < random.random())


CASES = [
    np.zeros((4, 5), int),
    np.ones((4, 5), int),
    np.array([[3]]),
    np.array([[0, 2, 2, 0, 2, 5, 5]]),
    *map(random_labels, range(1000)),
]


def parts(labels):
    """Each object's number and each of its polygons."""
    return [(number, polygon) for number, found in polygons(labels).items() for polygon in found]


def shoelace(ring):
    x, y = ring.T
    return (x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def filled(ring, shape):
    """The pixels whose centres lie inside a ring, by scikit-image."""
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    return points_in_poly(centres, ring).reshape(shape)


def test_polygons_filled_again_are_the_objects():
    for labels in CASES:
        again = np.zeros_like(labels)
        for number, polygon in parts(labels):
            inside = filled(polygon.outer, labels.shape)
            for hole in polygon.holes:
                inside &= ~filled(hole, labels.shape)
            again[inside] += number
        assert_array_equal(again, labels)


def test_the_area_of_the_polygons_is_the_number_of_pixels():
    for labels in CASES:
        for number, found in polygons(labels).items():
            rings = [ring for polygon in found for ring in (polygon.outer, *polygon.holes)]
            assert sum(map(shoelace, rings)) == np.count_nonzero(labels == number)


def test_outer_rings_turn_one_way_and_holes_the_other():
    for labels in CASES:
        for _, polygon in parts(labels):
            assert shoelace(polygon.outer) > 0
            assert all(shoelace(hole) < 0 for hole in polygon.holes)


def test_rings_are_closed_and_have_nothing_but_corners():
    for labels in CASES:
        for _, polygon in parts(labels):
            for ring in (polygon.outer, *polygon.holes):
                assert_array_equal(ring[0], ring[-1])
                steps = np.diff(ring, axis=0)
                assert (np.count_nonzero(steps, axis=1) == 1).all()  # along x or along y
                assert ((steps * np.roll(steps, 1, axis=0)).sum(axis=1) == 0).all()  # a right angle each time


def test_no_ring_comes_to_a_corner_twice():
    for labels in CASES:
        for _, polygon in parts(labels):
            for ring in (polygon.outer, *polygon.holes):
                assert len(np.unique(ring[1:], axis=0)) == len(ring) - 1


def test_there_is_a_polygon_for_what_hangs_together_and_a_hole_for_each_gap_in_it():
    for labels in CASES:
        for number, found in polygons(labels).items():
            pieces = label(np.pad(labels == number, 1), connectivity=1)
            pieces = [pieces == piece for piece in range(1, pieces.max() + 1)]
            gaps = [label(~piece, connectivity=1).max() - 1 for piece in pieces]  # all but the outside
            assert sorted(len(polygon.holes) for polygon in found) == sorted(gaps)


class TestByHand:
    @pytest.mark.parametrize(
        ("labels", "outer"),
        [
            ([[1]], [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]),
            ([[0, 0, 0], [0, 1, 1]], [(1, 1), (3, 1), (3, 2), (1, 2), (1, 1)]),
            ([[1, 0], [1, 1]], [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2), (0, 0)]),
        ],
        ids=["pixel", "rectangle", "corner"],
    )
    def test_the_corners_are_x_and_y(self, labels, outer):
        (polygon,) = polygons(np.array(labels))[1]
        assert list(map(tuple, polygon.outer.tolist())) == outer

    def test_pixels_that_meet_at_a_corner_are_two_polygons(self):
        assert len(polygons(np.eye(2, dtype=int))[1]) == 2

    def test_gaps_that_meet_at_a_corner_are_two_holes(self):
        labels = np.ones((4, 4), int)
        labels[1, 1] = labels[2, 2] = 0
        (polygon,) = polygons(labels)[1]
        assert [shoelace(hole) for hole in polygon.holes] == [-1, -1]

    def test_a_gap_that_meets_the_outside_at_a_corner_is_a_hole(self):
        labels = np.ones((3, 3), int)
        labels[0, 0] = labels[1, 1] = 0
        (polygon,) = polygons(labels)[1]
        assert (shoelace(polygon.outer), len(polygon.holes)) == (8, 1)

    def test_an_object_in_the_hole_of_another_is_no_part_of_it(self):
        labels = np.full((5, 5), 1)
        labels[1:4, 1:4] = 0
        labels[2, 2] = 9
        assert [len(polygon.holes) for _, polygon in parts(labels)] == [1, 0]


def test_numbers_are_those_of_the_labels():
    assert list(polygons(np.array([[7, 0, 10**12, 3]]))) == [3, 7, 10**12]


def test_an_image_without_pixels_has_no_objects():
    assert polygons(np.zeros((0, 4), int)) == {}


def test_what_is_no_label_map_is_refused():
    with pytest.raises(ShapeError, match="expected object numbers"):
        polygons(np.ones((3, 3)))
