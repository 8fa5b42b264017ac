"""Validation on whole images, through the very path that predicts."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uvala.arrays import IGNORE
from uvala.data.sample import Sample
from uvala.data.store import ImageStore, StoredImage
from uvala.metrics.pixels import confusion_matrix, dice
from uvala.runs.card import NetworkCard
from uvala.runs.inference import Outputs, Use, predict_outputs
from uvala.tiling.config import TileConfig
from uvala.training.distributed import World

__all__ = ["Validation", "validate"]


@dataclass(frozen=True)
class Validation:
    """dice: of each class over all validated images together, None where a class occurs nowhere.

    score: what the best weights are chosen by. Where a network learns to tell objects apart it is the mean of
    `mean_dice` and how well it does that: the Dice of the borders, or the overlap of the distances,
    2 sum min(d, t) / sum (d + t); otherwise `mean_dice` itself. predicted, present: classes that occur in the
    predictions and in the truth.
    """

    mean_dice: float
    score: float
    dice: tuple[float | None, ...]
    predicted: tuple[int, ...]
    present: tuple[int, ...]
    images: int
    pixels: int
    seconds: float


def validate(
    model: nn.Module,
    store: ImageStore,
    samples: Sequence[Sample],
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
    time_limit: float = math.inf,
    world: World | None = None,
) -> Validation:
    """Score `model` on whole images, in order, until the time is up; one image at least.

    Of several ranks each looks at every n-th image, and all know the result.
    """
    world = world or World.alone()
    began = time.perf_counter()
    classes = network.num_classes
    # one array, so that ranks have one sum to make: confusion matrix, overlap (2), images, pixels
    sums = np.zeros(classes * classes + 4)
    for start in range(0, len(samples), world.size):
        over = time.perf_counter() - began > time_limit
        # all stop after the same round: which images were looked at must not depend on a rank's speed
        if start and time_limit < math.inf and world.any(over):
            break
        for sample in samples[start + world.rank : start + world.rank + 1]:
            sums += _sums(model, store[sample], network, tiles, device)
    sums = world.total(sums)
    confusion = sums[:-4].reshape(classes, classes).astype(np.int64)
    overlap = sums[-4:-2]
    scores = dice(confusion)
    known = scores[np.isfinite(scores)]
    mean_dice = float(known.mean()) if known.size else 0.0
    return Validation(
        mean_dice=mean_dice,
        score=float((mean_dice + overlap[0] / overlap[1]) / 2) if overlap[1] else mean_dice,
        dice=tuple(float(score) if np.isfinite(score) else None for score in scores),
        predicted=tuple(int(index) for index in np.flatnonzero(confusion.sum(axis=0))),
        present=tuple(int(index) for index in np.flatnonzero(confusion.sum(axis=1))),
        images=int(sums[-2]),
        pixels=int(sums[-1]),
        seconds=time.perf_counter() - began,
    )


def _sums(
    model: nn.Module, stored: StoredImage, network: NetworkCard, tiles: TileConfig, device: torch.device
) -> NDArray[np.float64]:
    """What one image adds to the sums of a validation: [K * K + 4]."""
    outputs = predict_outputs(Use(model, network, stored.scale, tiles, device), stored.image)
    found = outputs.probabilities.argmax(axis=0).astype(np.uint8)
    confusion = confusion_matrix(found, stored.classes, network.num_classes)
    return np.concatenate(
        [confusion.ravel(), _overlap(outputs, stored, network), [1, stored.classes.size]]
    ).astype(np.float64)


def _overlap(outputs: Outputs, stored: StoredImage, network: NetworkCard) -> NDArray[np.float64]:
    """Numerator and denominator of the overlap of what tells objects apart with what it should be: [2]."""
    known = stored.target.classes != IGNORE  # of borders also not where an object meets ignored pixels
    if outputs.distance is not None:
        found, true = outputs.distance[known], stored.target.maps[0][known]
        return np.array([2 * np.minimum(found, true).sum(), found.sum() + true.sum()], np.float64)
    if outputs.borders is not None:
        # the border wins where it is likelier than both the object's interior and the background
        interior = outputs.probabilities[1] - outputs.borders
        found = (outputs.borders > np.maximum(interior, outputs.probabilities[0])) & known
        true = stored.target.classes == network.num_classes
        return np.array([2 * np.count_nonzero(found & true), found.sum() + true.sum()], np.float64)
    return np.zeros(2)
