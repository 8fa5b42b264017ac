"""Arrays that wait: in memory while there is room, and then in a file."""

import numpy as np
import pytest

from uvala.tiling.shelf import Scratch, Shelf


def array(number: int, size: int = 1000) -> np.ndarray:
    return np.full((2, size), number, np.float32)


@pytest.fixture(params=[None, 0, 20_000, 10**9], ids=["memory", "a file", "some of both", "much room"])
def shelf(request, tmp_path):
    shelf = Shelf(None if request.param is None else Scratch(tmp_path, request.param))
    yield shelf
    shelf.close()


def test_what_was_put_there_is_taken_away_once(shelf):
    for number in range(9):
        shelf.put(number, array(number))
    for number in (4, 0, 8, 1, 7, 2, 6, 3, 5):
        assert number in shelf
        np.testing.assert_array_equal(shelf.take(number), array(number))
        assert number not in shelf
        assert shelf.take(number) is None


def test_arrays_of_several_shapes_and_times_do_not_mix(shelf):
    expected: dict[int, np.ndarray] = {}
    for number in range(60):
        expected[number] = array(number, size=1 + number % 3)
        shelf.put(number, expected[number].copy())
        if number % 2:
            gone = number // 2
            np.testing.assert_array_equal(shelf.take(gone), expected.pop(gone))
    for number, values in expected.items():
        np.testing.assert_array_equal(shelf.take(number), values)


def test_what_comes_back_may_be_changed_and_put_there_again(shelf):
    for _ in range(3):
        for number in range(5):
            known = shelf.take(number)
            shelf.put(number, array(0) if known is None else known + number)
    for number in range(5):
        np.testing.assert_array_equal(shelf.take(number), array(2 * number))


def test_a_file_grows_no_longer_than_what_waits_at_a_time(tmp_path):
    shelf = Shelf(Scratch(tmp_path, 0))
    for number in range(100):
        shelf.put(number, array(number))
        shelf.take(number - 5)
    assert shelf._file.seek(0, 2) <= 7 * array(0).nbytes
    shelf.close()


def test_no_more_than_the_room_stays_in_memory(tmp_path):
    shelf = Shelf(Scratch(tmp_path, 3 * array(0).nbytes))
    for number in range(10):
        shelf.put(number, array(number))
    assert len(shelf._kept) == 3
    shelf.close()


def test_without_anything_to_put_there_is_no_file(tmp_path):
    Shelf(Scratch(tmp_path / "new", 10**6)).close()
    assert not (tmp_path / "new").exists()
