"""The next tile is read while the network is at work on this one."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from uvala.arrays import Box

__all__ = ["Reader", "read_ahead"]

Reader = Callable[[Box], Tensor]
"""Gives the pixels of a box, float [C, height, width], normalised as the network wants them."""


def read_ahead(read: Reader, boxes: Sequence[Box]) -> Generator[Tensor]:
    """The pixels of each box, in their order; one more than was asked for is read, in a thread.

    What `read` raises is raised where that box is asked for. To be closed where it is left early: `read` has
    ended then.
    """
    if len(boxes) < 2:
        yield from map(read, boxes)
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="uvala-tile")
    try:
        ahead = pool.submit(read, boxes[0])
        for box in boxes[1:]:
            pixels, ahead = ahead.result(), pool.submit(read, box)
            yield pixels
        yield ahead.result()
    finally:
        pool.shutdown(cancel_futures=True)
