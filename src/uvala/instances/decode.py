"""From the probabilities of one image to its objects."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import LabelMap
from uvala.errors import ConfigError, ShapeError
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.instances.filters import drop_border_objects, fill_holes, remove_small, renumber
from uvala.instances.watershed import grow, split_at_necks

__all__ = [
    "FloatMap",
    "Maps",
    "close_clumps",
    "find_objects",
    "reach",
    "require_maps",
    "seed_map",
    "separate",
    "tidy",
]

FloatMap = NDArray[np.floating[Any]]
"""A probability, or a distance in 0 to 1, for each pixel: float [H, W]."""

_SEEDED = ("probability", "borders", "distance")  # methods whose seeds are read from a map
_LEARNT = _SEEDED[1:]  # of which these need the map of the same name
_TRUNCATE = 4.0  # standard deviations after which the Gaussian is cut off; scipy's own default
_ROUNDING = 1e-3  # probabilities that were summed, or stored with few bits, may leave 0 to 1 by that much


class Maps(NamedTuple):
    """What a network says of an image, each float [H, W] in 0 to 1.

    foreground: probability of the object's class, its border included. borders: of the extra border class.
    distance: the distance to the object's outline, 1 in the object's middle.
    """

    foreground: FloatMap
    borders: FloatMap | None = None
    distance: FloatMap | None = None


def find_objects(
    foreground: FloatMap,
    config: ObjectConfig,
    *,
    borders: FloatMap | None = None,
    distance: FloatMap | None = None,
) -> LabelMap:
    """The objects of an image, numbered 1..n in the order in which its rows meet them: int32 [H, W], 0 else.

    foreground: float [H, W], probability of the object's class, its border included. borders: float [H, W],
    probability of the extra border class, for the method "borders". distance: float [H, W], predicted
    distance to the outline, 0 to 1, for the method "distance".
    Pixels above `config.threshold` that hang together are a clump. The method separates a clump into objects,
    each of which hangs together. A clump in which no seed is found is an object of its own: nothing found is
    lost. Then objects below `config.min_size` go, after that holes are filled, and objects at the image's
    border go last if they shall.
    In "watershed", clumps are rid of such holes beforehand: one missing pixel in the middle of an object
    would tear it in two.

    Raises ConfigError if the method needs a map that is not given, ShapeError if a map is not float [H, W] of
    one size with numbers in 0 to 1.
    """
    maps = Maps(foreground, borders, distance)
    require_maps(maps, config)
    clumps = connected_components(foreground > config.threshold, config.connectivity)
    return tidy(separate(close_clumps(clumps, config), seed_map(maps, config), config), config)


def require_maps(maps: Maps, config: ObjectConfig) -> None:
    """Raise ConfigError if the method's map is missing, ShapeError if one is not float [H, W] in 0 to 1."""
    if config.method in _LEARNT and getattr(maps, config.method) is None:
        raise ConfigError(
            found=f"method = '{config.method}' for a network that predicts no {config.method}",
            expected=f"a map of the {config.method} beside the probability of the objects",
            fix="use 'components', 'watershed' or 'probability', which need none, or train with that target",
        )
    for role, values in zip(Maps._fields, maps, strict=True):
        if values is not None:
            _require_map(values, role, maps.foreground.shape)


def seed_map(maps: Maps, config: ObjectConfig) -> FloatMap | None:
    """What seeds are read from, and what they are grown along, high to low: float [H, W]; None if neither is.

    A pixel depends on those up to `reach(config)` away.
    """
    if config.method == "borders":
        assert maps.borders is not None
        values: FloatMap = maps.foreground - maps.borders  # of the interior
    elif config.method == "probability":
        values = maps.foreground
    elif config.method == "distance":
        assert maps.distance is not None
        values = maps.distance
    else:
        return None
    if not config.smoothing:
        return values
    return ndimage.gaussian_filter(values, config.smoothing, mode="nearest", truncate=_TRUNCATE)


def reach(config: ObjectConfig) -> int:
    """How many pixels around a pixel `seed_map` looks at."""
    return int(_TRUNCATE * config.smoothing + 0.5) if config.method in _SEEDED else 0


def close_clumps(clumps: LabelMap, config: ObjectConfig) -> LabelMap:
    """Clumps as `separate` wants them: without small holes where the shape decides; int32 [H, W]."""
    if config.method != "watershed":
        return clumps
    return fill_holes(clumps, config.max_hole, config.connectivity)


def separate(clumps: LabelMap, seeds_from: FloatMap | None, config: ObjectConfig) -> LabelMap:
    """The objects in each clump, not filtered yet: int32 [H, W], any numbers, 0 where `clumps` is 0.

    clumps: int32 [H, W], numbered components. seeds_from: of `seed_map`. What becomes of a clump depends on
    its own pixels alone, so that it may be cut out: with a frame of one pixel, except at the image's border.
    """
    if config.method == "watershed":
        return split_at_necks(clumps, config.seed_depth, config.connectivity)
    if seeds_from is None:
        return clumps
    seeds = connected_components((seeds_from > config.seed_threshold) & (clumps > 0), config.connectivity)
    return grow(seeds, seeds_from, clumps, config.connectivity)


def tidy(labels: LabelMap, config: ObjectConfig) -> LabelMap:
    """The objects that stay, holes filled, numbered 1..n in the order of rows: int32 [H, W]."""
    if config.min_size > 1:
        labels = remove_small(labels, config.min_size)
    if config.max_hole:
        labels = fill_holes(labels, config.max_hole, config.connectivity)
    if config.border_objects == "drop":
        labels = drop_border_objects(labels)
    return renumber(labels)


def _require_map(values: FloatMap, role: str, shape: tuple[int, ...]) -> None:
    if values.ndim != 2 or values.dtype.kind != "f" or values.shape != shape:
        raise ShapeError(
            found=f"a map of {role} of shape {values.shape} and type {values.dtype}",
            expected=f"float [H, W]{'' if role == 'foreground' else f', {shape} like the foreground'}",
            fix="give the probabilities of one class; bool masks go to connected_components",
        )
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is refused, too: it compares as False
        raise ShapeError(
            found=f"a map of {role} with values {low:.6g} to {high:.6g}",
            expected="numbers in 0 to 1",
            fix="give probabilities (softmax), not logits, grey values or results that are not numbers",
        )
