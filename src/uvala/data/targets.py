"""The truth as a network learns it: classes, and what makes touching objects come apart.

It is computed once per image and goes through the same resampling as the image, so that no patch has to look
for objects again.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import IGNORE, ClassMap, LabelMap
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.data.target_config import TargetConfig
from uvala.errors import ConfigError
from uvala.instances.border import BORDER, border_classes, border_weight_map, distance_map
from uvala.instances.components import connected_components

__all__ = ["Target", "make_target", "objects_of", "require_objects"]

OBJECTS = 1
"""The class whose pixels are objects."""


class Target(NamedTuple):
    """classes: uint8 [H, W], with the border as class K where it is learnt; maps: float32 [M, H, W]."""

    classes: ClassMap
    maps: NDArray[np.float32]


def require_objects(num_classes: int, config: TargetConfig) -> None:
    """ConfigError where objects are asked for of classes that have none of their own."""
    if config.objects != "classes" and num_classes != 2:
        raise ConfigError(
            found=f"targets.objects = {config.objects} for {num_classes} classes",
            expected="two classes: background and objects",
            fix="leave targets.objects at classes, or train on masks of one kind of object",
        )


def objects_of(dataset: Dataset, sample: Sample, classes: ClassMap) -> LabelMap:
    """The true objects of an image, int32 [H, W]: those that its mask numbers, else what hangs together."""
    labels = dataset.instances(sample)
    return connected_components(classes == OBJECTS) if labels is None else labels


def make_target(
    dataset: Dataset,
    sample: Sample,
    classes: ClassMap,
    config: TargetConfig,
    *,
    labels: LabelMap | None = None,
) -> Target:
    """What `config` makes of an image's classes [H, W] and objects.

    labels: its objects, int32 [H, W], for a caller that has them already.
    """
    nothing = np.empty((0, *classes.shape), np.float32)
    if config.objects == "classes":
        return Target(classes, nothing)
    require_objects(dataset.encoding.num_classes, config)
    labels = objects_of(dataset, sample, classes) if labels is None else labels
    if config.objects == "weights":
        # the balance of the classes is not the map's business: Dice and loss.class_weights see to it
        weights = border_weight_map(labels, w0=config.w0, sigma=config.sigma, class_weights=(1.0, 1.0))
        return Target(classes, weights[None])
    if config.objects == "distance":
        return Target(classes, distance_map(labels)[None])
    outlined = border_classes(labels, width=config.border_width) == BORDER
    target = np.where(outlined & (classes != IGNORE), np.uint8(dataset.encoding.num_classes), classes)
    if (unknown := classes == IGNORE).any():
        # nobody knows whether an object ends where it meets ignored pixels
        square = np.ones((3, 3), bool)
        beside = ndimage.binary_dilation(unknown, square, iterations=config.border_width)
        target[beside & outlined] = IGNORE
    return Target(target, nothing)
