"""Reading ahead and writing behind."""

from contextlib import closing, suppress
from threading import Event, Timer

import pytest

from uvala.prediction.overlap import Dropped, WriteBehind, read_ahead


def weight(value: int) -> int:
    return 1


class TestReadAhead:
    def test_keeps_the_order(self):
        assert list(read_ahead(range(50), lambda n: n * n, weigh=weight, room=3)) == [
            n * n for n in range(50)
        ]

    def test_reads_before_it_is_asked(self):
        read = [Event() for _ in range(3)]

        def job(number: int) -> int:
            read[number].set()
            return number

        with closing(read_ahead(range(3), job, weigh=weight, room=10)) as numbers:
            next(numbers)
            assert read[1].wait(10)

    def test_holds_no_more_than_there_is_room_for(self):
        begun = []

        def job(number: int) -> int:
            begun.append(number)
            return number

        with closing(read_ahead(range(20), job, weigh=lambda _: 10, room=25)) as numbers:
            for number in numbers:
                # three on the shelf, of which the last was begun with room, and one in our hands
                assert len(begun) <= number + 4

    def test_without_room_there_is_one_at_a_time(self):
        assert list(read_ahead(range(9), abs, weigh=weight, room=0)) == list(range(9))

    def test_what_goes_wrong_is_raised_in_its_place(self):
        def job(number: int) -> int:
            return 1 // (number - 2) or number

        numbers = read_ahead(range(4), job, weigh=weight, room=9)
        assert [next(numbers), next(numbers)] == [-1, -1]
        with pytest.raises(ZeroDivisionError):
            next(numbers)

    def test_left_early_it_reads_no_more(self):
        begun = []
        with closing(read_ahead(range(1000), begun.append, weigh=weight, room=1)) as numbers:
            pass
        assert len(begun) < 20
        assert list(numbers) == []


class TestWriteBehind:
    def test_gives_results_in_order(self):
        with WriteBehind[int](room=5) as writing:
            found = [each for n in range(20) for each in writing.add(lambda n=n: n, 2)]
            found += writing.rest()
        assert found == list(range(20))

    def test_holds_no_more_than_there_is_room_for(self):
        with WriteBehind[int](room=5) as writing:
            for n in range(20):
                list(writing.add(lambda n=n: n, 2))
                assert writing.held <= 5
            list(writing.rest())

    def test_works_while_the_caller_goes_on(self):
        done, go_on = Event(), Event()

        def job() -> int:
            go_on.wait(10)
            done.set()
            return 1

        with WriteBehind[int](room=5) as writing:
            assert list(writing.add(job)) == []
            go_on.set()
            assert done.wait(10)
            assert list(writing.rest()) == [1]

    def test_an_error_reaches_the_caller(self):
        with WriteBehind[float](room=5) as writing:
            list(writing.add(lambda: 1 / 0))
            with pytest.raises(ZeroDivisionError):
                list(writing.rest())

    def test_left_by_an_exception_it_drops_what_has_not_begun(self):
        begun, at_work, go_on = [], Event(), Event()

        def job(number: int) -> None:
            begun.append(number)
            at_work.set()
            go_on.wait(10)

        def interrupted() -> None:
            with WriteBehind[None](room=99) as writing:
                for number in range(5):
                    list(writing.add(lambda number=number: job(number), 1))
                at_work.wait(10)
                Timer(0.1, go_on.set).start()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert begun == [0]

    def test_left_by_an_exception_it_tells_the_job_under_way(self):
        at_work, told = Event(), []

        def job() -> None:
            at_work.set()
            told.append(writing.left.wait(10))
            raise Dropped

        with suppress(ZeroDivisionError), WriteBehind[None](room=99) as writing:
            list(writing.add(job))
            at_work.wait(10)
            assert 1 / 0
        assert told == [True]

    def test_left_in_peace_it_tells_nothing(self):
        with WriteBehind[bool](room=99) as writing:
            list(writing.add(writing.left.is_set))
        assert not writing.left.is_set()
