"""The next tile is read while the network is at work on this one."""

from threading import Event

import pytest
import torch

from uvala.arrays import Box
from uvala.tiling.ahead import read_ahead

BOXES = [Box(0, left, 4, left + 4) for left in range(0, 40, 4)]


def left_of(box: Box) -> torch.Tensor:
    return torch.tensor(box.left)


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_each_box_is_read_once_and_given_in_its_order(count):
    read: list[Box] = []
    found = list(read_ahead(lambda box: (read.append(box), left_of(box))[1], BOXES[:count]))
    assert [int(each) for each in found] == [box.left for box in BOXES[:count]]
    assert read == BOXES[:count]


def test_the_next_box_is_read_before_it_is_asked_for():
    begun = {box: Event() for box in BOXES}
    pixels = read_ahead(lambda box: (begun[box].set(), left_of(box))[1], BOXES)
    next(pixels)
    assert begun[BOXES[1]].wait(timeout=30)
    pixels.close()


def test_no_more_than_one_box_is_read_ahead():
    read: list[Box] = []
    pixels = read_ahead(lambda box: (read.append(box), left_of(box))[1], BOXES)
    for taken in range(1, 6):
        next(pixels)
        assert len(read) <= taken + 1
    pixels.close()


def test_an_error_is_raised_where_its_box_is_asked_for():
    def read(box: Box) -> torch.Tensor:
        if box == BOXES[2]:
            raise ValueError("damaged")
        return left_of(box)

    pixels = read_ahead(read, BOXES)
    assert [int(next(pixels)), int(next(pixels))] == [0, 4]
    with pytest.raises(ValueError, match="damaged"):
        next(pixels)


def test_nothing_is_read_any_more_once_it_is_closed():
    read: list[Box] = []
    pixels = read_ahead(lambda box: (read.append(box), left_of(box))[1], BOXES)
    next(pixels)
    pixels.close()
    assert len(read) <= 2
