"""Images by which a file is tried: those of the run where they are still there, otherwise noise like them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uvala.arrays import ClassMap, ImageArray
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.sample import Sample
from uvala.errors import UvalaError
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder

__all__ = ["TRIAL_SIDE", "RunImages", "Trial", "run_images", "trials"]

TRIAL_SIDE = 512
"""Pixels of an image along a side: quickly compared, and large enough to show what a network does."""

_NOISE = (200, 264)


@dataclass(frozen=True, eq=False)
class RunImages:
    """The images of a run, as far as they are still there. words: where they are from."""

    words: str
    dataset: Dataset | None = None
    train: Sequence[Sample] = ()
    val: Sequence[Sample] = ()

    def images(self, samples: Sequence[Sample], most: int) -> Iterator[ImageArray]:
        """Some of the samples, evenly spread over all: [C, H, W], with the channels that were trained on."""
        for sample in _spread(samples, most):
            assert self.dataset is not None
            yield self.dataset.image(sample)

    def pairs(self) -> Iterator[tuple[ImageArray, ClassMap]]:
        """The validation images with their classes."""
        for sample in self.val:
            assert self.dataset is not None
            yield self.dataset.image(sample), self.dataset.classes(sample)


@dataclass(frozen=True, eq=False)
class Trial:
    """Images of one size, [B, C, H, W], of any dtype; what: in words."""

    what: str
    images: ImageArray


def run_images(run: RunFolder) -> RunImages:
    """The images that a run was trained on, or why they cannot be had."""
    card = run.card
    where = card.data.path
    if not where:
        return RunImages("noise: the run knows no images")
    try:
        dataset = read_dataset(where, encoding=card.encoding, channels=card.data.channels)
    except (UvalaError, OSError):
        return RunImages(f"noise: the images trained on are no longer in {where}")
    sides = {name: set(getattr(run.split, name)) for name in ("train", "val")}
    train, val = (
        tuple(sample for sample in dataset.samples if sample.name in sides[name]) for name in ("train", "val")
    )
    if not (train or val) or dataset.channels != card.network.in_channels:
        return RunImages(f"noise: the images in {where} are not those trained on")
    return RunImages(f"images of {card.data.name or where}", dataset, train or val, val)


def trials(found: RunImages, card: Card, multiple: int) -> list[Trial]:
    """What a file is tried with: several sizes, odd ones and one below the stride, dtypes, a batch of two."""
    first, second = _two_images(found, card)
    height, width = first.shape[1:]
    odd = first[:, : height - 1 + height % 2, : width - 1 + width % 2]
    small = first[:, : max(multiple - 1, 1), : multiple // 2 + 1]
    torn = first.astype(np.float32)[:, : height // 2 + 1, : width // 2 + 1].copy()
    torn[:, 0, 0], torn[0, -1, -1] = np.nan, np.inf
    common = tuple(min(sides) for sides in zip(first.shape[1:], second.shape[1:], strict=True))
    pair = np.stack([each[:, : common[0], : common[1]] for each in (first, second)])
    wide = np.uint16 if first.dtype == np.uint8 else first.dtype
    return [
        Trial("as it is", first[None]),
        Trial("odd", odd.astype(wide)[None]),
        Trial("below the stride", small.astype(np.float32)[None]),
        Trial("with NaN and infinity", torn[None]),
        Trial("a batch of two", pair),
    ]


def _two_images(found: RunImages, card: Card) -> tuple[ImageArray, ImageArray]:
    """Two images [C, H, W] of at most so many pixels along a side."""
    samples = found.val or found.train
    images = [image[:, :TRIAL_SIDE, :TRIAL_SIDE] for image in found.images(samples, 2)] or [
        _noise(card, 0),
        _noise(card, 1),
    ]
    return images[0], images[-1]


def _noise(card: Card, seed: int) -> ImageArray:
    """Patches of random brightness at the levels of the images trained on: [C, H, W]."""
    channels, settings = card.network.in_channels, card.normalisation
    dtype = np.dtype(card.data.dtype or "uint8")
    usual = 255.0 if dtype.kind == "u" else 1.0
    low = np.array(settings.low or (0.0,) * channels)[:, None, None]
    high = np.array(settings.high or (usual,) * channels)[:, None, None]
    rng = np.random.default_rng(seed)
    coarse = rng.random((channels, _NOISE[0] // 8, _NOISE[1] // 8)).repeat(8, axis=1).repeat(8, axis=2)
    values = low + (high - low) * (0.7 * coarse + 0.3 * rng.random((channels, *_NOISE)))
    if dtype.kind in "ui":
        values = values.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)


def _spread(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    places = np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)
    return [samples[place] for place in places]
