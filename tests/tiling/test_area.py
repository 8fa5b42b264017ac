"""Which part of an image is predicted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uvala.arrays import Box, Size
from uvala.tiling.area import Area

SIZE = Size(50, 70)


@st.composite
def boxes(draw) -> Box:
    top, left = draw(st.integers(0, 49)), draw(st.integers(0, 69))
    return Box(top, left, draw(st.integers(top + 1, 50)), draw(st.integers(left + 1, 70)))


@st.composite
def boxes_between_squares(draw, cell: int = 16) -> Box:
    """Boxes that begin and end at multiples of `cell`, or with the image."""
    top, left = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    bottom, right = draw(st.integers(top + 1, 4)), draw(st.integers(left + 1, 5))
    return Box(top * cell, left * cell, min(bottom * cell, 50), min(right * cell, 70))


def painted(some: list[Box]) -> np.ndarray:
    picture = np.zeros(SIZE, int)
    for box in some:
        picture[box.slices] += 1
    return picture


@given(st.lists(boxes(), max_size=6), boxes_between_squares())
def test_what_is_missing_of_a_box_is_what_no_box_covers_square_by_square(some, box):
    area = Area(SIZE, 16)
    for each in some:
        area.add(each)
    expected = np.zeros(SIZE, int)
    for top in range(0, 50, 16):
        for left in range(0, 70, 16):
            square = Box(top, left, min(top + 16, 50), min(left + 16, 70))
            covered = any(painted([each])[square.slices].all() for each in some)
            expected[square.slices] = not covered
    outside = np.ones(SIZE, bool)
    outside[box.slices] = False
    expected[outside] = 0
    np.testing.assert_array_equal(painted(list(area.missing(box))), expected)


@given(st.lists(boxes_between_squares(), max_size=6), boxes())
def test_has_a_box_if_nothing_of_its_squares_is_missing(some, box):
    area = Area(SIZE, 16)
    for each in some:
        area.add(each)
    squares = [place // 16 * 16 for place in box[:2]] + [-(-place // 16) * 16 for place in box[2:]]
    around = Box(*squares)  # slices end with the picture
    assert area.has(box) == (painted(some)[around.slices] > 0).all()


def test_is_complete_with_the_whole_image():
    area = Area(SIZE, 16)
    assert not area.complete
    area.add(Box(0, 0, *SIZE))
    assert area.complete


def test_nothing_is_missing_of_what_it_has():
    area = Area(SIZE, 16)
    area.add(Box(0, 0, *SIZE))
    assert not list(area.missing(Box(16, 16, 50, 70)))


def test_a_hole_is_given_in_as_few_boxes_as_rows_differ():
    area = Area(Size(64, 64), 16)
    area.add(Box(16, 16, 48, 32))
    assert list(area.missing(Box(0, 0, 64, 64))) == [
        Box(0, 0, 16, 64), Box(16, 0, 48, 16), Box(16, 32, 48, 64), Box(48, 0, 64, 64),
    ]  # fmt: skip
