"""Work of three kinds at once: one thread reads ahead, the caller computes, one thread writes behind.

Both threads hold a bounded number of bytes, and keep the order.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, Event
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Dropped", "WriteBehind", "read_ahead"]

_AHEAD = 8  # things that are begun before they are asked for; memory is bounded in bytes

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    items: Iterable[T], read: Callable[[T], R], *, weigh: Callable[[R], int], room: int
) -> Generator[R]:
    """`read(item)` of each item, in their order, made in a thread before it is asked for.

    weigh: bytes of what was read. room: bytes from which on nothing more is read; what was begun below it is
    finished, so that one more may be held. To be closed where it is left early: the thread then ends after
    what it is at.
    """
    shelf = _Shelf(room)

    def job(item: T) -> R | None:
        if not shelf.wait():
            return None
        result = read(item)
        shelf.put(weigh(result))
        return result

    waiting: deque[Future[R | None]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="uvala-read")
    try:
        for item in items:
            waiting.append(pool.submit(job, item))
            if len(waiting) > _AHEAD:
                yield _taken(waiting.popleft(), shelf, weigh)
        while waiting:
            yield _taken(waiting.popleft(), shelf, weigh)
    finally:
        shelf.close()
        pool.shutdown(wait=True, cancel_futures=True)


def _taken(future: Future[R | None], shelf: "_Shelf", weigh: Callable[[R], int]) -> R:
    result = future.result()
    assert result is not None, "read after the end"
    shelf.put(-weigh(result))
    return result


class _Shelf:
    """How many bytes wait to be taken."""

    def __init__(self, room: int) -> None:
        self.room, self.held, self.closed = room, 0, False
        self.changed = Condition()

    def wait(self) -> bool:
        """Wait until there is room; whether there will be any use for more."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or not self.held or self.held < self.room)
            return not self.closed

    def put(self, weight: int) -> None:
        """Put so many bytes there, or take them."""
        with self.changed:
            self.held += weight
            self.changed.notify_all()

    def close(self) -> None:
        """Nothing more is wanted."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Dropped(Exception):
    """Ends a job whose result nobody waits for any more."""


class WriteBehind(Generic[R]):
    """Jobs that a thread does one after the other, while the caller goes on.

    room: bytes that jobs may hold before the caller has to wait for them. Left by an exception, jobs that
    have not begun are dropped, and the one under way is finished; a long one may look at `left`, which is
    then set, and end itself by `Dropped`.
    """

    def __init__(self, room: int) -> None:
        self.room, self.held = room, 0
        self.left = Event()
        self.waiting: deque[tuple[Future[R], int]] = deque()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="uvala-write")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.left.set()
        self.pool.shutdown(wait=True, cancel_futures=kind is not None)

    def add(self, job: Callable[[], R], weight: int = 0) -> Iterator[R]:
        """Hand over a job that holds so many bytes; the results of those that are done by now, in order.

        What a job raised is raised here.
        """
        while self.waiting and (self.waiting[0][0].done() or self.held + weight > self.room):
            yield self._first()
        self.held += weight
        self.waiting.append((self.pool.submit(job), weight))

    def rest(self) -> Iterator[R]:
        """The results of all that is not done yet."""
        while self.waiting:
            yield self._first()

    def _first(self) -> R:
        future, weight = self.waiting.popleft()
        self.held -= weight
        return future.result()
