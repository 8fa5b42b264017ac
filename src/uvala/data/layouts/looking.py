"""Which of two sets of files are the masks, where no name says so: a look at a few of them."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from uvala.errors import ImageError
from uvala.images.read import Source, read_mask

__all__ = ["LOOKED_AT", "Look", "look", "second_is_masks"]

LOOKED_AT = 5
"""How many files of each side are opened."""

# Masks have 2 to some dozen values, or ids in large flat regions. Photographs and micrographs have 100 values
# and more, and seldom two equal neighbours.
_FEW_VALUES = 64
_CLEARLY = 3


class Look(NamedTuple):
    """What was seen in some files: the median number of distinct values, and how many neighbours differ."""

    values: float
    unrest: float


def look(sources: Sequence[Source]) -> Look | None:
    """A look at the first few of `sources`; None if none of them can be read."""
    looks = [one for source in sources[:LOOKED_AT] if (one := _look_at(source)) is not None]
    if not looks:
        return None
    return Look(median(one.values for one in looks), median(one.unrest for one in looks))


def _look_at(source: Source) -> Look | None:
    try:
        values = read_mask(source).values
    except ImageError as error:
        # fractions or many channels are no mask, but a good image; any other trouble says nothing
        return Look(np.inf, 1.0) if "a mask" in error.found else None
    if values.ndim == 3:
        values = values.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    changes = (values[:, 1:] != values[:, :-1]).mean() if values.shape[1] > 1 else 0.0
    return Look(float(len(np.unique(values))), float(changes))


def second_is_masks(first: Look, second: Look) -> bool | None:
    """Whether the second of two sets are masks and the first images; None if that cannot be said."""
    fewer, more = sorted((first.values, second.values))
    if fewer <= _FEW_VALUES and fewer * _CLEARLY <= more:
        return second.values == fewer
    calmer, busier = sorted((first.unrest, second.unrest))
    if calmer * _CLEARLY < busier:
        return second.unrest == calmer
    return None
