"""A close look at some masks and images: objects, thickness, neighbours, noise.

It takes some hundredths of a second for each, whatever the size of the data set and of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import IGNORE, ClassMap, ImageArray, LabelMap
from uvala.data.class_centroids import class_centroids, leanings_of
from uvala.data.object_facts import ObjectFacts, Three
from uvala.instances.components import connected_components

__all__ = ["Look", "gather_objects", "look_at_pair", "noise_of"]

_SIDE = 1024  # pixels of a mask that are looked at: the distances of 16 million pixels take seconds
_NEAR = 2  # pixels; objects no further apart are said to touch: a network sees no gap between them
# from a pixel down and to the right: how objects touch, and how they do without a pixel between them
_TOUCHING = [(down, right) for down in range(_NEAR + 1) for right in range(-_NEAR if down else 1, _NEAR + 1)]
_ADJOINING = [(0, 1), (1, 0)]
_SMALLEST = 4  # pixels; fewer are specks of an annotator's brush
_PERCENTILES = (10, 50, 90)
_MOST_RIDGES = 5000  # places of a class in one image where its thickness is read


@dataclass(frozen=True, eq=False)
class Look:
    """What one mask and its image tell; lengths in pixels.

    areas, widths: float [N], of the objects. nearest: float [N], between centres; empty with one object.
    touching, adjoining: how many of the N touch another, and share an edge with it; None where that cannot be
    known. pieces: int [K], connected ones of each class. ridges: of each class, pairs (thickness, weight)
    [2, M]. centroids: float [K, 2], see `class_centroids`.
    """

    areas: NDArray[np.float64]
    widths: NDArray[np.float64]
    nearest: NDArray[np.float64]
    touching: int | None
    adjoining: int | None
    pieces: NDArray[np.int64]
    ridges: tuple[NDArray[np.float64], ...]
    noise: float
    centroids: NDArray[np.float64]


def look_at_pair(
    image: ImageArray,
    classes: ClassMap,
    labels: LabelMap | None,
    num_classes: int,
    rng: np.random.Generator,
) -> Look:
    """Look at an image [C, H, W] and its mask [H, W]; labels: its object numbers, where there are any.

    Of more than 1024 rows or columns, 1024 are looked at, around a pixel of a class drawn from those present.
    """
    centroids = class_centroids(classes, num_classes)
    window = _window(classes, rng)
    classes = classes[window]
    numbered = labels is not None
    connected, pieces = _pieces(classes, num_classes)
    labels = connected if labels is None else labels[window]
    # numbered objects of one class part each other, too
    depth = _depth(labels if numbered else classes)
    crest = _crest(depth)
    areas, widths, middles = _objects(labels, depth, crest)
    return Look(
        areas=areas,
        widths=widths,
        nearest=_nearest(middles),
        touching=_meeting(labels, _TOUCHING) if numbered else None,
        adjoining=_meeting(labels, _ADJOINING) if numbered else None,
        pieces=pieces,
        ridges=_ridges(classes, depth, crest, num_classes, rng),
        noise=noise_of(image[(slice(None), *window)]),
        centroids=centroids,
    )


def gather_objects(looks: Sequence[Look]) -> ObjectFacts:
    """The facts of a data set from looks at some of its pairs, one at least."""
    areas, widths, nearest = (
        np.concatenate([getattr(look, name) for look in looks]) for name in ("areas", "widths", "nearest")
    )
    return ObjectFacts(
        images=len(looks),
        objects=float(np.median([len(look.areas) for look in looks])),
        area=_three(areas),
        width=_three(widths),
        spacing=float(np.median(nearest)) if len(nearest) else None,
        touching=_share(looks, "touching"),
        adjoining=_share(looks, "adjoining"),
        thickness=tuple(
            _weighted_median(np.concatenate(of_class, axis=1))
            for of_class in zip(*(look.ridges for look in looks), strict=True)
        ),
        pieces=tuple(np.median([look.pieces for look in looks], axis=0).tolist()),
        noise=float(np.median([look.noise for look in looks])),
        leanings=leanings_of(look.centroids for look in looks),
    )


def _share(looks: Sequence[Look], name: str) -> float | None:
    """Share of the objects that have others so near; None where masks do not number them."""
    near = [(getattr(look, name), len(look.areas)) for look in looks if getattr(look, name) is not None]
    if not near:
        return None
    found, objects = map(sum, zip(*near, strict=True))
    return min(1.0, found / max(1, objects))  # objects that the border cuts have neighbours, and no area


def noise_of(image: ImageArray) -> float:
    """Standard deviation of the noise of an image [C, H, W] over its range (percentiles 0.5 to 99.5).

    From the median of what is left between diagonal neighbours, which edges hardly reach: Donoho and
    Johnstone (1994), "Ideal spatial adaptation by wavelet shrinkage", with the Haar wavelet. Median over the
    channels; 0 for an image that is constant, or too small to tell.
    """
    if min(image.shape[1:]) < 2:
        return 0.0
    shares = []
    for channel in np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0):
        low, high = np.percentile(channel, (0.5, 99.5))
        diagonal = (channel[:-1, :-1] - channel[:-1, 1:] - channel[1:, :-1] + channel[1:, 1:]) / 2
        # the median of |x| for a normal x of deviation 1
        shares.append(np.median(np.abs(diagonal)) / 0.6745 / (high - low) if high > low else 0.0)
    return float(np.median(shares))


def _window(classes: ClassMap, rng: np.random.Generator) -> tuple[slice, slice]:
    """At most 1024 x 1024 pixels, around one of a class drawn from those present."""
    if max(classes.shape) <= _SIDE:
        return slice(None), slice(None)
    step = max(1, min(classes.shape) // _SIDE)
    coarse = classes[::step, ::step]
    kinds = np.unique(coarse[coarse != IGNORE])
    places = np.flatnonzero(coarse == (rng.choice(kinds) if kinds.size else IGNORE))
    row, column = divmod(int(rng.choice(places)), coarse.shape[1])
    starts = (
        min(max(0, at * step - _SIDE // 2), max(0, extent - _SIDE))
        for at, extent in zip((row, column), classes.shape, strict=True)
    )
    top, left = starts
    return slice(top, top + _SIDE), slice(left, left + _SIDE)


def _pieces(classes: ClassMap, num_classes: int) -> tuple[LabelMap, NDArray[np.int64]]:
    """The connected pieces of all classes but the first, numbered: int32 [H, W]; how many of each: [K]."""
    labels = np.zeros(classes.shape, np.int32)
    counts = np.zeros(num_classes, np.int64)
    for index in np.unique(classes[classes < num_classes]):
        inside = classes == index
        found = connected_components(inside)
        counts[index] = found.max()
        if index > 0:
            labels[inside] = found[inside] + counts[1:index].sum()
    return labels, counts


def _depth(regions: NDArray[np.integer]) -> NDArray[np.float64]:
    """How far inside its region each pixel is: 1 at the border; infinite if there is but one region."""
    border = np.zeros(regions.shape, bool)
    down, right = regions[1:] != regions[:-1], regions[:, 1:] != regions[:, :-1]
    border[1:] |= down
    border[:-1] |= down
    border[:, 1:] |= right
    border[:, :-1] |= right
    if not border.any():
        return np.full(regions.shape, np.inf)
    # the nearest pixel of another region lies behind the nearest border pixel, which is one of one's own
    return np.asarray(ndimage.distance_transform_edt(~border)) + 1


def _thickness(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a stripe whose middle is so deep: 3 pixels have their middle at depth 2, 4 pixels as well."""
    return 2 * depth - 0.5


def _objects(
    labels: LabelMap, depth: NDArray[np.float64], crest: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Areas [N], widths [N] and centres [N, 2]; of whole objects, where there are any."""
    places = np.flatnonzero(labels)
    if labels.max(initial=0) > labels.size:  # numbers as large as that would make long tables
        labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    owners, shape = labels.ravel()[places], labels.shape
    areas = np.bincount(owners)
    kept = areas >= _SMALLEST
    whole = kept.copy()
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        whole[edge[edge < len(whole)]] = False
    chosen = np.flatnonzero(whole if whole.any() else kept)
    deepest = np.zeros(max(len(areas), 1))
    # the deepest pixel of an object lies on a crest
    of_objects = crest[labels.ravel()[crest] > 0]
    np.maximum.at(deepest, labels.ravel()[of_objects], depth.ravel()[of_objects])
    sums = [np.bincount(owners, weights=axis) for axis in np.divmod(places, shape[1])]
    middles = np.stack([each[chosen] / areas[chosen] for each in sums], axis=1)
    widest = float(min(shape))  # of what fills the window
    return areas[chosen].astype(np.float64), np.minimum(_thickness(deepest[chosen]), widest), middles


def _nearest(middles: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial import KDTree

    return KDTree(middles).query(middles, k=2)[0][:, 1] if len(middles) > 1 else np.empty(0)


def _meeting(labels: LabelMap, offsets: Sequence[tuple[int, int]]) -> int:
    """How many objects have a pixel of another at one of these offsets, (down, right), or opposite."""
    found: set[int] = set()
    for down, right in offsets:
        above = labels[: labels.shape[0] - down, max(0, -right) : labels.shape[1] - max(0, right)]
        below = labels[down:, max(0, right) : labels.shape[1] + min(0, right)]
        meet = (above != below) & (above > 0) & (below > 0)
        found.update(above[meet].tolist(), below[meet].tolist())
    return len(found)


def _crest(depth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where nothing beside a pixel is deeper: along the middle of things. Flat indices."""
    return np.flatnonzero(depth == ndimage.maximum_filter(depth, 3))


def _ridges(
    classes: ClassMap,
    depth: NDArray[np.float64],
    crest: NDArray[np.int64],
    num_classes: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], ...]:
    """Of each class: thickness and weight [2, M] along the middle of its parts."""
    if not np.isfinite(depth).all():
        return (np.empty((2, 0)),) * num_classes
    kinds, deep = classes.ravel()[crest], depth.ravel()[crest]
    found = []
    for index in range(num_classes):
        here = deep[kinds == index]
        if len(here) > _MOST_RIDGES:
            here = rng.choice(here, _MOST_RIDGES, replace=False)
        # weighted by itself: a jagged outline has many crests, each a pixel deep
        found.append(np.stack([_thickness(here), here]))
    return tuple(found)


def _weighted_median(pairs: NDArray[np.float64]) -> float:
    """Median of values by their weights [2, M]; 0 of none."""
    if not pairs.shape[1]:
        return 0.0
    values, weights = pairs[:, np.argsort(pairs[0])]
    return float(values[np.searchsorted(np.cumsum(weights), weights.sum() / 2)])


def _three(values: NDArray[np.float64]) -> Three:
    low, middle, high = np.percentile(values, _PERCENTILES) if len(values) else (0.0, 0.0, 0.0)
    return float(low), float(middle), float(high)
