"""Patches from images of any size: which one, from where, and the pixels around it.

What step n of a training sees is a function of the seed and n alone. A resumed training therefore sees what
an uninterrupted one would have seen, and the number of threads changes nothing.
"""

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, ClassMap, ImageArray
from uvala.data.dataset import Dataset
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise, scale_of
from uvala.data.patch_config import PatchConfig
from uvala.data.sample import Sample
from uvala.data.target_config import TargetConfig
from uvala.data.targets import Target, make_target

__all__ = ["ImageStore", "PatchSampler", "Windows"]

_PLACES = 2000  # pixels remembered per class and image: enough that no object is always missed


@dataclass(frozen=True)
class StoredImage:
    """A decoded image with its truth, what is learnt of it, its scale, and where to find each class."""

    image: ImageArray  # [C, H, W]
    classes: ClassMap  # [H, W]
    target: Target
    scale: Normalisation
    places: tuple[NDArray[np.int64], ...]  # flat indices of some pixels of each class that occurs

    @property
    def size_in_bytes(self) -> int:
        """Memory that the arrays take."""
        learnt = self.target.maps.nbytes
        if self.target.classes is not self.classes:
            learnt += self.target.classes.nbytes
        return self.image.nbytes + self.classes.nbytes + learnt + sum(place.nbytes for place in self.places)


class Windows(NamedTuple):
    """Patches with a margin around them, S = size + 2 margin. Outside its image a window is mirrored.

    images: float32 [B, C, S, S], normalised. masks: uint8 [B, S, S], IGNORE outside the image. maps: float32
    [B, M, S, S], what the loss needs besides; M may be 0.
    """

    images: NDArray[np.float32]
    masks: ClassMap
    maps: NDArray[np.float32]


class ImageStore:
    """Decoded images, the last used ones kept in memory up to a limit. Safe to use from several threads."""

    def __init__(
        self,
        dataset: Dataset,
        normalisation: Normalisation,
        limit: int | None = None,
        *,
        targets: TargetConfig | None = None,
    ) -> None:
        self.dataset = dataset
        self.normalisation = normalisation
        self.targets = targets or TargetConfig()
        self.limit = _quarter_of_memory() if limit is None else limit
        self._kept: OrderedDict[str, StoredImage] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __getitem__(self, sample: Sample) -> StoredImage:
        with self._lock:
            if sample.name in self._kept:
                self._kept.move_to_end(sample.name)
                return self._kept[sample.name]
        stored = self._read(sample)
        with self._lock:
            if sample.name not in self._kept:  # another thread may have read it meanwhile
                self._kept[sample.name] = stored
                self._bytes += stored.size_in_bytes
            while self._bytes > self.limit and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size_in_bytes
        return stored

    def _read(self, sample: Sample) -> StoredImage:
        image = self.dataset.image(sample)
        classes = self.dataset.classes(sample)
        target = make_target(self.dataset, sample, classes, self.targets)
        return StoredImage(image, classes, target, scale_of(image, self.normalisation), _places(classes))


class PatchSampler:
    """Draws the patches of a step. An epoch shows each image as often as patches cover its area."""

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
            np.arange(len(self.samples)),
            [max(1, math.ceil(math.prod(sizes[each.name]) / config.size**2)) for each in self.samples],
        )
        self._epoch = -1
        self._shuffled = self._order

    @property
    def steps_per_epoch(self) -> int:
        """Steps until the area of the training images has been shown once."""
        return math.ceil(len(self._order) / self.config.batch)

    def windows(self, step: int) -> Windows:
        """The windows of a step."""
        drawn = [self._window(step * self.config.batch + slot) for slot in range(self.config.batch)]
        return Windows(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def _window(self, number: int) -> Windows:
        """One window, without the axis of the batch."""
        rng = np.random.default_rng([self.seed, number])
        stored = self.store[self.samples[self._image_of(number)]]
        height, width = stored.classes.shape
        top, left = self._corner(stored, rng)
        side = self.config.size + 2 * self.margin
        rows = np.arange(top - self.margin, top - self.margin + side)
        columns = np.arange(left - self.margin, left - self.margin + side)
        inside = _mirrored(rows, height)[:, None], _mirrored(columns, width)[None, :]
        mask = stored.target.classes[inside]
        mask[(rows < 0) | (rows >= height), :] = IGNORE
        mask[:, (columns < 0) | (columns >= width)] = IGNORE
        image = normalise(stored.image[(slice(None), *inside)], stored.scale)
        return Windows(image, mask, stored.target.maps[(slice(None), *inside)])

    def _image_of(self, number: int) -> int:
        """Index of the image that the n-th patch of the training comes from."""
        epoch, place = divmod(number, len(self._order))
        if epoch != self._epoch:
            self._epoch = epoch
            self._shuffled = np.random.default_rng([self.seed, epoch, 1]).permutation(self._order)
        return int(self._shuffled[place])

    def _corner(self, stored: StoredImage, rng: np.random.Generator) -> tuple[int, int]:
        height, width = stored.classes.shape
        size = self.config.size
        if stored.places and rng.random() < self.config.class_share:
            places = stored.places[rng.integers(len(stored.places))]
            row, column = divmod(int(places[rng.integers(len(places))]), width)
            return _near(row, size, height), _near(column, size, width)
        return _anywhere(size, height, rng), _anywhere(size, width, rng)


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


def _places(classes: ClassMap) -> tuple[NDArray[np.int64], ...]:
    rng = np.random.default_rng(0)
    flat = classes.ravel()
    found = []
    for index in np.flatnonzero(np.bincount(flat, minlength=256)[:IGNORE]):
        places = np.flatnonzero(flat == index)
        found.append(places if len(places) <= _PLACES else rng.choice(places, _PLACES, replace=False))
    return tuple(found)


def _quarter_of_memory() -> int:
    if not hasattr(os, "sysconf"):  # Windows
        return 2 * 2**30
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
