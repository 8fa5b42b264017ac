"""Images that occur twice: the same pixels, or nearly, as after another compression, size or brightness."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uvala.data.image_facts import THUMBNAIL, ImageFacts

__all__ = ["exact_duplicates", "join_groups", "near_duplicates", "neighbours_alike"]

_ALIKE = 0.97
_ALIKE_IN_DETAIL = 0.93
"""Correlations of two thumbnails, and of their details, above which two images are nearly the same.

Measured: 95% of copies of ISBI, DSB 2018 and CamVid images in JPEG of quality 30, half the size, half the
brightness or with noise have 0.98 and 0.98 at least. Different images reach 0.69 and 0.56 (neighbouring
slices of ISBI) or 0.31 and 0.26 (DSB 2018); frames of CamVid in standing traffic are found, and meant to be.
"""

_SERIES = 0.15
"""Correlation of details between neighbours, above which they are a series: measured 0.43 for slices of ISBI
and 0.36 for frames of CamVid, but 0.09 and 0.00 an eighth of the series apart; 0.00 for DSB 2018."""

_BLOCK = 1024
_MOST_MATCHES = 16
"""Matches of one image that are followed: in a still film all frames match, and a chain joins them."""


def exact_duplicates(images: Mapping[str, ImageFacts]) -> tuple[tuple[str, ...], ...]:
    """Groups of names whose images have the same pixels; constant images are not compared."""
    same: dict[str, list[str]] = defaultdict(list)
    for name, facts in images.items():
        if not facts.constant:
            same[facts.content].append(name)
    return tuple(tuple(names) for names in same.values() if len(names) > 1)


def near_duplicates(images: Mapping[str, ImageFacts]) -> tuple[tuple[str, ...], ...]:
    """Groups of names whose images are nearly the same, exact duplicates not among them.

    Compares all pairs of thumbnails: 3 s for 10,000 images on two cores, growing with the square.
    """
    first: dict[str, str] = {}
    for name, facts in images.items():
        first.setdefault(facts.content, name)
    names = [name for name in first.values() if images[name].thumbnail.any()]
    if len(names) < 2:
        return ()
    coarse = np.stack([images[name].thumbnail for name in names]).astype(np.float32)
    detail = _details(coarse)
    pairs = []
    for start in range(0, len(names), _BLOCK):
        alike = coarse[start : start + _BLOCK] @ coarse.T > _ALIKE
        for row in np.flatnonzero(alike.sum(axis=1) > 1):
            others = np.flatnonzero(alike[row])
            others = others[others > start + row]
            same = others[detail[others] @ detail[start + row] > _ALIKE_IN_DETAIL]
            pairs += [(names[start + row], names[other]) for other in same[:_MOST_MATCHES]]
    return join_groups(pairs)


def neighbours_alike(images: Sequence[ImageFacts]) -> bool:
    """Whether images that follow each other are more alike than others: slices of a volume, frames of a film.

    Images sorted by kind are alike within a kind, near or far; those of a series are less so with distance.
    """
    if len(images) < 6:
        return False
    thumbnails = np.stack([facts.thumbnail for facts in images]).astype(np.float32)
    detail = _details(thumbnails)
    next_one = float(np.median((detail[1:] * detail[:-1]).sum(axis=1)))
    away = max(3, len(images) // 8)
    farther = float(np.median((detail[away:] * detail[:-away]).sum(axis=1)))
    return next_one > _SERIES and farther < 0.75 * next_one


def join_groups(groups: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups that share a member become one; in the order of their first members."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in groups:
        for name in group:
            parent.setdefault(name, name)
            parent[root(name)] = root(group[0])
    joined: dict[str, list[str]] = defaultdict(list)
    for name in parent:
        joined[root(name)].append(name)
    return tuple(tuple(members) for members in joined.values() if len(members) > 1)


def _details(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of thumbnails [N, 32 * 32] without their coarse shading, of mean 0 and norm 1 again.

    A vignette or an uneven lamp is the same in all images of an instrument and makes none of them a copy.
    """
    square = thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL)
    padded = np.pad(square, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    sums = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2)).mean(axis=(3, 4))
    detail = (square - sums).reshape(len(thumbnails), -1)
    norms = np.linalg.norm(detail, axis=1, keepdims=True)
    return detail / np.maximum(norms, 1e-12)
