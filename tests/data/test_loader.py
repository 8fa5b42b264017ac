import threading

import pytest

from uvala.data.loader import Prefetch, loader_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_items_come_in_order_from_the_start(threads):
    with Prefetch(lambda number: number * 10, start=3, threads=threads) as items:
        assert [items.next() for _ in range(40)] == list(range(30, 430, 10))


def test_items_come_in_order_however_long_each_takes():
    """The second one is done before the first."""
    second = threading.Event()

    def make(number: int) -> int:
        if number == 0:
            assert second.wait(10)
        if number == 1:
            second.set()
        return number

    with Prefetch(make, start=0, threads=2) as items:
        assert [items.next(), items.next()] == [0, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_reaches_the_consumer_with_its_own_words(threads):
    """P14: a worker never dies in silence."""

    def make(number: int) -> int:
        if number == 2:
            raise ValueError("image 7 cannot be read")
        return number

    with Prefetch(make, start=0, threads=threads) as items:
        assert [items.next(), items.next()] == [0, 1]  # what was made before it is not lost
        for _ in range(2):  # nor does who asks again wait for ever
            with pytest.raises(ValueError, match="image 7 cannot be read"):
                items.next()


@pytest.mark.parametrize("threads", [1, 4])
def test_no_more_is_made_ahead_than_was_said(threads):
    made = []
    enough = threading.Event()

    def make(number: int) -> int:
        made.append(number)
        if len(made) == 6:
            enough.set()
        return number

    with Prefetch(make, start=0, depth=6, threads=threads):
        assert enough.wait(10)
    assert sorted(made) == list(range(6))


def test_the_threads_end_with_the_block():
    with Prefetch(lambda number: number, start=0, threads=3) as items:
        items.next()
    assert not any(thread.name == "patches" for thread in threading.enumerate())


def test_waiting_is_measured():
    with Prefetch(lambda number: number, start=0) as items:
        assert items.waited == 0
        items.next()
        assert items.waited > 0


def test_beside_a_network_on_the_cpu_one_thread_is_enough(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(16)), raising=False)
    assert loader_threads("cpu") == 1
    assert loader_threads("cuda") == 8


def test_two_cores_have_one_thread(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert loader_threads("cuda") == 1
