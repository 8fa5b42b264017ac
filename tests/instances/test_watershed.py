"""Growing seeds, against scikit-image and the definition; necks, against h-maxima by reconstruction."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from uvala.instances.components import connected_components
from uvala.instances.watershed import grow, split_at_necks


def blurred(rng, shape, sigma):
    return ndimage.gaussian_filter(rng.normal(size=shape), sigma)


def random_case(rng, connectivity, levels=None):
    """Heights, clumps and seeds inside the clumps; all different heights unless `levels` are given."""
    shape = rng.integers(1, 25, 2)
    mask = blurred(rng, shape, 1.5) > rng.choice([-9, -0.1, 0, 0.1])
    heights = blurred(rng, shape, rng.choice([0.1, 1, 2]))
    if levels:
        heights = np.round(levels * heights / np.abs(heights).max())
    clumps = connected_components(mask, connectivity)
    high = heights >= np.quantile(heights, rng.choice([0.5, 0.8, 0.95]))
    return heights, clumps, connected_components(high & mask, connectivity)


def cut_out(clump, *arrays):
    """The bounding box of a clump with a frame of one pixel, but not beyond the image, from each array."""
    rows, columns = np.nonzero(clump)
    box = np.s_[max(rows.min() - 1, 0) : rows.max() + 2, max(columns.min() - 1, 0) : columns.max() + 2]
    return [np.where(clump, array, 0)[box] for array in arrays], box


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def reachable_height(heights, mask, seeds, structure):
    """The definition: for each seed and pixel, how low the best way between them goes at its lowest."""
    best = np.where(seeds, heights, -np.inf)
    while True:
        near = ndimage.grey_dilation(best, footprint=structure, mode="constant", cval=-np.inf)
        further = np.where(mask, np.maximum(best, np.minimum(near, heights)), -np.inf)
        if np.array_equal(further, best):
            return best
        best = further


def row(*numbers):
    return np.array([numbers], np.int32)


class TestGrow:
    def test_two_seeds_meet_in_the_valley_between_them(self):
        heights = np.array([[9.0, 5, 4, 1, 6, 7, 9]])
        assert grow(row(1, 0, 0, 0, 0, 0, 2), heights, row(*[1] * 7), 1).tolist() == [[1, 1, 1, 2, 2, 2, 2]]

    def test_two_seeds_meet_in_the_middle_of_a_plain(self):
        found = grow(row(1, 0, 0, 0, 0, 0, 0, 2), np.ones((1, 8)), row(*[1] * 8), 1)
        assert found.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]

    def test_a_clump_without_a_seed_is_an_object_of_its_own(self):
        found = grow(row(0, 0, 0, 1, 0), np.ones((1, 5)), row(1, 1, 0, 2, 2), 1)
        assert found.tolist() == [[2, 2, 0, 1, 1]]

    def test_nothing_grows_across_a_corner_that_joins_nothing(self):
        clumps = connected_components(np.array([[1, 1, 0], [0, 0, 1]], bool))
        assert grow(row(1, 0, 0, 0, 0, 2).reshape(2, 3), np.ones((2, 3)), clumps, 1).tolist() == [
            [1, 1, 0],
            [0, 0, 2],
        ]

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_where_no_heights_are_equal_it_is_the_watershed_of_scikit_image(self, connectivity):
        rng = np.random.default_rng(connectivity)
        for _ in range(500):
            heights, clumps, seeds = random_case(rng, connectivity)
            expected = watershed(-heights, seeds, connectivity, mask=clumps > 0)
            alone = (expected == 0) & (clumps > 0)
            found = grow(seeds, heights, clumps, connectivity)
            assert_array_equal(np.where(alone, 0, found), expected)
            assert same_partition(np.where(alone, found, 0), np.where(alone, clumps, 0))

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_no_other_seed_has_a_better_way_and_each_object_hangs_together(self, connectivity):
        rng = np.random.default_rng(10 + connectivity)
        structure = ndimage.generate_binary_structure(2, connectivity)
        for _ in range(150):
            heights, clumps, seeds = random_case(rng, connectivity, levels=4)
            found = grow(seeds, heights, clumps, connectivity)
            numbers = range(1, seeds.max() + 1)
            ways = [reachable_height(heights, clumps > 0, seeds == number, structure) for number in numbers]
            for number, way in zip(numbers, ways, strict=True):
                mine = (found == number) & (seeds == 0)
                assert (way[mine] == np.max(ways, axis=0)[mine]).all()
                assert ndimage.label(found == number, structure)[1] == 1

    @pytest.mark.parametrize("levels", [None, 1, 3, 8])
    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_a_clump_that_is_cut_out_gives_the_same_objects(self, connectivity, levels):
        rng = np.random.default_rng(20 + connectivity)
        for _ in range(100):
            heights, clumps, seeds = random_case(rng, connectivity, levels)
            whole = grow(seeds, heights, clumps, connectivity)
            for number in range(1, clumps.max() + 1):
                (inner, height, seed), box = cut_out(clumps == number, clumps > 0, heights, seeds)
                alone = grow(seed, height, inner.astype(np.int32), connectivity)
                assert same_partition(alone, np.where(clumps == number, whole, 0)[box])


def two_discs(radius, distance):
    y, x = np.mgrid[: 2 * radius + 3, : 2 * radius + 3 + distance]
    middle = radius + 1
    return ((y - middle) ** 2 + (x - middle) ** 2 <= radius**2) | (
        (y - middle) ** 2 + (x - middle - distance) ** 2 <= radius**2
    )


class TestSplitAtNecks:
    def test_two_touching_discs_are_two(self):
        parts = split_at_necks(connected_components(two_discs(8, 12)), 1.0, 1)
        assert len(np.unique(parts[parts > 0])) == 2
        assert parts[9, 9] != parts[9, 21]

    def test_the_cut_is_the_middle_between_equal_discs(self):
        parts = split_at_necks(connected_components(two_discs(8, 13)), 1.0, 1)
        left = parts == parts[9, 9]
        assert_array_equal(left[:, :16], two_discs(8, 13)[:, :16])
        assert not left[:, 16:].any()

    @pytest.mark.parametrize(("depth", "count"), [(1.0, 2), (1.1, 1)])
    def test_a_neck_must_be_narrower_than_the_smaller_one_by_more_than_the_depth(self, depth, count):
        # radius 10, middles 12 apart: the nearest background is (1, 10) away from a middle, 9 from the neck
        clumps = connected_components(two_discs(10, 12))
        heights = ndimage.distance_transform_edt(clumps)
        assert (heights[11, 11], heights[11, 17]) == pytest.approx((101**0.5, 9))
        assert len(np.unique(split_at_necks(clumps, depth, 1))) == 1 + count

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_there_are_as_many_parts_as_h_maxima_of_the_distance(self, connectivity):
        rng = np.random.default_rng(connectivity)
        structure = ndimage.generate_binary_structure(2, connectivity)
        for _ in range(250):
            mask = blurred(rng, rng.integers(3, 25, 2), rng.choice([0.5, 1, 2])) > rng.choice([-0.2, 0, 0.1])
            depth = float(rng.choice([0.3, 0.75, 1, 1.3, 2]))
            clumps = connected_components(mask, connectivity)
            if mask.all():
                continue
            heights, expected = ndimage.distance_transform_edt(mask), 0
            for number in range(1, clumps.max() + 1):
                heights_here = np.where(clumps == number, heights, 0)
                domes = reconstruction(
                    np.maximum(heights_here - depth, -1), heights_here, footprint=structure
                )
                # rounded, since two peaks that end up on one level may differ in the last bit
                tops = local_maxima(np.round(domes, 9), connectivity=connectivity) & (clumps == number)
                # a clump lower than the depth has no top, and is an object all the same
                expected += max(ndimage.label(tops, structure)[1], 1)
            parts = split_at_necks(clumps, depth, connectivity)
            assert len(np.unique(parts[parts > 0])) == expected

    @pytest.mark.parametrize("connectivity", [1, 2])
    def test_a_clump_that_is_cut_out_gives_the_same_parts(self, connectivity):
        rng = np.random.default_rng(20 + connectivity)
        for _ in range(150):
            mask = blurred(rng, rng.integers(1, 30, 2), rng.choice([0.5, 1, 2])) > rng.choice([-0.2, 0])
            clumps = connected_components(mask, connectivity)
            whole = split_at_necks(clumps, 0.3, connectivity)
            assert_array_equal(whole > 0, mask)
            for number in range(1, clumps.max() + 1):
                (inner,), box = cut_out(clumps == number, clumps > 0)
                alone = split_at_necks(inner.astype(np.int32), 0.3, connectivity)
                assert same_partition(alone, np.where(clumps == number, whole, 0)[box])

    @pytest.mark.parametrize("shape", [(1, 1), (1, 9), (6, 7), (0, 3)])
    def test_an_image_that_is_all_object_is_one_and_an_empty_one_has_none(self, shape):
        full = np.ones(shape, np.int32)
        assert_array_equal(split_at_necks(full, 1.0, 1), full)
        assert not split_at_necks(0 * full, 1.0, 1).any()
