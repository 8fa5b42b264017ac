"""Sizes, thickness, neighbours and noise as anybody would measure them in a drawing."""

import numpy as np
import pytest

from uvala.arrays import IGNORE
from uvala.data.class_centroids import class_centroids
from uvala.data.object_looks import gather_objects, look_at_pair, noise_of


def blank(height: int = 64, width: int = 64) -> np.ndarray:
    return np.zeros((height, width), np.uint8)


def look(classes: np.ndarray, labels: np.ndarray | None = None, num_classes: int = 2):
    image = np.zeros((1, *classes.shape), np.float32)
    return look_at_pair(image, classes, labels, num_classes, np.random.default_rng(0))


def facts(classes: np.ndarray, labels: np.ndarray | None = None, num_classes: int = 2):
    return gather_objects([look(classes, labels, num_classes)])


def squares(places: list[tuple[int, int]], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes and object numbers of squares with these upper left corners."""
    labels = np.zeros((64, 64), np.int32)
    for number, (row, column) in enumerate(places, start=1):
        labels[row : row + side, column : column + side] = number
    return (labels > 0).astype(np.uint8), labels


class TestSizes:
    def test_objects_are_counted_and_their_pixels(self):
        classes, labels = squares([(4, 4), (30, 30), (40, 10)], side=8)
        found = facts(classes, labels)
        assert (found.objects, found.area) == (3, (64, 64, 64))

    def test_without_numbers_connected_pieces_are_objects(self):
        classes, labels = squares([(4, 4), (30, 30), (40, 10)], side=8)
        assert facts(classes).area == facts(classes, labels).area

    @pytest.mark.parametrize("side", [5, 8, 13])
    def test_a_squares_width_is_its_side(self, side):
        classes, labels = squares([(10, 10)], side)
        assert facts(classes, labels).width[1] == pytest.approx(side, abs=0.5)

    def test_objects_cut_by_the_border_do_not_count_where_there_are_others(self):
        classes, labels = squares([(0, 0), (30, 30)], side=8)
        classes[:8, :20], labels[:8, :20] = 1, 1  # cut by the upper border, and larger
        assert facts(classes, labels).area == (64, 64, 64)

    def test_specks_are_no_objects(self):
        classes, _ = squares([(10, 10)], 8)
        classes[40, 40] = 1
        assert facts(classes).objects == 1

    def test_an_image_without_objects_has_facts_too(self):
        found = facts(blank())
        assert (found.objects, found.area, found.spacing, found.thickness) == (0, (0, 0, 0), None, (0, 0))

    def test_object_numbers_may_be_large(self):
        classes, labels = squares([(4, 4), (30, 30)], 8)
        assert facts(classes, labels * 1_000_003) == facts(classes, labels)


class TestThickness:
    @pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
    def test_of_a_stripe_is_its_width(self, width):
        classes = blank()
        classes[20 : 20 + width] = 1
        assert facts(classes).thickness[1] == pytest.approx(width, abs=0.5)

    def test_of_a_grid_of_walls_is_that_of_a_wall(self):
        classes = np.ones((64, 64), np.uint8)
        classes[8::16], classes[9::16], classes[10::16] = 0, 0, 0
        classes[:, 8::16] = classes[:, 9::16] = classes[:, 10::16] = 0
        found = facts(classes)
        assert found.thickness[0] == pytest.approx(3, abs=0.6)
        assert found.pieces == (1, 25)

    def test_is_told_of_each_class(self):
        classes = blank()
        classes[10:12], classes[30:42] = 1, 2
        thin, thick = facts(classes, num_classes=4).thickness[1:3]
        assert (thin, thick) == (pytest.approx(2, abs=0.5), pytest.approx(12, abs=0.5))
        assert facts(classes, num_classes=4).thickness[3] == 0

    def test_ignored_pixels_are_no_class(self):
        classes = blank()
        classes[10:20] = IGNORE
        assert facts(classes).objects == 0


class TestNeighbours:
    def test_spacing_is_from_centre_to_centre(self):
        classes, labels = squares([(4, 4), (4, 24), (40, 40)], side=8)
        assert facts(classes, labels).spacing == pytest.approx(20)

    @pytest.mark.parametrize(("gap", "share"), [(0, 2 / 3), (1, 2 / 3), (2, 0.0)])
    def test_objects_touch_up_to_one_pixel_between_them(self, gap, share):
        classes, labels = squares([(10, 10), (10, 18 + gap), (40, 40)], side=8)
        assert facts(classes, labels).touching == pytest.approx(share)

    @pytest.mark.parametrize(("gap", "share"), [(0, 2 / 3), (1, 0.0)])
    def test_adjoining_ones_have_no_pixel_between_them(self, gap, share):
        classes, labels = squares([(10, 10), (10, 18 + gap), (40, 40)], side=8)
        assert facts(classes, labels).adjoining == pytest.approx(share)

    def test_corners_touch_too_and_share_no_edge(self):
        classes, labels = squares([(10, 10), (18, 18)], side=8)
        found = facts(classes, labels)
        assert (found.touching, found.adjoining) == (1, 0)

    def test_no_more_than_all_of_them_touch(self):
        """Two of four are cut by the border: they are neighbours, and not counted."""
        classes, labels = squares([(0, 10), (8, 10), (56, 30), (48, 30)], side=8)
        assert facts(classes, labels).touching == 1

    def test_pieces_of_a_class_cannot_touch(self):
        found = facts(squares([(10, 10)], 8)[0])
        assert (found.touching, found.adjoining) == (None, None)


class TestNoise:
    @pytest.mark.parametrize("deviation", [2.0, 8.0])
    def test_is_that_of_the_generator_over_the_range(self, deviation):
        ramp = np.linspace(0, 200, 256)[None, None] * np.ones((1, 256, 1))
        noisy = ramp + np.random.default_rng(0).normal(0, deviation, ramp.shape)
        low, high = np.percentile(noisy, (0.5, 99.5))
        assert noise_of(noisy) == pytest.approx(deviation / (high - low), rel=0.05)

    def test_edges_are_no_noise(self):
        image = np.zeros((1, 64, 64))
        image[:, :, 20:40] = 100
        assert noise_of(image) == 0

    @pytest.mark.parametrize("shape", [(1, 1, 9), (3, 8, 8)], ids=str)
    def test_of_a_constant_or_tiny_image_is_none(self, shape):
        assert noise_of(np.full(shape, 7.0)) == 0


def test_of_a_large_mask_a_part_is_looked_at():
    classes = blank(3000, 1500)
    classes[2990:2996, 700:706] = 1
    found = look(classes)
    assert found.areas.tolist() == [36]  # around a pixel of a class that is present
    assert found.centroids[1, 0] == pytest.approx(2993 / 3000 - 0.5, abs=1 / 3000)


def test_a_centroid_is_where_the_class_is_whatever_the_size_of_the_mask():
    small = blank(60, 90)
    small[10:20, 30:33] = 1
    large = small.repeat(50, axis=0).repeat(50, axis=1)
    assert class_centroids(large, 2) == pytest.approx(class_centroids(small, 2), abs=1e-3)


def test_facts_of_several_images_are_medians_and_percentiles_over_all_objects():
    one, two = squares([(4, 4)], 8), squares([(4, 4), (30, 30), (40, 10)], 4)
    found = gather_objects([look(*one), look(*two)])
    assert (found.images, found.objects, found.area[1]) == (2, 2, 16)
