"""What was decoded is kept for the boxes beside it, within bounds."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from uvala.arrays import Box, Size
from uvala.errors import ImageError
from uvala.images.chunks import Chunks, grouped

SIDE = 16


@pytest.fixture
def whole(rng) -> np.ndarray:
    """uint8 [1, 60, 70]."""
    return rng.integers(0, 256, (1, 60, 70), dtype=np.uint8)


def grid_of(whole, most=2**20):
    """Chunks of an array, and how often each was decoded."""
    decoded = Counter()

    def load(row, column):
        decoded[row, column] += 1
        return whole[:, row * SIDE :, column * SIDE :][:, :SIDE, :SIDE].copy()

    chunks = Chunks(Path("a"), len(whole), Size(*whole.shape[1:]), whole.dtype, Size(SIDE, SIDE), load)
    chunks._most = most
    return chunks, decoded


def empty_grid(chunk, size):
    return Chunks(Path("a.zarr"), 1, size, np.dtype(np.uint8), chunk, lambda row, column: None)


def boxes_of(size, side):
    for top in range(0, size[0], side):
        for left in range(0, size[1], side):
            yield Box(top, left, min(top + side, size[0]), min(left + side, size[1]))


@pytest.mark.parametrize("side", [1, 7, 16, 33, 100])
def test_boxes_are_parts_of_the_whole(whole, side):
    chunks, _ = grid_of(whole)
    for box in boxes_of(whole.shape[1:], side):
        np.testing.assert_array_equal(chunks.read(box), whole[:, *box.slices])


def test_a_chunk_that_is_kept_is_not_decoded_again(whole):
    chunks, decoded = grid_of(whole)
    for box in boxes_of(whole.shape[1:], 7):
        chunks.read(box)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 4 * 5


def test_no_more_bytes_are_kept_than_allowed(whole):
    chunks, decoded = grid_of(whole, most=3 * SIDE**2)
    for box in boxes_of(whole.shape[1:], 7):
        np.testing.assert_array_equal(chunks.read(box), whole[:, *box.slices])
        assert sum(chunk.nbytes for chunk in chunks._kept.values()) <= 3 * SIDE**2
    assert max(decoded.values()) > 1


def test_a_chunk_beyond_all_bounds_is_kept_until_the_next(whole):
    chunks, decoded = grid_of(whole, most=1)
    for _ in range(5):
        chunks.read(Box(0, 0, 5, 5))
    assert decoded == {(0, 0): 1}


def test_the_chunk_that_was_used_last_is_kept(whole):
    chunks, decoded = grid_of(whole, most=2 * SIDE**2)
    for left in (0, SIDE, 0, 2 * SIDE, 0):
        chunks.read(Box(0, left, 1, left + 1))
    assert decoded[0, 0] == 1


def test_a_chunk_of_another_shape_is_an_error(whole):
    chunks = Chunks(Path("a"), 1, Size(60, 70), whole.dtype, Size(16, 16), lambda row, column: whole)
    with pytest.raises(ValueError, match="a chunk of"):
        chunks.read(Box(0, 0, 1, 1))


def test_small_ones_are_read_together():
    assert grouped(Size(64, 100), Size(10_000, 10_000)) == Size(512, 600)
    assert grouped(Size(64, 100), Size(100, 100)) == Size(128, 100)
    assert grouped(Size(2000, 4), Size(10_000, 10_000)) == Size(2000, 512)


def test_strips_as_wide_as_the_image_are_kept_for_a_row_of_boxes():
    assert empty_grid(Size(1, 200_000), Size(10_000, 200_000))._most == 1536 * 200_000
    assert empty_grid(Size(512, 512), Size(10_000, 200_000))._most == 2**28


def test_wider_strips_than_can_be_kept_are_noted():
    assert "tiles are faster" in empty_grid(Size(1, 10_000_000), Size(10, 10_000_000)).notes[0]
    assert empty_grid(Size(1, 100_000), Size(10, 100_000)).notes == ()


def test_what_can_only_be_decoded_in_one_huge_piece_is_refused():
    with pytest.raises(ImageError, match=r"a\.zarr, stored in pieces of 1\.6 GB"):
        empty_grid(Size(40_000, 40_000), Size(80_000, 80_000))
