"""Cross-validation: the images that are not held out in K parts, each of which validates once."""

from collections.abc import Sequence

import numpy as np

from uvala.data.dataset import Dataset
from uvala.data.splits import Split, Unit, units_of
from uvala.data.wording import count
from uvala.errors import SplitError

__all__ = ["make_folds"]


def make_folds(dataset: Dataset, split: Split, folds: int, *, seed: int) -> tuple[Split, ...]:
    """One split per fold: its part validates, the other parts are trained on, the test images stay out.

    What of `split` is not held out is parted, whoever decided which of it validates. Groups and copies stay
    together; of a series (slices, frames), each part is a run of neighbours. Parts are about equally large.
    SplitError if there are fewer groups than folds.
    """
    free = {*split.train, *split.val}
    units, reason, series = units_of(dataset)
    whole = [tuple(name for name in unit if name in free) for unit in units]
    parts = _parts([unit for unit in whole if unit], folds, seed=seed, series=series)
    if not all(parts):
        groups = sum(map(bool, whole))
        raise SplitError(
            found=f"{count(groups, 'group')} of images for {folds} folds",
            expected="a group for each fold, or a single image where there are no groups",
            fix=f"choose --folds {groups} or fewer" if groups > 1 else "leave --folds out",
        )
    order = [sample.name for sample in dataset.samples]
    return tuple(
        Split(
            train=tuple(name for name in order if name in free and name not in part),
            val=tuple(name for name in order if name in part),
            test=split.test,
            seed=seed,
            origin=f"fold {number} of {folds}, drawn with seed {seed}{reason}",
        )
        for number, part in enumerate(map(frozenset, parts), start=1)
    )


def _parts(units: Sequence[Unit], folds: int, *, seed: int, series: bool) -> list[list[str]]:
    """Names of the units in parts of about equal size: runs of a series, else the largest units first."""
    if series:
        total = sum(map(len, units))
        ends = np.cumsum([len(unit) for unit in units]) - [len(unit) / 2 for unit in units]
        places = np.minimum(ends * folds // total, folds - 1).astype(int)
    else:
        drawn = np.random.default_rng(seed).permutation(len(units))
        order = sorted(drawn, key=lambda index: -len(units[index]))
        places, filled = np.zeros(len(units), int), np.zeros(folds, int)
        for index in order:
            places[index] = filled.argmin()
            filled[places[index]] += len(units[index])
    return [
        [name for unit, place in zip(units, places, strict=True) if place == part for name in unit]
        for part in range(folds)
    ]
