"""Validation on whole images, through the very path that predicts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from uvala.data.patches import ImageStore
from uvala.data.sample import Sample
from uvala.metrics.pixels import confusion_matrix, dice
from uvala.runs.card import NetworkCard
from uvala.runs.inference import class_probabilities
from uvala.tiling.config import TileConfig

__all__ = ["Validation", "validate"]


@dataclass(frozen=True)
class Validation:
    """dice: of each class over all validated images together, None where a class occurs nowhere."""

    mean_dice: float
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
    done, pixels = 0, 0
    for sample in samples:
        if done and time.perf_counter() - began > time_limit:
            break
        stored = store[sample]
        probabilities = class_probabilities(model, stored.image, stored.scale, network, tiles, device)
        classes = probabilities.argmax(dim=0).to(torch.uint8).numpy()
        total += confusion_matrix(classes, stored.classes, network.num_classes)
        done += 1
        pixels += stored.classes.size
    scores = dice(total)
    known = scores[np.isfinite(scores)]
    return Validation(
        mean_dice=float(known.mean()) if known.size else 0.0,
        dice=tuple(float(score) if np.isfinite(score) else None for score in scores),
        predicted=tuple(int(index) for index in np.flatnonzero(total.sum(axis=0))),
        images=done,
        pixels=pixels,
        seconds=time.perf_counter() - began,
    )
