"""What was decoded is kept for the boxes beside it, within bounds."""

from collections import Counter

import numpy as np
import pytest

from uvala.arrays import Box, Size
from uvala.images.chunks import Chunks, Grid, in_chunks

SIDE = 16
GB = 10**9


@pytest.fixture
def whole(rng) -> np.ndarray:
    """uint8 [3, 60, 70]."""
    return rng.integers(0, 256, (3, 60, 70), dtype=np.uint8)


def grid_of(whole, depth=3, chunk=(SIDE, SIDE)):
    return Grid(len(whole), Size(*whole.shape[1:]), whole.dtype, Size(*chunk), depth)


def chunks_of(whole, most=2**20, depth=3):
    """Chunks of an array that keep so many bytes, and how often each was decoded."""
    decoded = Counter()

    def load(piece):
        decoded[piece] += 1
        return whole[piece.first : piece.last, *piece.box.slices].copy()

    chunks = Chunks(grid_of(whole, depth), load)
    chunks._shares = chunks._shares._replace(strips=most)
    return chunks, decoded


def wide(chunk, size, channels=1, memory=2 * GB):
    grid = Grid(channels, size, np.dtype(np.uint8), chunk, depth=1)
    return Chunks(grid, lambda piece: None, memory)


def boxes_of(size, side):
    for top in range(0, size[0], side):
        for left in range(0, size[1], side):
            yield Box(top, left, min(top + side, size[0]), min(left + side, size[1]))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 7, 16, 33, 100])
def test_boxes_are_parts_of_the_whole(whole, side, depth):
    chunks, _ = chunks_of(whole, depth=depth)
    for box in boxes_of(whole.shape[1:], side):
        np.testing.assert_array_equal(chunks.read(box), whole[:, *box.slices])


@pytest.mark.parametrize(("depth", "layers"), [(1, 3), (2, 2), (3, 1)])
def test_a_chunk_that_is_kept_is_not_decoded_again(whole, depth, layers):
    chunks, decoded = chunks_of(whole, depth=depth)
    for box in boxes_of(whole.shape[1:], 7):
        chunks.read(box)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 4 * 5 * layers


def test_no_more_bytes_are_kept_than_allowed(whole):
    chunks, decoded = chunks_of(whole, most=3 * 3 * SIDE**2)
    for box in boxes_of(whole.shape[1:], 7):
        np.testing.assert_array_equal(chunks.read(box), whole[:, *box.slices])
        assert sum(chunk.nbytes for chunk in chunks._kept.values()) <= 3 * 3 * SIDE**2
    assert max(decoded.values()) > 1


def test_a_chunk_beyond_all_bounds_is_kept_until_the_next(whole):
    chunks, decoded = chunks_of(whole, most=1)
    for _ in range(5):
        chunks.read(Box(0, 0, 5, 5))
    assert list(decoded.values()) == [1]


def test_the_chunk_that_was_used_last_is_kept(whole):
    chunks, decoded = chunks_of(whole, most=2 * 3 * SIDE**2)
    for left in (0, SIDE, 0, 2 * SIDE, 0):
        chunks.read(Box(0, left, 1, left + 1))
    assert [times for piece, times in decoded.items() if piece.box.left == 0] == [1]


def test_of_channels_that_do_not_fit_together_those_that_are_kept_are_used(whole):
    chunks, decoded = chunks_of(whole, most=2 * SIDE**2, depth=1)
    for _ in range(10):
        chunks.read(Box(0, 0, 5, 5))
    assert sum(decoded.values()) == 3 + 9  # the last two of three are there each time


def test_a_chunk_of_another_shape_is_an_error(whole):
    chunks = Chunks(grid_of(whole), lambda piece: whole)
    with pytest.raises(ValueError, match="a chunk of"):
        chunks.read(Box(0, 0, 1, 1))


@pytest.mark.parametrize(
    ("chunk", "size", "expected"),
    [
        ((64, 100), (10_000, 10_000), (512, 600)),
        ((64, 100), (100, 100), (128, 100)),
        ((2000, 4), (10_000, 10_000), (2000, 512)),
    ],
)
def test_small_ones_are_read_together(chunk, size, expected):
    grid = Grid(1, Size(*size), np.dtype(np.uint8), Size(*chunk), depth=1)
    assert grid.grouped().chunk == expected


@pytest.mark.parametrize("width", [4000, 5000])
def test_lines_of_many_channels_are_read_together_while_they_are_small(width):
    grid = Grid(224, Size(20_000, width), np.dtype(np.uint16), Size(1, width), depth=224).grouped()
    assert 1 < grid.chunk.height < 10
    assert grid.piece_bytes <= 2**24
    assert in_chunks(grid, lambda piece: None, None).read is not None


def test_channels_are_read_together_while_they_are_small():
    size = Size(50_000, 50_000)
    of_chunk = {side: Grid(40, size, np.dtype(np.uint16), Size(side, side), depth=1) for side in (512, 4096)}
    assert [grid.grouped().depth for grid in of_chunk.values()] == [32, 1]


class TestMemory:
    """What is kept is a share of what predicting the image may take."""

    @pytest.mark.parametrize("rows", [1024, 2050])
    def test_strips_as_wide_as_the_image_are_kept_for_a_row_of_boxes_however_high(self, rows):
        size, decoded = Size(3000, 5000), Counter()

        def load(piece):
            decoded[piece] += 1
            return np.zeros((1, piece.box.height, piece.box.width), np.uint8)

        chunks = Chunks(Grid(1, size, np.dtype(np.uint8), Size(16, 5000), depth=1), load, 32 * 10**6)
        for left in range(0, 5000, 500):
            chunks.read(Box(100, left, 100 + rows, left + 500))
        assert set(decoded.values()) == {1}

    def test_less_memory_keeps_less(self):
        kept = [wide(Size(512, 512), Size(10_000, 200_000), memory=gb * GB)._most for gb in (1, 2, 4)]
        assert kept == [3 * GB // 32, 3 * GB // 16, 3 * GB // 8]

    def test_what_is_let_go_is_decoded_again_and_less_of_it_is_kept(self, whole):
        chunks, decoded = chunks_of(whole)
        before = chunks._least
        for _ in range(2):
            np.testing.assert_array_equal(chunks.read(Box(0, 0, 5, 5)), whole[:, :5, :5])
            chunks.let_go()
        assert not chunks._kept
        assert chunks._least < before
        assert list(decoded.values()) == [2]

    def test_wide_strips_are_noted_where_they_take_more_than_counted(self):
        strips = {width: wide(Size(1, width), Size(9000, width)).notes for width in (100_000, 200_000)}
        assert strips[100_000] == ()
        assert "take about 120 MB beyond --memory" in strips[200_000][0]

    def test_wider_strips_than_can_be_kept_are_noted(self):
        (note,) = wide(Size(1, 10_000_000), Size(9000, 10_000_000)).notes
        assert "which are decoded again and again and take about 562 MB beyond --memory: tiles" in note

    def test_so_are_more_channels_of_large_chunks(self):
        chunk, size = Size(4096, 4096), Size(40_000, 40_000)
        assert "chunks of 4096x4096 pixels" in wide(chunk, size, channels=60).notes[0]
        assert wide(chunk, size, channels=60, memory=16 * GB).notes == ()

    def test_an_image_in_one_huge_piece_is_better_decoded_at_once(self):
        huge, large = (
            Grid(2, Size(80_000, 80_000), np.dtype(np.uint8), Size(side, side), depth=1)
            for side in (40_000, 30_000)
        )
        assert in_chunks(huge, lambda piece: None, None).read is None
        assert in_chunks(large, lambda piece: None, None).read is not None
