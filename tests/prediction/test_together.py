"""Several networks over one large image."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uvala.arrays import Box
from uvala.prediction.ensemble import mean_outputs
from uvala.prediction.together import mean_blocks
from uvala.runs.inference import Outputs
from uvala.tiling.shelf import Scratch

GRID, SIZE = 8, (20, 27)
RNG = np.random.default_rng(0)


def outputs() -> Outputs:
    share = RNG.random(SIZE, np.float32)
    return Outputs(np.stack([share, 1 - share]), borders=RNG.random(SIZE, np.float32))


def stream(whole: Outputs, rows, columns, skip=()):
    """The outputs in boxes that end at these rows and columns."""
    for top, bottom in zip((0, *rows), (*rows, SIZE[0]), strict=True):
        for left, right in zip((0, *columns), (*columns, SIZE[1]), strict=True):
            box = Box(top, left, bottom, right)
            if box not in skip:
                yield box, Outputs(whole.probabilities[:, *box.slices], borders=whole.borders[box.slices])


def put_together(blocks) -> tuple[np.ndarray, np.ndarray]:
    probabilities, times = np.zeros((2, *SIZE), np.float32), np.zeros(SIZE, int)
    for box, part in blocks:
        probabilities[:, *box.slices] = part.probabilities
        times[box.slices] += 1
    return probabilities, times


@pytest.mark.parametrize("cuts", [((8, 16), (8, 16, 24)), ((), ()), ((16,), ()), ((8,), (16,))], ids=str)
def test_differently_cut_streams_are_averaged_pixel_by_pixel(cuts):
    one, two, three = outputs(), outputs(), outputs()
    streams = [stream(one, (8, 16), (8, 16, 24)), stream(two, *cuts), stream(three, (16,), (8,))]
    found, times = put_together(mean_blocks(streams, GRID))
    assert_allclose(found, mean_outputs([one, two, three]).probabilities, atol=1e-7)
    assert (times == 1).all()


def test_what_is_finished_is_not_waited_for():
    one, two = outputs(), outputs()
    done = Box(0, 0, 8, 8)
    streams = [stream(one, (8,), (8,), skip=[done]), stream(two, (8,), (8,), skip=[done])]
    _, times = put_together(mean_blocks(streams, GRID, finished=[done]))
    assert (times == 0).sum() == 64


def test_a_box_that_comes_twice_is_given_once():
    one, two = outputs(), outputs()
    again = (each for each in (*stream(two, (8,), ()), *stream(two, (8, 16), (8,))))
    _, times = put_together(mean_blocks([stream(one, (8, 16), (8,)), again], GRID))
    assert (times == 1).all()


def test_what_comes_too_early_may_wait_in_a_file(tmp_path):
    one, two = outputs(), outputs()

    def streams():
        return [stream(one, (8, 16), (8, 16, 24)), stream(two, (), ())]

    found = dict(mean_blocks(streams(), GRID, scratch=Scratch(tmp_path, 0)))
    for box, expected in mean_blocks(streams(), GRID):
        assert_array_equal(found[box].probabilities, expected.probabilities)
        assert_array_equal(found[box].borders, expected.borders)


def test_all_streams_are_closed_where_it_is_left():
    streams = [stream(outputs(), (8,), (8,)) for _ in range(3)]
    blocks = mean_blocks(streams, GRID)
    next(blocks)
    blocks.close()
    assert all(each.gi_frame is None for each in streams)
