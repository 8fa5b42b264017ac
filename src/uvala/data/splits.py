"""Which samples are trained on, which choose the best weights, and which are never looked at before the end.

What somebody has decided wins: a file of names, split.json beside the data, the lists or folders of the
layout. Otherwise it is drawn, with a seed. Samples of one group, and copies of one image, are never on two
sides; of a series (slices, frames), whose neighbours are alike, a run of neighbours is held out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import Field

from uvala.arrays import MAX_CLASSES
from uvala.config import Config
from uvala.data.dataset import Dataset
from uvala.data.duplicates import join_groups
from uvala.data.split_lists import SIDES, decided_sides
from uvala.data.wording import count, name_some
from uvala.errors import SplitError

__all__ = ["Split", "SplitConfig", "Unit", "guess_groups", "make_split", "units_of"]

Unit = tuple[str, ...]
"""Names that stay on one side."""

_NUMBERED = re.compile(r"(?P<group>.*\d.*)[/_\-. ](?P<part>[A-Za-z]*\d+)")
"""A group with a number in it, a separator, a numbered part: "patient12_slice003", "0016E5_04350"."""

_DRAWS = 20


class SplitConfig(Config):
    """How a split is drawn where nobody has decided."""

    val_share: float = Field(
        0.15, gt=0, lt=1, description="share of the samples that choose the best weights"
    )
    test_share: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="share held out for the final score, if nothing about the split was decided",
    )
    fewest_for_test: int = Field(
        20, ge=3, description="groups, or single samples, below which nothing is held out for a final score"
    )


class Split(Config):
    """Names of the samples on each side, and where that comes from."""

    train: tuple[str, ...] = Field((), description="samples that are trained on")
    val: tuple[str, ...] = Field((), description="samples that choose the best weights and end the training")
    test: tuple[str, ...] = Field((), description="samples that only the final score sees")
    seed: int | None = Field(None, description="seed of what was drawn")
    origin: str = Field("", description="where the split comes from, in words")


def make_split(
    dataset: Dataset, *, seed: int, file: Path | None = None, config: SplitConfig | None = None
) -> Split:
    """The split of `dataset`: as somebody decided it, the rest drawn with `seed`.

    file: JSON, {"train": [...], "val": [...], "test": [...]} with names of samples, with or without their
    endings; without "train", all others are trained on. SplitError for names that are not in the data set,
    that stand in two lists, or if nothing is left to train on.
    """
    config = config or SplitConfig()
    decided, origin = decided_sides(dataset.samples, dataset.root, file)
    names = [sample.name for sample in dataset.samples]
    if decided and "train" not in decided.values():
        decided = {name: "train" for name in names} | decided
        origin = [*origin, "all others are trained on"]
    sides = dict(decided) if decided else dict.fromkeys(names, "train")
    units, reason, series = units_of(dataset)
    rng = np.random.default_rng(seed)
    drawn = []
    if not decided and len(units) >= config.fewest_for_test and config.test_share:
        drawn.append(("test", config.test_share))
    if "val" not in sides.values():
        drawn.append(("val", config.val_share))
    for side, share in drawn:
        wanted = max(1, round(share * len(names if not decided else _on(sides, "train"))))
        for name in _draw(_within(units, sides), wanted, rng, dataset.present, series=series):
            sides[name] = side
    if drawn:
        shown = " and ".join(f"{side} ({share:.0%})" for side, share in drawn)
        origin = [*origin, f"{shown} drawn with seed {seed}{reason}"]
    split = Split(
        **{side: tuple(name for name in names if sides.get(name) == side) for side in SIDES},
        seed=seed if drawn else None,
        origin="; ".join([*origin, *_remarks(dataset, sides)]),
    )
    if not split.train or not split.val:
        raise SplitError(
            found=f"{count(len(split.train), 'image')} to train on and {len(split.val):,} to validate with "
            f"({split.origin})",
            expected="at least one of each",
            fix="move names between the lists, or leave 'val' out to have it drawn",
        )
    return split


def guess_groups(names: Sequence[str]) -> dict[str, str]:
    """Groups that the names alone give away; empty without strong evidence.

    Every name is a prefix with a number in it and a numbered part ("patient12_slice003"), there are at least
    three prefixes, and most of them have several parts. Prefixes without a number ("cat_001") name kinds, and
    a kind must not be held out as a whole.
    """
    matches = {name: _NUMBERED.fullmatch(str(PurePosixPath(name).with_suffix(""))) for name in names}
    groups = {name: match["group"] for name, match in matches.items() if match is not None}
    sizes = Counter(groups.values())
    several = sum(size > 1 for size in sizes.values())
    if len(groups) < len(names) or len(sizes) < 3 or several < 0.8 * len(sizes):
        return {}
    return groups


def units_of(dataset: Dataset) -> tuple[list[Unit], str, bool]:
    """Names that stay together, why, and whether they follow each other as a series."""
    names = [sample.name for sample in dataset.samples]
    groups = {sample.name: sample.group for sample in dataset.samples if sample.group is not None}
    reason = f", whole groups together ({count(len(set(groups.values())), 'group')})" if groups else ""
    series = False
    if len(set(groups.values())) == 1 and len(groups) == len(names):
        groups, reason, series = {}, ", a run of neighbours, for all images are one group", True
    elif not groups:
        groups = dict(guess_groups(names))
        if groups:
            more = len(set(groups.values())) - 1
            reason = f", groups kept together as names suggest ('{groups[names[0]]}' and {more} more)"
        elif dataset.facts.alike:
            reason, series = ", a run of neighbours, for images that follow each other are alike", True
    together: dict[str, list[str]] = defaultdict(list)
    for name, group in groups.items():
        together[group].append(name)
    # neighbours in a series are alike, and chains of them would tie all of it together
    copies = () if series else dataset.copies
    if not groups and max(map(len, copies), default=0) > len(names) / 2:
        copies, reason, series = (), ", a run of neighbours, for most images are nearly the same", True
    if copies:
        reason += ", copies of one image together"
    joined = join_groups([*together.values(), *copies])
    tied = {name for unit in joined for name in unit}
    return [*joined, *((name,) for name in names if name not in tied)], reason, series


def _within(units: Iterable[Unit], sides: Mapping[str, str]) -> list[Unit]:
    """What may be drawn from: the units that lie in training as a whole, or at least their parts in it."""
    held_out = [unit for unit in units if all(sides.get(name) in ("train", None) for name in unit)]
    parts = [tuple(name for name in unit if sides.get(name) == "train") for unit in held_out]
    free = [part for part in parts if part]
    return free or [(name,) for name in _on(sides, "train")]


def _on(sides: Mapping[str, str], side: str) -> list[str]:
    return [name for name, found in sides.items() if found == side]


def _draw(
    units: Sequence[Unit],
    wanted: int,
    rng: np.random.Generator,
    present: Mapping[str, frozenset[int]],
    *,
    series: bool,
) -> Unit:
    """About `wanted` names of whole units, not all of them; of a few draws the one that shows most classes.

    A draw without the rare class could neither choose weights for it nor score it.
    """
    if len(units) < 2:
        return ()
    order = {name: place for place, unit in enumerate(units) for name in unit}
    best: Unit = ()
    most = -1
    for _ in range(_DRAWS):
        drawn = _draw_run(units, wanted, rng) if series else _draw_any(units, wanted, rng)
        names = tuple(name for unit in drawn for name in unit)
        rest = order.keys() - set(names)
        shown = len(_classes_of(names, present)) + len(_classes_of(rest, present))
        if shown > most:
            best, most = names, shown
    return best


def _draw_any(units: Sequence[Unit], wanted: int, rng: np.random.Generator) -> list[Unit]:
    fitting = [unit for unit in units if len(unit) <= 1.5 * wanted] or [min(units, key=len)]
    drawn: list[Unit] = []
    size = 0
    for place in rng.permutation(len(fitting)):
        unit = fitting[place]
        if size >= wanted or len(drawn) == len(units) - 1:
            break
        if not drawn or size + len(unit) <= 1.5 * wanted:
            drawn.append(unit)
            size += len(unit)
    return drawn


def _draw_run(units: Sequence[Unit], wanted: int, rng: np.random.Generator) -> list[Unit]:
    length = min(wanted, len(units) - 1)
    start = int(rng.integers(len(units) - length + 1))
    return list(units[start : start + length])


def _classes_of(names: Iterable[str], present: Mapping[str, frozenset[int]]) -> set[int]:
    return {index for name in names for index in present[name] if index < MAX_CLASSES}


def _remarks(dataset: Dataset, sides: Mapping[str, str]) -> list[str]:
    """What a decided split has to be told about: unused samples, groups and copies on several sides."""
    unused = len(dataset.samples) - len(sides)
    remarks = [f"{count(unused, 'image')} in no list, unused"] if unused else []
    groups: dict[str, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        if sample.group is not None and sample.name in sides:
            groups[sample.group].add(sides[sample.name])
    torn = [group for group, found in groups.items() if len(found) > 1]
    if torn and len(groups) > 1:
        remarks.append(f"groups on several sides: {name_some(torn)}")
    if not dataset.facts.alike:
        copies = [group for group in dataset.copies if len({sides.get(name) for name in group} - {None}) > 1]
        if copies:
            remarks.append(f"{count(len(copies), 'group')} of copies on several sides, see `uvala check`")
    return remarks
