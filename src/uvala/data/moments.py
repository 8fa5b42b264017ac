"""Mean and standard deviation of numbers that come block by block.

The same blocks give the same result to the last bit: small integers are summed exactly, and of all others
the sums of the blocks are added up at the end with a single rounding.

Source: Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance", equation 1.5.
"""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "moments_of"]

_EXACT = 2  # bytes: squares of such integers, as many as a block has, add up within 64 bits


class Moments(Protocol):
    """What blocks are given to, and what they amount to."""

    def add(self, block: NDArray[Any]) -> None:
        """Take the finite numbers of a block, of any shape."""

    def mean_and_spread(self) -> tuple[float, float]:
        """Mean and standard deviation of all numbers so far; 0 and 0 without any."""


def moments_of(dtype: np.dtype[Any]) -> Moments:
    """Moments of numbers of this type."""
    return _OfSmallIntegers() if dtype.kind in "ui" and dtype.itemsize <= _EXACT else _OfFloats()


class _OfSmallIntegers:
    """Exact sums, in one pass."""

    def __init__(self) -> None:
        self._count = self._sum = self._squares = 0

    def add(self, block: NDArray[Any]) -> None:
        low, high = int(block.min()), int(block.max())
        self._count += block.size
        if low == high:  # empty parts of a slide are most of it, and this is several times as fast
            self._sum += block.size * low
            self._squares += block.size * low**2
        else:
            self._sum += int(block.sum(dtype=np.int64))
            self._squares += int(np.square(block, dtype=np.int64).sum())

    def mean_and_spread(self) -> tuple[float, float]:
        if not self._count:
            return 0.0, 0.0
        variance = (self._count * self._squares - self._sum**2) / self._count**2
        return self._sum / self._count, math.sqrt(variance)


class _OfFloats:
    """Sums and squared deviations of each block, added up at the end: some bytes per block."""

    def __init__(self) -> None:
        self._blocks: list[tuple[int, float, float]] = []

    def add(self, block: NDArray[Any]) -> None:
        values = block[np.isfinite(block)].astype(np.float64)
        if values.size:
            total = float(values.sum())
            # around the mean: the mean of squares less the square of the mean would lose digits
            values -= total / values.size
            self._blocks.append((values.size, total, float(np.square(values).sum())))

    def mean_and_spread(self) -> tuple[float, float]:
        if not self._blocks:
            return 0.0, 0.0
        count = sum(size for size, _, _ in self._blocks)
        mean = math.fsum(total for _, total, _ in self._blocks) / count
        within = math.fsum(squares for _, _, squares in self._blocks)
        between = math.fsum(size * (total / size - mean) ** 2 for size, total, _ in self._blocks)
        return mean, math.sqrt((within + between) / count)
