"""Validation on whole images, through the very path that predicts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uvala.arrays import IGNORE
from uvala.data.patches import ImageStore, StoredImage
from uvala.data.sample import Sample
from uvala.metrics.pixels import confusion_matrix, dice
from uvala.runs.card import NetworkCard
from uvala.runs.inference import Outputs, predict_outputs
from uvala.tiling.config import TileConfig

__all__ = ["Validation", "validate"]


@dataclass(frozen=True)
class Validation:
    """dice: of each class over all validated images together, None where a class occurs nowhere.

    score: what the best weights are chosen by. Where a network learns to tell objects apart it is the mean of
    `mean_dice` and how well it does that: the Dice of the borders, or the overlap of the distances,
    2 sum min(d, t) / sum (d + t); otherwise `mean_dice` itself.
    """

    mean_dice: float
    score: float
    dice: tuple[float | None, ...]
    predicted: tuple[int, ...]  # classes that were predicted at least once
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
    time_limit: float = float("inf"),
) -> Validation:
    """Score `model` on whole images, in order, until the time is up; one image at least."""
    began = time.perf_counter()
    total = np.zeros((network.num_classes, network.num_classes), np.int64)
    overlap = np.zeros(2)
    done, pixels = 0, 0
    for sample in samples:
        if done and time.perf_counter() - began > time_limit:
            break
        stored = store[sample]
        outputs = predict_outputs(model, stored.image, stored.scale, network, tiles, device)
        classes = outputs.probabilities.argmax(axis=0).astype(np.uint8)
        total += confusion_matrix(classes, stored.classes, network.num_classes)
        overlap += _overlap(outputs, stored, network)
        done += 1
        pixels += stored.classes.size
    scores = dice(total)
    known = scores[np.isfinite(scores)]
    mean_dice = float(known.mean()) if known.size else 0.0
    return Validation(
        mean_dice=mean_dice,
        score=float((mean_dice + overlap[0] / overlap[1]) / 2) if overlap[1] else mean_dice,
        dice=tuple(float(score) if np.isfinite(score) else None for score in scores),
        predicted=tuple(int(index) for index in np.flatnonzero(total.sum(axis=0))),
        images=done,
        pixels=pixels,
        seconds=time.perf_counter() - began,
    )


def _overlap(outputs: Outputs, stored: StoredImage, network: NetworkCard) -> NDArray[np.float64]:
    """Numerator and denominator of the overlap of what tells objects apart with what it should be: [2]."""
    known = stored.classes != IGNORE
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
