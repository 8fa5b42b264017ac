"""Two evaluations of the same images: which is better, by how much, and whether that is more than noise."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from uvala.config import Config
from uvala.errors import DataError
from uvala.evaluation.compare_files import read_scores
from uvala.evaluation.scores import ImageScore, Measure, Scores
from uvala.files import write_json
from uvala.metrics.intervals import FEW_GROUPS, PairedDifference, holm, paired_difference

__all__ = ["Comparison", "ImageDifference", "MeasureDifference", "compare", "read_scores"]

NOISE = 0.05  # p from which on nothing is claimed

Pair = tuple[ImageScore, ImageScore]


class MeasureDifference(Config):
    """One measure of both on the images that have a value in both; None where nothing can be said."""

    name: str
    words: str = ""
    unit: str = ""
    higher_is_better: bool = True
    a: float | None = Field(description="mean over these images")
    b: float | None = Field(description="likewise")
    difference: float | None = Field(description="mean of b - a over these images")
    low: float | None = Field(
        description="lower end of its 95% bootstrap interval, images (groups) resampled"
    )
    high: float | None
    p_value: float | None = Field(description="of a paired sign-flip permutation test, two-sided")
    p_holm: float | None = Field(
        None, description="corrected for all measures that are tested beside the main one"
    )
    images: int
    groups: int = Field(description="how many of them are independent")
    a_better: int = Field(description="images on which a is better")
    b_better: int
    alike: int
    equal: tuple[str, ...] = Field((), description="measures that are the same number on each image of both")
    detectable: float | None = Field(
        description="true difference that as many images show in 4 of 5 cases; None of fewer than 6 groups, "
        "for which p cannot fall below 0.05"
    )

    @property
    def better(self) -> int:
        """0 if a is better by this measure, 1 if b is, whether or not that is noise."""
        return int(((self.difference or 0.0) > 0) == self.higher_is_better)

    @property
    def is_noise(self) -> bool:
        """Whether chance explains the difference."""
        return self.p_value is None or self.p_value >= NOISE

    @property
    def least_p(self) -> float:
        """The smallest p that so many groups can have: that of a difference of the same sign in all."""
        return min(1.0, 2.0 ** (1 - self.groups))


class ImageDifference(Config):
    """The main measure of one image."""

    name: str
    a: float
    b: float
    difference: float = Field(description="b - a")


class Comparison(Config):
    """What distinguishes evaluation b from a; a positive difference says that b has the larger number."""

    names: tuple[str, str]
    main: MeasureDifference = Field(description="of the measure that the task is about")
    measures: tuple[MeasureDifference, ...] = Field(description="all others that both have")
    images: tuple[ImageDifference, ...] = Field(
        description="by the main measure, the largest difference first"
    )
    compared: int = Field(description="images that both scored")
    only_a: int = Field(description="images that only a scored")
    only_b: int
    notes: tuple[str, ...] = Field((), description="what makes the comparison less than fair, in sentences")

    def to_json(self, path: str | Path) -> None:
        """Write all of it as JSON; None becomes null."""
        write_json(Path(path), self.model_dump(mode="json"))


def compare(a: Scores, b: Scores, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare two evaluations on the images that both scored, by each measure that both have.

    Images are known again by their pixels, or by their names where an evaluation did not keep those. Images
    of one group (as a says) count as one. Raises DataError if classes differ or no image is in both.
    """
    if sorted(a.class_names) != sorted(b.class_names):
        raise DataError(
            found=f"{names[0]} with the classes {', '.join(a.class_names)} and {names[1]} with "
            f"{', '.join(b.class_names)}",
            expected="the same classes in both",
            fix="compare runs that were trained for the same task",
        )
    pairs = _same_images(a.images, b.images)
    if not pairs:
        raise DataError(
            found=f"no image that both {names[0]} and {names[1]} scored",
            expected="evaluations of the same images",
            fix="run `uvala evaluate RUN DATA --json FILE` for both on the same data, and compare the files",
        )
    main, others = _tested(a, b, pairs)
    return Comparison(
        names=names,
        main=main,
        measures=others,
        images=_image_differences(pairs, main.name),
        compared=len(pairs),
        only_a=len(a.images) - len(pairs),
        only_b=len(b.images) - len(pairs),
        notes=tuple(_notes(a, b, pairs, names, main)),
    )


def _same_images(ours: Sequence[ImageScore], theirs: Sequence[ImageScore]) -> list[Pair]:
    """Pairs of the same image: equal pixels, or equal names where one of both does not know its pixels."""
    by_content, by_name = defaultdict(list), {image.name: image for image in theirs}
    for image in theirs:
        by_content[image.content].append(image)
    pairs = []
    for image in ours:
        namesake = by_name.get(image.name)
        alike = by_content[image.content] if image.content else []
        if namesake is not None and (namesake in alike or not (image.content and namesake.content)):
            pairs.append((image, namesake))
        elif alike:
            pairs.append((image, alike[0]))
    return list({id(other): (image, other) for image, other in pairs}.values())  # each of theirs once


def _tested(
    a: Scores, b: Scores, pairs: Sequence[Pair]
) -> tuple[MeasureDifference, tuple[MeasureDifference, ...]]:
    """The main measure and all others, corrected for their number."""
    kinds = {measure.name: measure for measure in (*b.measures, *a.measures)}
    both = {name for image, _ in pairs for name in _values(image)} & {
        name for _, image in pairs for name in _values(image)
    }
    name = a.main if a.main in both else "dice"
    comparable = [each for each in kinds if each in both and each != name and _same_scale(a, b, kinds[each])]
    distinct = _distinct([name, *comparable], kinds, pairs)
    main, *others = [
        _difference(each, kinds.get(each), pairs).model_copy(update={"equal": equal})
        for each, equal in distinct.items()
    ]
    corrected = holm([np.nan if each.p_value is None else each.p_value for each in others])
    return main, tuple(
        each.model_copy(update={"p_holm": _known(p)}) for each, p in zip(others, corrected, strict=True)
    )


def _distinct(
    names: Sequence[str], kinds: Mapping[str, Measure], pairs: Sequence[Pair]
) -> dict[str, tuple[str, ...]]:
    """The first of each set of measures that are equal on each image of both, and the others of its set.

    Of two classes, the recall of one is the specificity of the other: tested twice, it would only make the
    correction stricter. A single number on all images of both says nothing of what the measures are.
    """
    first: dict[object, str] = {}
    equal: dict[str, tuple[str, ...]] = {}
    for name in names:
        kind = kinds.get(name)
        sides = [
            tuple(_rounded(_values(image).get(name)) for image in side) for side in zip(*pairs, strict=True)
        ]
        higher, unit = (True, "") if kind is None else (kind.higher_is_better, kind.unit)
        key = (*sides, higher, unit) if len({*sides[0], *sides[1]}) > 1 else name
        same = first.setdefault(key, name)
        equal[same] = (*equal[same], name) if same != name else ()
    return equal


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 9)  # two formulas of one number differ in the last digits


def _difference(name: str, kind: Measure | None, pairs: Sequence[Pair]) -> MeasureDifference:
    values = [[_values(image).get(name) for image in side] for side in zip(*pairs, strict=True)]
    a, b = (np.array([np.nan if value is None else value for value in side]) for side in values)
    groups = [image.group or f"image {place}" for place, (image, _) in enumerate(pairs)]
    found = paired_difference(a, b, groups=groups)
    in_both = ~np.isnan(a + b)
    higher = kind is None or kind.higher_is_better
    return MeasureDifference(
        name=name,
        words="" if kind is None else kind.words,
        unit="" if kind is None else kind.unit,
        higher_is_better=higher,
        a=float(a[in_both].mean()) if found.images else None,
        b=float(b[in_both].mean()) if found.images else None,
        **_numbers(found),
        images=found.images,
        groups=found.groups,
        a_better=found.a_larger if higher else found.b_larger,
        b_better=found.b_larger if higher else found.a_larger,
        alike=found.alike,
    )


def _numbers(found: PairedDifference) -> dict[str, float | None]:
    value, low, high = map(_known, found.difference)
    can_be_told = 2.0 ** (1 - found.groups) < NOISE
    if found.groups < FEW_GROUPS:
        low = high = None  # as in an evaluation: it would promise too much
    return {
        "difference": value,
        "low": low,
        "high": high,
        "p_value": _known(found.p_value),
        "detectable": _known(found.detectable) if can_be_told else None,
    }


def _values(image: ImageScore) -> dict[str, float | None]:
    """The measures of an image by name; of an evaluation that kept few of them, those."""
    return image.measures or {"dice": image.mean_dice, "accuracy": image.accuracy}


def _same_scale(a: Scores, b: Scores, measure: Measure) -> bool:
    """Whether the numbers mean the same: distances depend on the size of a pixel, one on the tolerance."""
    if measure.unit and (a.spacing, a.unit) != (b.spacing, b.unit):
        return False
    return not measure.name.startswith("nsd") or (a.tolerance, a.spacing, a.unit) == (
        b.tolerance,
        b.spacing,
        b.unit,
    )


def _image_differences(pairs: Sequence[Pair], name: str) -> tuple[ImageDifference, ...]:
    found = []
    for image, other in pairs:
        a, b = _values(image).get(name), _values(other).get(name)
        if a is not None and b is not None:
            found.append(ImageDifference(name=image.name, a=a, b=b, difference=b - a))
    return tuple(sorted(found, key=lambda each: -abs(each.difference)))


def _notes(
    a: Scores, b: Scores, pairs: Sequence[Pair], names: tuple[str, str], main: MeasureDifference
) -> Iterator[str]:
    left_out = (len(a.images) - len(pairs), len(b.images) - len(pairs))
    for name, number in zip(names, left_out, strict=True):
        if number:
            yield f"{number} of the images of {name} were not scored by the other and are left out."
    other_pixels = sum(image.pixels != other.pixels for image, other in pairs)
    if other_pixels:
        yield (
            f"On {other_pixels} of the images not as many pixels count for one as for the other: their masks "
            "or regions differ."
        )
    if a.main != b.main:
        yield f"{names[0]} was scored as {a.task}, {names[1]} as {b.task}: both are compared by {main.name}."
    elif main.name != a.main:
        yield f"Not both hold {a.main} of each image: they are compared by {main.name}."
    if (a.spacing, a.unit, a.tolerance) != (b.spacing, b.unit, b.tolerance):
        yield "The size of a pixel or the tolerance differ: measures that depend on them are not compared."
    if "train" in (a.subset, b.subset):
        yield "These are images that a run was trained on: they say little about new ones."
    if main.least_p >= NOISE and main.groups:
        few = "for an interval, and p" if main.groups < FEW_GROUPS else "to tell a difference from noise: p"
        yield (
            f"{main.groups} independent image{'s are' if main.groups != 1 else ' is'} too few {few} cannot "
            f"fall below {main.least_p:.2g}. Score more of them."
        )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
