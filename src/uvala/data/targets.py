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
from uvala.instances.labels import numbered

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
    unknown = classes == IGNORE
    if config.objects == "distance":
        return Target(classes, _depths(labels, unknown)[None])
    outlined = border_classes(labels, width=config.border_width) == BORDER
    target = np.where(outlined & ~unknown, np.uint8(dataset.encoding.num_classes), classes)
    if unknown.any():
        # nobody knows whether an object ends where it meets ignored pixels
        square = np.ones((3, 3), bool)
        beside = ndimage.binary_dilation(unknown, square, iterations=config.border_width)
        target[beside & outlined] = IGNORE
    return Target(target, nothing)


def _depths(labels: LabelMap, unknown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`distance_map` where the nearest known pixel is taken to go on into what is unknown, float32 [H, W].

    So no outline runs along it, as none runs along the image's edge. The deepest known pixel of an object is
    1: how deep the object is where nobody knows how far it goes does not count.
    """
    if not unknown.any() or unknown.all():
        return distance_map(labels)
    nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    objects, _ = numbered(labels[tuple(nearest)])
    depths = distance_map(objects)
    deepest = np.zeros(objects.max() + 1, np.float32)
    np.maximum.at(deepest, objects[~unknown], depths[~unknown])
    deepest[0] = 1  # of no object, where depths are 0
    return np.minimum(depths / deepest[objects], 1)
