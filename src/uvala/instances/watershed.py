"""Which seed a pixel belongs to: seeded watershed, and seeds from the shape of a mask alone.

Two properties, for which scikit-image's watershed alone would not do, and which tests hold:

- The result inside a clump (pixels of a mask that hang together) depends on nothing outside it. So a clump
  can be cut out of an image of any size and gives the same objects (see `merge`). In scikit-image the order
  among seed pixels of equal height depends on what else is in its heap.
- Most pixels only need to look uphill. The heap, which is slow, gets those which that does not settle.

Without equal heights the result is scikit-image's, pixel by pixel.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from uvala.arrays import LabelMap

__all__ = ["grow", "split_at_necks"]

Connectivity = Literal[1, 2]

_STEPS = {1: [(-1, 0), (0, -1), (0, 1), (1, 0)]}
_STEPS[2] = [*_STEPS[1], (-1, -1), (-1, 1), (1, -1), (1, 1)]


def split_at_necks(clumps: LabelMap, depth: float, connectivity: Connectivity) -> LabelMap:
    """The parts of each clump between its necks: int32 [H, W], any numbers, 0 where `clumps` is 0.

    clumps: int32 [H, W], numbered components of a mask under `connectivity`. depth: pixels. The distance of a
    pixel to the background is a landscape whose peaks are the middles of roundish parts; the neck between two
    is its saddle. Two parts stay apart if each rises above the saddle by more than `depth`: the peaks that
    stay are the h-maxima of the distance transform, h = depth. The image's border is no background: an object
    that it cuts off is as wide there as one sees it.
    Source: h-maxima by dynamics, Grimaud (1992), "A new measure of contrast: the dynamics"; one flooding from
    all peaks, merged afterwards, gives the same as flooding from those that stay: Najman and Schmitt (1996),
    "Geodesic saliency of watershed contours and hierarchical segmentation".
    """
    if clumps.all():  # no background to be distant from
        return clumps.copy()
    heights = ndimage.distance_transform_edt(clumps > 0)
    peaks = np.empty(clumps.shape, np.int32)
    structure = ndimage.generate_binary_structure(2, connectivity)
    ndimage.label(local_maxima(heights, connectivity=connectivity) & (clumps > 0), structure, output=peaks)
    parts = grow(peaks, heights, clumps, connectivity)
    return _merge_shallow(parts, peaks, heights, depth, connectivity)


def grow(
    seeds: LabelMap, heights: NDArray[np.floating[Any]], clumps: LabelMap, connectivity: Connectivity
) -> LabelMap:
    """Seeds grown over their clumps, from high to low: int32 [H, W], 0 where `clumps` is 0.

    seeds: int32 [H, W], components numbered up to n that lie inside clumps; they keep their numbers. heights:
    float [H, W], no NaN; a pixel goes to the seed from which the way leads least far down, and pixels equally
    high to the nearer one. clumps: int32 [H, W], components numbered from 1 under `connectivity`. A clump
    without a seed becomes an object of its own, with a number above n: nothing is lost.
    Source: Meyer (1994), "Topographic distance and watershed lines"; Vincent and Soille (1991).
    """
    count = int(seeds.max(initial=0))
    at = np.flatnonzero(seeds)
    clump_of = np.zeros(count + 1, np.int32)
    clump_of[seeds.ravel()[at]] = clumps.ravel()[at]
    seeds_in = np.bincount(clump_of[1:], minlength=int(clumps.max(initial=0)) + 1)
    seeds_in[0] = 0  # numbers that no seed has
    owner = count + np.arange(len(seeds_in), dtype=np.int32)  # clump -> object, if it has one seed or none
    owner[clump_of[1:]] = np.arange(1, count + 1)
    owner[seeds_in > 1] = 0
    owner[0] = 0
    labels = owner[clumps]
    if not (seeds_in > 1).any():
        return labels
    contested = (seeds_in > 1)[clumps]
    return labels + _flood(np.where(contested, seeds, 0), heights, contested, connectivity)


def _flood(
    seeds: LabelMap,
    heights: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    connectivity: Connectivity,
) -> LabelMap:
    """As `grow`, in a mask each component of which has a seed."""
    inside = np.s_[1:-1, 1:-1]
    landscape = np.pad(np.where(mask, heights, -np.inf), 1, constant_values=-np.inf)
    labels = np.pad(seeds, 1).ravel()
    labels = labels[_summits(landscape, labels, connectivity)]
    rest = np.flatnonzero((labels == 0) & np.pad(mask, 1).ravel())
    if len(rest):
        _flood_rest(labels, landscape, rest, connectivity)
    return labels.reshape(landscape.shape)[inside]


def _summits(
    landscape: NDArray[np.floating[Any]], seeds: NDArray[np.int32], connectivity: Connectivity
) -> NDArray[np.intp]:
    """Where the steepest way up from each pixel ends, as flat indices [H * W]: at a seed, or where no
    neighbour is higher.

    landscape: float [H, W], -inf in its frame and outside the mask; seeds: int32 [H * W].
    """
    width = landscape.shape[1]
    inside = landscape[1:-1, 1:-1]
    highest = inside.copy()
    step = np.zeros(landscape.shape, np.int32)
    for down, right in _STEPS[connectivity]:
        near = landscape[1 + down : landscape.shape[0] - 1 + down, 1 + right : width - 1 + right]
        # a step out of the mask is never taken: nothing is lower than -inf
        better = near > highest
        np.copyto(highest, near, where=better)
        np.copyto(step[1:-1, 1:-1], down * width + right, where=better & np.isfinite(inside))
    step = np.where(seeds > 0, 0, step.ravel())
    target = np.arange(step.size) + step
    while True:  # each round doubles the way
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further


def _flood_rest(
    labels: NDArray[np.int32],
    landscape: NDArray[np.floating[Any]],
    rest: NDArray[np.intp],
    connectivity: Connectivity,
) -> None:
    """Label the pixels `rest` (flat indices) from the labelled ones next to them, in place."""
    width = landscape.shape[1]
    near = np.concatenate([rest + down * width + right for down, right in _STEPS[connectivity]])
    shore = np.unique(near[labels[near] > 0])
    active = np.concatenate([shore, rest])
    # the lowest rank is flooded first; equal heights share a rank, so that the heap takes them by age and two
    # floods meet in the middle of a plain. But the shore has no age: there each pixel gets a rank of its own,
    # before those of its height, in the order of rows, which a cut-out keeps.
    rank = np.unique(-landscape.ravel()[active], return_inverse=True)[1].astype(np.float64)
    rank[: len(shore)] -= 0.5 - 0.25 * np.arange(len(shore)) / len(shore)
    relief, mask = np.zeros(landscape.size), np.zeros(landscape.size, bool)
    relief[active], mask[active] = rank, True
    shape = landscape.shape
    markers = np.where(mask, labels, 0).reshape(shape)
    flooded = watershed(relief.reshape(shape), markers, connectivity, mask=mask.reshape(shape))
    labels[rest] = flooded.ravel()[rest]


def _merge_shallow(
    parts: LabelMap,
    peaks: LabelMap,
    heights: NDArray[np.float64],
    depth: float,
    connectivity: Connectivity,
) -> LabelMap:
    """Join each part with its neighbour across the highest saddle unless both rise above it by > depth.

    peaks: int32 [H, W], the summits of the parts, with their numbers.
    """
    summit = _summit_heights(parts, peaks, heights)
    tree, joined = list(range(len(summit))), list(range(len(summit)))
    for one, other, saddle in zip(*_saddles(parts, heights, connectivity), strict=True):
        high, low = _root(tree, one), _root(tree, other)
        if high == low:
            continue
        if (summit[high], -high) < (summit[low], -low):
            high, low = low, high
        # what lies below here has met its first higher peak: the saddle decides whether it stays a peak
        if summit[low] - saddle <= depth:
            joined[_root(joined, one)] = _root(joined, other)
        tree[low] = high
    return np.array([_root(joined, part) for part in range(len(joined))], np.int32)[parts]


def _summit_heights(parts: LabelMap, peaks: LabelMap, heights: NDArray[np.float64]) -> list[float]:
    at = np.flatnonzero(peaks)
    summit = np.zeros(int(parts.max(initial=0)) + 1)  # a part without a peak is a clump of its own
    summit[peaks.ravel()[at]] = heights.ravel()[at]
    return summit.tolist()


def _saddles(
    parts: LabelMap, heights: NDArray[np.float64], connectivity: Connectivity
) -> tuple[list[int], list[int], list[float]]:
    """Each pair of touching parts with the highest point at which they touch, from high to low."""
    ones, others, saddles = [], [], []
    for here, there in _neighbours(connectivity):
        one, other = parts[here], parts[there]
        touch = (one != other) & (one > 0) & (other > 0)
        ones.append(np.minimum(one[touch], other[touch]))
        others.append(np.maximum(one[touch], other[touch]))
        saddles.append(np.minimum(heights[here][touch], heights[there][touch]))
    one, other, saddle = np.concatenate(ones), np.concatenate(others), np.concatenate(saddles)
    order = np.argsort(-saddle, kind="stable")
    pairs = one.astype(np.int64) << 32 | other
    best = order[np.sort(np.unique(pairs[order], return_index=True)[1])]
    return one[best].tolist(), other[best].tolist(), saddle[best].tolist()


def _neighbours(connectivity: Connectivity) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Slices of two views of an image that lie over each other where neighbours are, each pair once."""
    everything, start, end = slice(None), slice(None, -1), slice(1, None)
    pairs = [((everything, start), (everything, end)), ((start, everything), (end, everything))]
    slanted = [((start, start), (end, end)), ((start, end), (end, start))]
    return pairs + slanted if connectivity == 2 else pairs


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
