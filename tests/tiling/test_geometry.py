"""Where tiles lie: properties of all plans, and plans small enough to draw."""

import math
from itertools import groupby

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from uvala.arrays import Box, Size
from uvala.tiling.geometry import Tile, plan_tiles

sizes = st.builds(Size, st.integers(1, 400), st.integers(1, 400))
plans = st.tuples(
    sizes,
    st.integers(8, 150),
    st.integers(0, 60),
    st.sampled_from([1, 2, 4, 16, 32]),
    st.sampled_from([1, 1, 8, 24, 64]),
)
# no deadline: how long an example takes says how busy the machine is
any_plan = settings(deadline=None)


def up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def along_axes(box: Box, size: Size) -> list[tuple[int, int, int]]:
    """Where a box begins and ends along each axis, and where the image does."""
    return [(box.top, box.bottom, size.height), (box.left, box.right, size.width)]


class TestEveryPlan:
    """Whatever the image, the tile, the context and the multiple."""

    @any_plan
    @given(plans)
    def test_each_pixel_is_written_once(self, plan):
        written = np.zeros(plan[0], int)
        for tile in plan_tiles(*plan):
            written[tile.write.slices] += 1
        assert (written == 1).all()

    @any_plan
    @given(plans)
    def test_tiles_begin_at_multiples_and_lie_in_the_image(self, plan):
        size, multiple = plan[0], plan[3]
        for tile in plan_tiles(*plan):
            assert tile.read.top % multiple == tile.read.left % multiple == 0
            assert tile.write.top % multiple == tile.write.left % multiple == 0
            assert 0 <= tile.read.top < tile.read.bottom <= size.height
            assert 0 <= tile.read.left < tile.read.right <= size.width

    @any_plan
    @given(plans)
    def test_what_is_written_has_its_context_or_the_border_of_the_image(self, plan):
        size, _, halo, *_ = plan
        for tile in plan_tiles(*plan):
            read, write = tile.read, tile.write
            assert read.top == 0 or write.top - read.top >= halo
            assert read.left == 0 or write.left - read.left >= halo
            assert read.bottom == size.height or read.bottom - write.bottom >= halo
            assert read.right == size.width or read.right - write.right >= halo

    @any_plan
    @given(plans)
    def test_tiles_are_equally_large_once_padded_to_the_multiple(self, plan):
        multiple = plan[3]
        assert (
            len({(up(t.read.height, multiple), up(t.read.width, multiple)) for t in plan_tiles(*plan)}) == 1
        )

    @any_plan
    @given(plans)
    def test_no_tile_reads_more_than_its_side_and_context_squared(self, plan):
        _, tile, halo, multiple, _ = plan
        side = up(tile, multiple) + 2 * up(halo, multiple)
        read = plan_tiles(*plan)[0].read
        assert up(read.height, multiple) * up(read.width, multiple) <= side**2

    @any_plan
    @given(plans)
    def test_a_tile_writes_whole_blocks_of_the_grid_or_a_part_of_one(self, plan):
        size, _, _, multiple, grid = plan
        block = math.lcm(multiple, grid)
        for tile in plan_tiles(*plan):
            for first, after, end in along_axes(tile.write, size):
                whole = first % block == 0 and (after == end or after % block == 0)
                assert whole or first // block == (after - 1) // block

    @any_plan
    @given(plans)
    def test_parts_of_a_block_follow_one_another(self, plan):
        block = math.lcm(plan[3], plan[4])
        blocks = [(tile.write.top // block, tile.write.left // block) for tile in plan_tiles(*plan)]
        assert len([each for each, _ in groupby(blocks)]) == len(set(blocks))

    @any_plan
    @given(plans)
    def test_kept_is_what_is_written_in_pixels_of_the_tile(self, plan):
        for tile in plan_tiles(*plan):
            assert (tile.kept.height, tile.kept.width) == (tile.write.height, tile.write.width)
            assert tile.read.top + tile.kept.top == tile.write.top
            assert tile.read.left + tile.kept.left == tile.write.left


def test_an_image_no_larger_than_a_tile_with_its_context_is_one_tile():
    whole = Box(0, 0, 90, 97)
    assert plan_tiles(Size(90, 97), tile=64, halo=22, multiple=4) == [Tile(read=whole, write=whole)]


def test_tiles_of_a_row_share_its_length():
    # 40 pixels, 16 of them context at the two ends: 24 in the middle make 3 cores of 8
    rows = [
        (t.read.top, t.read.bottom, t.write.top, t.write.bottom) for t in plan_tiles(Size(40, 40), 8, 8, 8)
    ]
    assert sorted(set(rows)) == [(0, 24, 0, 16), (8, 32, 16, 24), (16, 40, 24, 40)]


def test_tiles_of_1024_read_less_than_a_third_more_than_the_image():
    tiles = plan_tiles(Size(4096, 4096), tile=1024, halo=94, multiple=16)
    # four tiles an axis: 4096 + 3 cuts with 96 pixels on either side, and the rest of rounding to 16
    assert sum(t.read.height * t.read.width for t in tiles) == (4096 + 3 * 2 * 96) ** 2


def test_a_thin_image_is_cut_into_long_tiles():
    # a square tile of 512 + 2 * 96 would need 176 of them
    assert len(plan_tiles(Size(4, 90_000), tile=512, halo=94, multiple=16)) == 3


def test_wide_context_makes_long_tiles_where_these_read_less():
    # of 2592 + 2 * 544: four squares would read (2 * 2592)^2 pixels, two halves 4096 x (2 * 2592)
    tiles = plan_tiles(Size(4096, 4096), tile=2168, halo=540, multiple=32)
    assert [tile.write for tile in tiles] == [Box(0, 0, 2048, 4096), Box(2048, 0, 4096, 4096)]


def test_a_tile_smaller_than_a_block_is_a_part_of_it():
    tiles = plan_tiles(Size(100, 48), tile=20, halo=4, multiple=4, grid=48)
    assert [(t.write.top, t.write.bottom) for t in tiles if t.write.left == 0] == [
        (0, 20), (20, 40), (40, 48), (48, 68), (68, 88), (88, 96), (96, 100),
    ]  # fmt: skip
