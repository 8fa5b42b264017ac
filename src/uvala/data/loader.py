"""Threads that prepare the next batches while the network is busy with this one."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from uvala.machine import processes, usable_cores

__all__ = ["Prefetch", "loader_threads"]

T = TypeVar("T")

_MOST_THREADS = 8
_PATIENCE = 5.0  # seconds between two looks whether anybody is still at work


def loader_threads(device: str) -> int:
    """How many threads prepare the batches of a network that is trained on a device of this type.

    Beside a CPU one: what it prepares takes a few hundredths of the step, and every further thread would take
    a core from the step itself. Beside a GPU the cores have nothing else to do.
    """
    cores = usable_cores() // processes()
    return 1 if device == "cpu" else max(1, min(cores // 2, _MOST_THREADS))


class Prefetch(Generic[T]):
    """make(start), make(start + 1), ... one by one, made ahead in threads; use it in a `with` block.

    make: a function of its number alone, safe to call from several threads. threads: how many of them; they
    change neither what comes nor in which order. depth: items that are made ahead at most (with those that
    are being made), so that memory is bounded.

    Threads, not processes: decoding and copying release the interpreter's lock, nothing is pickled, and an
    error reaches the training with its own traceback instead of a worker that "died unexpectedly".
    waited: seconds that the consumer had to wait so far.
    """

    def __init__(self, make: Callable[[int], T], start: int, depth: int = 3, threads: int = 1) -> None:
        self._make = make
        self._next = start  # what the consumer gets next
        self._begun = start  # what nobody has begun yet
        self._depth = max(depth, threads + 1)
        self._done: dict[int, T | BaseException] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name="patches", daemon=True) for _ in range(threads)
        ]
        self.waited = 0.0

    def __enter__(self) -> "Prefetch[T]":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def next(self) -> T:
        """The next item, waiting for it if need be; raises what `make` raised."""
        began = time.perf_counter()
        with self._changed:
            while self._next not in self._done:
                # no thread ends without a word, whatever happens to it; but to wait for nobody is for ever
                if not self._changed.wait(_PATIENCE) and not any(each.is_alive() for each in self._threads):
                    raise RuntimeError("no thread is left that prepares batches")
            item = self._done[self._next]
            if isinstance(item, BaseException):  # and again to who asks once more: nothing comes after it
                raise item
            del self._done[self._next]
            self._next += 1
            self._changed.notify_all()
        self.waited += time.perf_counter() - began
        return item

    def _work(self) -> None:
        while (number := self._begin()) is not None:
            item: T | BaseException
            try:
                item = self._make(number)
            except BaseException as error:  # handed to the consumer, who raises it
                item = error
            with self._changed:
                self._done[number] = item
                self._changed.notify_all()
            if isinstance(item, BaseException):
                return

    def _begin(self) -> int | None:
        """The next number to make, once there is room for it; None when it is time to stop."""
        with self._changed:
            while not self._stopped and self._begun >= self._next + self._depth:
                self._changed.wait()
            if self._stopped:
                return None
            self._begun += 1
            return self._begun - 1
