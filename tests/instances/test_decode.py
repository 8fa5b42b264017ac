"""From probabilities to objects: each method on drawn cases, and against the same steps with scikit-image."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from uvala.errors import ConfigError, ShapeError
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import find_objects

METHODS = ["components", "watershed", "probability", "borders", "distance"]


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def random_map(rng, shape, sigma):
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return ((noise - noise.min()) / max(np.ptp(noise), 1e-9)).astype(np.float32)


def row(*numbers):
    return np.array([numbers], np.float32)


def objects(foreground, borders=None, distance=None, **settings):
    return find_objects(foreground, ObjectConfig(**settings), borders=borders, distance=distance)


class TestComponents:
    def test_pixels_above_the_threshold_that_hang_together_are_an_object(self):
        assert objects(row(0.9, 0.6, 0.5, 0.8)).tolist() == [[1, 1, 0, 2]]

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_it_is_label_of_scikit_image(self, connectivity):
        rng = np.random.default_rng(connectivity)
        for _ in range(300):
            foreground = random_map(rng, rng.integers(1, 25, 2), 1)
            threshold = float(rng.random())
            found = objects(foreground, threshold=threshold, connectivity=connectivity)
            assert_array_equal(found, label(foreground > np.float32(threshold), connectivity=connectivity))


class TestWatershed:
    def test_touching_discs_are_told_apart_at_their_neck(self):
        y, x = np.mgrid[:20, :32]
        discs = np.minimum((y - 10) ** 2 + (x - 9) ** 2, (y - 10) ** 2 + (x - 22) ** 2) <= 64
        found = objects(discs.astype(np.float32), method="watershed")
        assert_array_equal(found, np.where(discs, np.where(x < 16, 1, 2), 0))

    def test_a_missing_pixel_tears_no_object_in_two_if_holes_are_filled(self):
        bar = np.pad(np.ones((9, 25), np.float32), 1)
        bar[5, 13] = 0
        assert objects(bar, method="watershed").max() == 2
        found = objects(bar, method="watershed", max_hole=1)
        assert (found.max(), found[5, 13]) == (1, 1)


class TestBorders:
    def test_two_interiors_share_the_outline_between_them(self):
        foreground = row(0, 1, 1, 1, 1, 1, 1, 0)
        borders = row(0, 0, 0, 0.9, 0.9, 0, 0, 0)
        found = objects(foreground, borders, method="borders")
        assert found.tolist() == [[0, 1, 1, 1, 2, 2, 2, 0]]

    def test_an_object_that_is_all_outline_is_not_lost(self):
        assert objects(row(1, 1, 0, 1), row(1, 1, 0, 0), method="borders").tolist() == [[1, 1, 0, 2]]

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_it_is_a_watershed_of_scikit_image_from_the_interiors(self, connectivity):
        rng = np.random.default_rng(connectivity)
        for _ in range(300):
            foreground = random_map(rng, rng.integers(1, 25, 2), 1.5)
            borders = foreground * random_map(rng, foreground.shape, 1)
            found = objects(
                foreground, borders, method="borders", seed_threshold=0.4, connectivity=connectivity
            )
            interior, mask = foreground - borders, foreground > 0.5
            seeds = label((interior > np.float32(0.4)) & mask, connectivity=connectivity)
            grown = watershed(-interior, seeds, connectivity, mask=mask)
            alone = (grown == 0) & mask
            assert same_partition(
                found, np.where(alone, seeds.max() + connected_components(mask, connectivity), grown)
            )


class TestProbability:
    def test_objects_begin_where_they_are_likeliest_and_meet_where_they_are_least(self):
        found = objects(row(0, 0.6, 0.95, 0.6, 0.55, 0.7, 0.9, 0.6), method="probability", seed_threshold=0.8)
        assert found.tolist() == [[0, 1, 1, 1, 2, 2, 2, 2]]

    def test_seeds_no_higher_than_the_mask_separate_nothing(self):
        foreground = random_map(np.random.default_rng(0), (20, 20), 1.5)
        found = objects(foreground, method="probability", threshold=0.5, seed_threshold=0.5)
        assert np.array_equal(found, objects(foreground, method="components"))

    def test_an_object_that_is_nowhere_likely_is_not_lost(self):
        found = objects(row(0.6, 0.6, 0, 0.9), method="probability", seed_threshold=0.8)
        assert found.tolist() == [[1, 1, 0, 2]]

    def test_it_is_a_watershed_of_scikit_image_along_the_probability(self):
        rng = np.random.default_rng(1)
        for _ in range(300):
            foreground = random_map(rng, rng.integers(1, 25, 2), 1)
            found = objects(foreground, method="probability", threshold=0.3, seed_threshold=0.6)
            mask = foreground > np.float32(0.3)
            seeds = label(foreground > np.float32(0.6), connectivity=1)
            grown = watershed(-foreground, seeds, mask=mask)
            alone = (grown == 0) & mask
            assert same_partition(found, np.where(alone, seeds.max() + connected_components(mask), grown))


class TestDistance:
    def test_objects_begin_where_the_distance_is_large_and_meet_where_it_is_least(self):
        distance = row(0, 0.6, 0.9, 0.6, 0.3, 0.1, 0.5, 0.7, 0.2)
        found = objects(row(0, *[1] * 8), distance=distance, method="distance")
        assert found.tolist() == [[0, 1, 1, 1, 1, 2, 2, 2, 2]]

    def test_smoothing_joins_seeds_that_noise_divides(self):
        distance = row(0.6, 0.7, 0.8, 0.4, 0.8, 0.7, 0.6)
        ones = np.ones_like(distance)
        assert objects(ones, distance=distance, method="distance").max() == 2
        assert objects(ones, distance=distance, method="distance", smoothing=1).max() == 1

    def test_it_is_a_watershed_of_scikit_image_along_the_smoothed_distance(self):
        rng = np.random.default_rng(0)
        for _ in range(300):
            foreground = random_map(rng, rng.integers(1, 25, 2), 1.5)
            distance = random_map(rng, foreground.shape, 0.5)
            found = objects(foreground, distance=distance, method="distance", smoothing=1)
            smooth, mask = ndimage.gaussian_filter(distance, 1, mode="nearest"), foreground > 0.5
            seeds = label((smooth > 0.5) & mask, connectivity=1)
            grown = watershed(-smooth, seeds, mask=mask)
            alone = (grown == 0) & mask
            assert same_partition(found, np.where(alone, seeds.max() + connected_components(mask), grown))


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def random(self, rng, method, **settings):
        shape = rng.integers(1, 30, 2)
        foreground, other, distance = (random_map(rng, shape, sigma) for sigma in (2, 1, 1))
        config = ObjectConfig(method=method, **settings)
        return foreground, find_objects(foreground, config, borders=foreground * other, distance=distance)

    def test_every_pixel_of_the_foreground_is_in_an_object_and_no_other(self, method):
        rng = np.random.default_rng(0)
        for _ in range(50):
            foreground, found = self.random(rng, method)
            assert_array_equal(found > 0, foreground > 0.5)

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_objects_hang_together_and_are_numbered_as_rows_meet_them(self, method, connectivity):
        rng = np.random.default_rng(1)
        structure = ndimage.generate_binary_structure(2, connectivity)
        for _ in range(50):
            found = self.random(rng, method, connectivity=connectivity, min_size=3, max_hole=9)[1]
            assert list(dict.fromkeys(found[found > 0].tolist())) == list(range(1, found.max() + 1))
            assert all(ndimage.label(found == n, structure)[1] == 1 for n in range(1, found.max() + 1))
            assert all((found == n).sum() >= 3 for n in range(1, found.max() + 1))

    def test_objects_at_the_border_are_kept_or_dropped(self, method):
        rng = np.random.default_rng(2)
        for _ in range(50):
            found = self.random(rng, method, border_objects="drop")[1]
            assert not found[[0, -1]].any()
            assert not found[:, [0, -1]].any()

    @pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 6)])
    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_an_image_of_one_value_has_no_object_or_one(self, method, shape, value):
        foreground = np.full(shape, value, np.float32)
        found = objects(foreground, 0 * foreground, foreground, method=method)
        assert (found.dtype, found.shape, found.max()) == (np.int32, shape, int(value))

    @pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
    def test_an_image_without_pixels_is_fine(self, method, shape):
        empty = np.zeros(shape, np.float32)
        found = objects(empty, empty, empty, method=method, smoothing=1, max_hole=2, border_objects="drop")
        assert found.shape == shape


@pytest.mark.parametrize("method", ["borders", "distance"])
def test_a_method_without_its_map_is_refused(method):
    with pytest.raises(
        ConfigError, match=f"predicts no {method}.*'components', 'watershed' or 'probability'"
    ):
        objects(np.ones((3, 3), np.float32), method=method)


ONES = np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    "foreground",
    [ONES > 0, ONES.astype(np.uint8), ONES[0], ONES[None], 255 * ONES, -ONES, np.nan * ONES],
    ids=["bool", "uint8", "1d", "3d", "grey", "logits", "nan"],
)
def test_what_is_not_a_probability_is_refused(foreground):
    with pytest.raises(ShapeError, match="map of foreground"):
        objects(foreground)


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ShapeError, match="like the foreground"):
        objects(ONES, borders=ONES[:2], method="borders")


@pytest.mark.parametrize(
    "settings",
    [{"method": "flows"}, {"threshold": 1.1}, {"min_size": -1}, {"connectivity": 4}, {"seeds": 1}],
    ids=lambda settings: next(iter(settings)),
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        ObjectConfig(**settings)


def test_settings_are_read_without_loading_anything_heavy():
    code = "import sys, uvala.instances.config; print({'scipy', 'skimage', 'torch'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
