"""One thread that prepares the next batches while the network is busy with this one."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

T = TypeVar("T")


class Prefetch(Generic[T]):
    """make(start), make(start + 1), ... one by one, made ahead in a thread; use it in a `with` block.

    A thread, not processes: decoding and copying release the interpreter's lock, nothing is pickled, and an
    error reaches the training with its own traceback instead of a worker that "died unexpectedly".
    waited: seconds that the consumer had to wait so far.
    """

    def __init__(self, make: Callable[[int], T], start: int, depth: int = 3) -> None:
        self._make = make
        self._next = start
        self._queue: queue.Queue[T | BaseException] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="patches", daemon=True)
        self.waited = 0.0

    def __enter__(self) -> "Prefetch[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            # an empty place in the queue lets a thread that waits for one see the stop sign
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(timeout=0.05)

    def next(self) -> T:
        """The next item, waiting for it if need be; raises what `make` raised."""
        began = time.perf_counter()
        item = self._queue.get()
        self.waited += time.perf_counter() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def _work(self) -> None:
        while not self._stop.is_set():
            item: T | BaseException
            try:
                item = self._make(self._next)
            except BaseException as error:  # handed to the consumer, who raises it
                item = error
            self._queue.put(item)
            if isinstance(item, BaseException):
                return
            self._next += 1
