"""Targets for touching objects, against their definitions: every pixel, every object, the whole image."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from uvala.errors import ShapeError
from uvala.instances.border import border_classes, border_weight_map, distance_map

EMPTY = [
    np.zeros((6, 7), int),  # nothing
    np.ones((6, 7), int),  # one object that fills the image
    np.array([[0, 0], [0, 9]]),  # one pixel
    np.array([[0, 4, 4, 0, 0, 2, 2, 7, 0]]),  # one row
    np.array([[1], [0], [3]]),  # one column
    np.zeros((0, 5), int),  # no pixels
]


def random_labels(seed):
    """Up to eight overlapping boxes, numbered with gaps, some of them touching, cut apart or lost."""
    random = np.random.default_rng(seed)
    shape = random.integers(1, 24, 2)
    labels = np.zeros(shape, int)
    for number in random.permutation(40)[: random.integers(0, 9)]:
        top, left = (random.integers(0, side) for side in shape)
        height, width = random.integers(1, 9, 2)
        labels[top : top + height, left : left + width] = number + 1
    return labels


CASES = [*EMPTY, *map(random_labels, range(1000))]


def each_object(labels):
    return [labels == number for number in np.unique(labels) if number > 0]


def offsets(shape):
    """All differences of the positions of two pixels: rows and columns, [P, P] each."""
    rows, columns = np.indices(shape).reshape(2, -1)
    return rows[:, None] - rows, columns[:, None] - columns


class TestBorderWeightMap:
    """Ronneberger et al. (2015), equation 2."""

    @staticmethod
    def by_definition(labels, w0, sigma, weights, inside):
        rows, columns = offsets(labels.shape)
        away = np.hypot(rows, columns)
        distances = [away[:, one.ravel()].min(axis=1) for one in each_object(labels)]
        expected = np.where(labels > 0, weights[1], weights[0]).astype(float)
        if len(distances) > 1:
            first, second = np.sort(distances, axis=0)[:2].reshape(2, *labels.shape)
            term = w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))
            expected += term if inside else term * (labels == 0)
        return expected

    @pytest.mark.parametrize("inside", [False, True])
    @pytest.mark.parametrize(("w0", "sigma"), [(10, 5), (3, 0.7)])
    def test_it_is_the_formula_at_every_pixel(self, w0, sigma, inside):
        for labels in CASES:
            found = border_weight_map(labels, w0=w0, sigma=sigma, class_weights=(1, 2), inside=inside)
            expected = self.by_definition(labels, w0, sigma, (1, 2), inside)
            assert_allclose(found, expected, rtol=2e-6, atol=2e-7)

    def test_between_two_pixels_it_is_what_one_computes_by_hand(self):
        labels = np.array([[1, 0, 0, 0, 2]])
        by_hand = 1 + 10 * np.exp(-(np.array([4, 4, 4]) ** 2) / 50)  # d1 + d2 is 4 all along the line
        assert_allclose(border_weight_map(labels, class_weights=(1, 1))[0, 1:4], by_hand, rtol=1e-6)

    def test_classes_are_balanced_by_default(self):
        labels = np.zeros((10, 10), int)
        labels[:2] = 1
        weights = border_weight_map(labels)
        assert_allclose([weights[labels == 0].sum(), weights[labels == 1].sum()], [50, 50], rtol=1e-6)

    def test_the_only_class_weighs_one(self):
        assert (border_weight_map(np.ones((3, 3), int)) == 1).all()
        assert (border_weight_map(np.zeros((3, 3), int)) == 1).all()

    def test_objects_that_touch_have_no_border_between_them(self):
        weights = border_weight_map(np.array([[1, 1, 2, 2]]))
        assert_array_equal(weights, np.ones((1, 4)))

    @pytest.mark.parametrize(
        "options", [{"sigma": 0}, {"w0": -1}, {"w0": np.nan}, {"class_weights": (1, -1)}]
    )
    def test_impossible_parameters_are_refused(self, options):
        with pytest.raises(ShapeError, match="w0 = 10 and sigma = 5"):
            border_weight_map(np.ones((2, 2), int), **options)


class TestBorderClasses:
    """Interior is what has only its own object around it."""

    @staticmethod
    def interior_by_definition(labels, width):
        rows, columns = offsets(labels.shape)
        near = np.maximum(abs(rows), abs(columns)) <= width
        flat = labels.ravel()
        alike = np.array([(flat[row] == flat[index]).all() for index, row in enumerate(near)], bool)
        return alike.reshape(labels.shape) & (labels > 0)

    @pytest.mark.parametrize("width", [1, 2])
    def test_interior_and_border_are_those_of_the_definition(self, width):
        for labels in CASES:
            found = border_classes(labels, width=width)
            interior = self.interior_by_definition(labels, width)
            seeds = (found == 1) & ~interior
            assert_array_equal(found > 0, labels > 0)
            assert (found[interior] == 1).all()
            lost = [one for one in each_object(labels) if not interior[one].any()]
            assert seeds.sum() == len(lost)
            assert all(seeds[one].sum() == 1 for one in lost)

    def test_an_object_without_interior_keeps_its_middle(self):
        labels = np.zeros((5, 7), int)
        labels[1:4, 1:6] = 1
        expected = np.zeros((5, 7), int)
        expected[1:4, 1:6] = 2
        expected[2, 3] = 1
        assert_array_equal(border_classes(labels, width=3), expected)

    def test_the_edge_of_the_image_is_no_border(self):
        assert border_classes(np.array([[3, 3, 3, 0]])).tolist() == [[1, 1, 2, 0]]

    def test_objects_that_meet_at_a_corner_have_a_border(self):
        labels = np.kron([[1, 0], [0, 2]], np.ones((3, 3), int))
        assert border_classes(labels)[2, 2] == 2

    def test_interiors_of_touching_objects_are_as_many_as_the_objects(self):
        labels = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((4, 4), int))
        found = ndimage.label(border_classes(labels) == 1, np.ones((3, 3)))[1]
        assert found == 9

    def test_a_width_of_nothing_is_refused(self):
        with pytest.raises(ShapeError, match="at least 1 pixel"):
            border_classes(np.ones((2, 2), int), width=0)


class TestDistanceMap:
    """Distance to the nearest pixel that is not of the object, as a share of the deepest."""

    @staticmethod
    def by_definition(labels):
        rows, columns = offsets(labels.shape)
        away = np.hypot(rows, columns)
        expected = np.zeros(labels.shape)
        for one in each_object(labels):
            depth = away[:, ~one.ravel()].min(axis=1, initial=np.inf).reshape(labels.shape)[one]
            expected[one] = 1 if np.isinf(depth).all() else depth / depth.max()
        return expected

    def test_it_is_the_definition_at_every_pixel(self):
        for labels in CASES:
            assert_allclose(distance_map(labels), self.by_definition(labels), rtol=1e-6)

    def test_another_object_is_outside(self):
        assert distance_map(np.array([[1, 1, 2, 2, 2, 0]])).tolist() == [[1, 0.5, 0.5, 1, 0.5, 0]]

    def test_the_edge_of_the_image_is_not(self):
        assert_allclose(distance_map(np.array([[5, 5, 5, 0]])), [[1, 2 / 3, 1 / 3, 0]], rtol=1e-6)


@pytest.mark.parametrize("make", [border_weight_map, border_classes, distance_map])
class TestLabelMaps:
    """What all three take, give and refuse."""

    @pytest.mark.parametrize("labels", EMPTY, ids=["none", "full", "pixel", "row", "column", "no pixels"])
    def test_the_result_has_the_size_of_the_labels_and_one_type(self, make, labels):
        expected = np.uint8 if make is border_classes else np.float32
        assert (make(labels).shape, make(labels).dtype) == (labels.shape, expected)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
    def test_numbers_of_objects_do_not_matter(self, make, dtype):
        labels = random_labels(7)
        consecutive = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        assert_array_equal(make(labels.astype(dtype)), make(consecutive))

    def test_numbers_beyond_any_count_of_pixels_are_fine(self, make):
        labels = random_labels(7)
        assert_array_equal(make(labels * 10**12), make(labels))

    @pytest.mark.parametrize("labels", [np.ones((2, 2)), np.ones(3, int), -np.ones((2, 2), int)], ids=str)
    def test_what_is_no_label_map_is_refused(self, make, labels):
        with pytest.raises(ShapeError, match="number the objects of a mask"):
            make(labels)
