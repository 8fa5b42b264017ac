"""Patches from images of any size: which one, from where, and the pixels around it.

What step n of a training sees is a function of the seed and n alone. A resumed training therefore sees what
an uninterrupted one would have seen, and the number of threads, or of processes, changes nothing.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, ClassMap, Size
from uvala.data.normalise import normalise
from uvala.data.patch_config import PatchConfig
from uvala.data.sample import Sample
from uvala.data.store import ImageStore, StoredImage

__all__ = ["PatchSampler", "Windows", "steps_per_epoch"]


class Windows(NamedTuple):
    """Patches with a margin around them, S = size + 2 margin. Outside its image a window is mirrored.

    images: float32 [B, C, S, S], normalised. masks: uint8 [B, S, S], IGNORE outside the image. maps: float32
    [B, M, S, S], what the loss needs besides; M may be 0.
    """

    images: NDArray[np.float32]
    masks: ClassMap
    maps: NDArray[np.float32]


class PatchSampler:
    """Draws the patches of a step. An epoch shows each image as often as patches cover its area.

    Of the patches of an image, `config.class_share` are centred on a class drawn evenly, and
    `config.object_share` lie around an object drawn evenly, if the store looks for objects; the others lie
    anywhere.
    """

    def __init__(
        self, store: ImageStore, samples: Sequence[Sample], config: PatchConfig, margin: int, seed: int
    ) -> None:
        self.store = store
        self.samples = tuple(samples)
        self.config = config
        self.margin = margin
        self.seed = seed
        sizes = store.dataset.sizes
        self._order = np.repeat(
            np.arange(len(self.samples)), [_covering(sizes[each.name], config) for each in self.samples]
        )
        # two: where threads prepare the last patches of one epoch and the first of the next
        self._shuffled = lru_cache(maxsize=2)(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until the area of the training images has been shown once."""
        return math.ceil(len(self._order) / self.config.batch)

    def windows(self, step: int, slots: range | None = None) -> Windows:
        """The windows of a step; slots: those of 0 to batch - 1 that one of several processes has."""
        slots = range(self.config.batch) if slots is None else slots
        drawn = [self._draw(step * self.config.batch + slot) for slot in slots]
        first = drawn[0][0]
        side = self.config.size + 2 * self.margin
        windows = Windows(
            np.empty((len(drawn), len(first.image), side, side), np.float32),
            np.empty((len(drawn), side, side), np.uint8),
            np.empty((len(drawn), len(first.target.maps), side, side), np.float32),
        )
        for slot, (stored, top, left) in enumerate(drawn):
            self._cut(stored, top - self.margin, left - self.margin, windows, slot)
        return windows

    def _draw(self, number: int) -> tuple[StoredImage, int, int]:
        """The n-th patch of the training: its image, and where its first row and column are."""
        rng = np.random.default_rng([self.seed, number])
        stored = self.store[self.samples[self._image_of(number)]]
        return stored, *self._corner(stored, rng)

    def _image_of(self, number: int) -> int:
        """Index of the image that the n-th patch of the training comes from."""
        epoch, place = divmod(number, len(self._order))
        return int(self._shuffled(epoch)[place])

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch, 1]).permutation(self._order)

    def _corner(self, stored: StoredImage, rng: np.random.Generator) -> tuple[int, int]:
        height, width = stored.classes.shape
        size, classes, objects = self.config.size, self.config.class_share, self.config.object_share
        kind = rng.random() if stored.places else 1.0
        if kind < classes:
            places = stored.places[rng.integers(len(stored.places))]
            row, column = divmod(int(places[rng.integers(len(places))]), width)
            return _near(row, size, height), _near(column, size, width)
        if kind < classes + objects and len(stored.objects):
            row, column = divmod(int(stored.objects[rng.integers(len(stored.objects))]), width)
            # not always in the middle: the network is to see it with one surrounding and another
            down, right = rng.integers(-(size // 4), size // 4 + 1, 2).tolist()
            return _near(row + down, size, height), _near(column + right, size, width)
        return _anywhere(size, height, rng), _anywhere(size, width, rng)

    def _cut(self, stored: StoredImage, top: int, left: int, windows: Windows, slot: int) -> None:
        """Put the window that begins at `top` and `left` into its slot of a batch.

        Of the arrays only the rows and columns that it needs are read, which matters where they lie on disk.
        """
        height, width = stored.classes.shape
        side = windows.masks.shape[-1]
        rows, columns = _Span.of(top, side, height), _Span.of(left, side, width)
        image = stored.image[:, rows.read, columns.read]
        if rows.whole and columns.whole:
            normalise(image, stored.scale, out=windows.images[slot])
        else:
            _mirror(normalise(image, stored.scale), rows, columns, windows.images[slot])
        _mirror(stored.target.maps[:, rows.read, columns.read], rows, columns, windows.maps[slot])
        mask = windows.masks[slot]
        _mirror(stored.target.classes[None, rows.read, columns.read], rows, columns, mask[None])
        mask[rows.outside] = IGNORE
        mask[:, columns.outside] = IGNORE


class _Span(NamedTuple):
    """A stretch along one axis that may reach beyond the image: what is read, and what becomes of it.

    read: the part of the axis to read. order: indices into that part, one for each place of the stretch.
    outside: places beyond the image. whole: whether there are none.
    """

    read: slice
    order: NDArray[np.int64]
    outside: NDArray[np.bool_]
    whole: bool

    @classmethod
    def of(cls, start: int, length: int, extent: int) -> "_Span":
        places = np.arange(start, start + length)
        mirrored = _mirrored(places, extent)
        first = int(mirrored.min())
        outside = (places < 0) | (places >= extent)
        return cls(slice(first, int(mirrored.max()) + 1), mirrored - first, outside, not outside.any())


def _mirror(part: NDArray[np.generic], rows: _Span, columns: _Span, out: NDArray[np.generic]) -> None:
    """Put what was read, [C, h, w], where it belongs in a window, [C, S, S]."""
    if not rows.whole:
        part = part[:, rows.order]
    if columns.whole:
        out[...] = part
    else:
        # the mode only says that nothing need be checked; with the other one numpy would not write in place
        np.take(part, columns.order, axis=2, out=out, mode="clip")


def steps_per_epoch(sizes: Iterable[Size], config: PatchConfig) -> int:
    """Steps until the area of images of these sizes has been shown once."""
    return math.ceil(sum(_covering(size, config) for size in sizes) / config.batch)


def _covering(size: Size, config: PatchConfig) -> int:
    """Patches that have the area of an image."""
    return max(1, math.ceil(math.prod(size) / config.size**2))


def _near(centre: int, size: int, extent: int) -> int:
    """Start of a patch around `centre` that stays inside the image where it can."""
    if extent <= size:
        return (extent - size) // 2
    return min(max(centre - size // 2, 0), extent - size)


def _anywhere(size: int, extent: int, rng: np.random.Generator) -> int:
    return (extent - size) // 2 if extent <= size else int(rng.integers(extent - size + 1))


def _mirrored(indices: NDArray[np.int64], extent: int) -> NDArray[np.int64]:
    """Indices reflected at the borders of 0..extent-1 as often as needed, border pixels not repeated."""
    if extent == 1:
        return np.zeros_like(indices)
    period = 2 * (extent - 1)
    folded = np.abs(indices) % period
    return np.where(folded < extent, folded, period - folded)
