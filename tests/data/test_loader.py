import threading

import pytest

from uvala.data.loader import Prefetch


def test_items_come_in_order_from_the_start():
    with Prefetch(lambda number: number * 10, start=3) as items:
        assert [items.next() for _ in range(4)] == [30, 40, 50, 60]


def test_an_error_reaches_the_consumer_with_its_own_words():
    """P14: a worker never dies in silence."""

    def make(number: int) -> int:
        if number == 1:
            raise ValueError("image 7 cannot be read")
        return number

    with Prefetch(make, start=0) as items:
        items.next()
        with pytest.raises(ValueError, match="image 7 cannot be read"):
            items.next()


def test_the_thread_ends_with_the_block():
    with Prefetch(lambda number: number, start=0) as items:
        items.next()
    assert not any(thread.name == "patches" for thread in threading.enumerate())
