"""What a network is trained on so that it keeps touching objects apart: weights, classes, distances.

border_weight_map   where background between two objects is narrow, a mistake costs more
border_classes      background, interior, border: interiors do not touch, each is one seed
distance_map        0 at an object's outline, 1 where it is deepest: seeds are the maxima
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import Box, ClassMap, LabelMap
from uvala.errors import ShapeError
from uvala.instances.labels import numbered, object_boxes

__all__ = ["BACKGROUND", "BORDER", "INTERIOR", "border_classes", "border_weight_map", "distance_map"]

BACKGROUND, INTERIOR, BORDER = 0, 1, 2
"""The classes of `border_classes`."""

LEAST_TERM = 1e-8
"""Share of w0 below which the border term is left out; what float32 cannot tell from 0 beside w_c = 1."""


def border_weight_map(
    labels: NDArray[Any],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: tuple[float, float] | None = None,
    inside: bool = False,
) -> NDArray[np.float32]:
    """The weight of each pixel in the loss, larger where two objects are close: float32 [H, W], positive.

        w(x) = w_c(x) + w0 * exp(-(d1(x) + d2(x))^2 / (2 sigma^2))

    labels: integers [H, W], 0 background. d1, d2: distance in pixels to the nearest pixel of the nearest and
    of the second nearest object. With fewer than two objects within reach there is no second term; it is
    also left out where it is below 1e-8 w0 (d1 + d2 beyond 6 sigma), which is what makes the map fast.

    The term is for background: it makes the network learn the gaps. `inside=True` takes the formula at its
    word within objects as well (d1 = 0, d2 to the nearest other object). Objects that touch have no
    background between them and so get no border here: use `border_classes`, or masks with gaps.

    class_weights: w_c of (background, object). By default each class has the same weight in sum and the mean
    over the image is 1: w_c = pixels / (2 pixels of c), or 1 where there is only one class. The paper says
    only that w_c balances the class frequencies; where images differ much in how full they are, give the
    weights of the whole training set, or a lone object of few pixels weighs as much as all the rest.

    Raises ShapeError for what is not a label map and for a w0, sigma or weights that are no such numbers.
    Source: Ronneberger, Fischer, Brox (2015), arXiv:1505.04597, equation 2, with its w0 and sigma.
    """
    _require_numbers(w0, sigma, class_weights)
    objects, _ = numbered(labels)
    weights = _class_weights(objects, class_weights)
    reach = sigma * math.sqrt(-2 * math.log(LEAST_TERM))
    distance = _sum_of_two_nearest(objects, reach)
    near = distance <= reach
    if not inside:
        near &= objects == 0
    weights[near] += w0 * np.exp(-(distance[near].astype(np.float64) ** 2) / (2 * sigma**2))
    return weights.astype(np.float32)


def border_classes(labels: NDArray[Any], *, width: int = 1) -> ClassMap:
    """0 background, 1 interior, 2 border of each pixel: uint8 [H, W].

    labels: integers [H, W], 0 background. Border is what of an object lies within `width` pixels of something
    else, be it background or another object, diagonal steps included (8 neighbours): so interiors of two
    objects never touch, not even at a corner. The image's edge is no border: the object goes on behind it.
    An object that is all border keeps one pixel as interior, the deepest and of those the one nearest to the
    middle, so that each object has a seed. (An object with a waist of up to 2 width pixels has two.)

    Raises ShapeError for what is not a label map and for a width below 1.
    """
    if width < 1:
        raise ShapeError(
            found=f"width = {width}", expected="at least 1 pixel", fix="1 or 2 is usual; 1 is the default"
        )
    objects, _ = numbered(labels)
    if objects.size == 0:
        return np.zeros(objects.shape, np.uint8)
    size = 2 * width + 1
    # "nearest" repeats the outermost pixels, so that the edge looks like more of the same object
    lowest = ndimage.minimum_filter(objects, size, mode="nearest")
    highest = ndimage.maximum_filter(objects, size, mode="nearest")
    classes = np.where(lowest == highest, INTERIOR, BORDER).astype(np.uint8)
    classes[objects == 0] = BACKGROUND
    interior = np.bincount(objects[classes == INTERIOR], minlength=int(objects.max()) + 1)
    boxes = object_boxes(objects)
    for number in (np.flatnonzero(interior[1:] == 0) + 1).tolist():
        classes[_middle(objects, number, boxes[number - 1])] = INTERIOR
    return classes


def distance_map(labels: NDArray[Any]) -> NDArray[np.float32]:
    """How deep each pixel lies in its object: float32 [H, W], 0 outside, above 0 to 1 inside.

    labels: integers [H, W], 0 background. The Euclidean distance to the nearest pixel that is not of the same
    object (background or another object), divided by the largest of the object. What is beyond the image's
    edge does not count as outside; an object that fills the image is 1 everywhere. ShapeError for what is not
    a label map.
    """
    objects, _ = numbered(labels)
    depths = np.zeros(objects.shape, np.float32)
    for number, box in enumerate(object_boxes(objects), start=1):
        grown = _grown(box, 1, objects.shape)
        inside = objects[grown.slices] == number
        depth = _depth(inside)
        depths[grown.slices][inside] = (depth / depth.max())[inside]
    return depths


def _sum_of_two_nearest(objects: LabelMap, reach: float) -> NDArray[np.float32]:
    """d1 + d2 in pixels, exact where it is at most `reach`, at least that elsewhere: float32 [H, W]."""
    first = np.full(objects.shape, np.inf, np.float32)
    second = first.copy()
    for number, box in enumerate(object_boxes(objects), start=1):
        # d1 + d2 <= reach and d1 >= 0: nothing further than reach from an object needs its distance
        part = _grown(box, math.ceil(reach), objects.shape).slices
        distance = ndimage.distance_transform_edt(objects[part] != number).astype(np.float32)
        np.minimum(second[part], np.maximum(first[part], distance), out=second[part])
        np.minimum(first[part], distance, out=first[part])
    return first + second


def _class_weights(objects: LabelMap, given: tuple[float, float] | None) -> NDArray[np.float64]:
    """w_c of each pixel, float64 [H, W]."""
    covered = objects > 0
    if given is None:
        pixels = np.array([np.count_nonzero(~covered), np.count_nonzero(covered)])
        given = (1.0, 1.0) if 0 in pixels else tuple(covered.size / (2 * pixels))
    return np.where(covered, given[1], given[0]).astype(np.float64)


def _middle(objects: LabelMap, number: int, box: Box) -> tuple[int, int]:
    """Row and column of the deepest pixel of an object; of several, the one nearest to their centroid."""
    grown = _grown(box, 1, objects.shape)
    depth = _depth(objects[grown.slices] == number)
    rows, columns = np.nonzero(depth == depth.max())
    off = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    nearest = int(off.argmin())
    return grown.top + int(rows[nearest]), grown.left + int(columns[nearest])


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each True to the nearest False, float64 [H, W]; 1 everywhere if all is True."""
    if inside.all():  # scipy measures from beyond the array then
        return np.ones(inside.shape)
    return ndimage.distance_transform_edt(inside)


def _grown(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    """The box with `by` more pixels on each side, as far as the image goes."""
    height, width = shape
    return Box(
        max(box.top - by, 0), max(box.left - by, 0), min(box.bottom + by, height), min(box.right + by, width)
    )


def _require_numbers(w0: float, sigma: float, class_weights: tuple[float, float] | None) -> None:
    fine = math.isfinite(w0) and w0 >= 0 and math.isfinite(sigma) and sigma > 0
    if class_weights is not None:
        fine &= len(class_weights) == 2 and all(math.isfinite(each) and each >= 0 for each in class_weights)
    if not fine:
        raise ShapeError(
            found=f"w0 = {w0}, sigma = {sigma}, class_weights = {class_weights}",
            expected="w0 of at least 0, sigma above 0, and two class weights of at least 0",
            fix="the paper has w0 = 10 and sigma = 5",
        )
