"""What is odd about masks once it is known how they are read, images that occur twice, and torn groups."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from uvala.arrays import IGNORE
from uvala.data.dataset_toml import DATASET_TOML
from uvala.data.duplicates import exact_duplicates, near_duplicates
from uvala.data.encoding_table import class_pixels, strange_values
from uvala.data.find_encoding import FoundEncoding
from uvala.data.finding import Finding
from uvala.data.mask_facts import MaskFacts
from uvala.data.masks import MaskEncoding
from uvala.data.sample import Sample
from uvala.data.survey import Survey
from uvala.data.wording import count, name_some

__all__ = ["duplicate_findings", "mask_findings", "split_findings"]

_OVERLAP = 0.01


def mask_findings(survey: Survey, found: FoundEncoding) -> list[Finding]:
    """Masks that were read, but that somebody should look at."""
    masks, encoding = survey.masks, found.encoding
    findings = [
        _jpeg(masks),
        _smoothed(masks, encoding),
        _strays(masks, found),
        _one_class(masks, encoding, lambda index: index == 0, "empty-mask"),
        _one_class(masks, encoding, lambda index: index not in (0, IGNORE), "one-class-mask"),
        _one_class(masks, encoding, lambda index: index == IGNORE, "ignored-mask"),
        _absent_classes(masks, encoding),
        _overlapping_objects(masks),
        _perhaps_objects(masks, found),
    ]
    return [each for each in findings if each is not None]


def duplicate_findings(survey: Survey, sides: dict[str, str]) -> list[Finding]:
    """Images that occur twice, and those of them that lie on different sides of a split.

    sides: "train", "val" or "test" of each sample, where the data say so.
    """
    images = survey.images
    exact, near = exact_duplicates(images), near_duplicates(images)
    findings = []
    if exact:
        masks_of = {each.sample.name: each.mask for each in survey.facts}
        differing = [group for group in exact if _differ([masks_of[name] for name in group])]
        masks = f"; the masks of {count(len(differing), 'group')} differ" if differing else ""
        findings.append(
            Finding(
                kind="duplicates",
                severity="warning",
                found=f"{count(sum(map(len, exact)), 'image')} in {count(len(exact), 'group')} with the same "
                f"pixels{masks}",
                fix="keep one of each" + (", and look which mask is right" if differing else ""),
                files=_files(survey, exact),
                groups=exact,
            )
        )
    if near:
        findings.append(
            Finding(
                kind="near-duplicates",
                severity="note",
                found=f"{count(sum(map(len, near)), 'image')} in {count(len(near), 'group')} that are nearly "
                "the same",
                fix="a drawn split keeps each group on one side; in a split of your own, see to it",
                files=_files(survey, near),
                groups=near,
            )
        )
    torn = [
        ("duplicates-across-split", "error", _torn(exact, sides), "the same pixels"),
        ("near-duplicates-across-split", "warning", _torn(near, sides), "nearly the same pixels"),
    ]
    for kind, severity, groups, what in torn:
        if groups:
            findings.append(
                Finding(
                    kind=kind,
                    severity="error" if severity == "error" else "warning",
                    found=f"{count(len(groups), 'group')} of images with {what} on two sides of the split",
                    expected="no image of training in validation or test",
                    fix="move each group to one side: scores on copies of training images mean nothing",
                    files=_files(survey, groups),
                    groups=tuple(
                        tuple(f"{name} ({sides.get(name, 'no side')})" for name in group) for group in groups
                    ),
                )
            )
    return findings


def _jpeg(masks: Sequence[MaskFacts]) -> Finding | None:
    names = tuple(mask.name for mask in masks if mask.lossy)
    if not names:
        return None
    return Finding(
        kind="jpeg-mask",
        severity="warning",
        found=f"{count(len(names), 'mask')} saved with loss (JPEG), which blurs edges and swallows thin "
        "classes",
        fix="export the masks again as PNG; until then each pixel is read as the nearest class",
        files=names,
    )


def _smoothed(masks: Sequence[MaskFacts], encoding: MaskEncoding) -> Finding | None:
    if not encoding.snap:
        return None
    names = tuple(mask.name for mask in masks if not mask.lossy and strange_values(mask, encoding))
    if not names:
        return None
    return Finding(
        kind="smoothed-mask",
        severity="warning",
        found=f"{count(len(names), 'mask')} with values between those of the classes, as smoothing or "
        "resizing leaves at edges",
        fix="export without anti-aliasing, and resize masks with nearest neighbour only",
        files=names,
    )


def _strays(masks: Sequence[MaskFacts], found: FoundEncoding) -> Finding | None:
    holders = [mask for mask in masks if any(mask.count(value) for value in found.strays)]
    if not holders:
        return None
    pixels = sum(mask.count(value) for mask in holders for value in found.strays)
    return Finding(
        kind="stray-value",
        severity="warning",
        found=f"{'value' if len(found.strays) == 1 else 'values'} "
        f"{name_some(map(found.encoding.spell, found.strays))} on {count(pixels, 'pixel')} of "
        f"{count(len(holders), 'mask')}, which no other mask holds; ignored",
        fix="correct these masks, or give such values a class in dataset.toml",
        files=tuple(mask.name for mask in holders),
    )


def _one_class(
    masks: Sequence[MaskFacts], encoding: MaskEncoding, wanted: Callable[[int], bool], kind: str
) -> Finding | None:
    """Masks with a single class: empty ones, full ones, or ones without any labelled pixel."""
    names: dict[int, list[str]] = defaultdict(list)
    for mask in masks:
        if mask.distinct == 1:
            names[next(iter(class_pixels(mask, encoding)))].append(mask.name)
    indices = [index for index in names if wanted(index) and index <= IGNORE]
    files = tuple(name for index in indices for name in names[index])
    if not files:
        return None
    classes = "ignored pixels" if IGNORE in indices else name_some(encoding.names[index] for index in indices)
    share = len(files) / len(masks)
    return Finding(
        kind=kind,
        severity="warning",
        found=f"{count(len(files), 'mask')} ({share:.0%}) with nothing but {classes}",
        fix="right if the images show nothing else; if not, these masks were not drawn or not exported",
        files=files,
    )


def _absent_classes(masks: Sequence[MaskFacts], encoding: MaskEncoding) -> Finding | None:
    present = {index for mask in masks for index in class_pixels(mask, encoding)}
    absent = [name for index, name in enumerate(encoding.names) if index not in present]
    if not absent:
        return None
    return Finding(
        kind="absent-class",
        severity="warning",
        found=f"{count(len(absent), 'class', 'classes')} that no mask contains: {name_some(absent)}",
        fix="add images that show it, or take it out of dataset.toml",
    )


def _overlapping_objects(masks: Sequence[MaskFacts]) -> Finding | None:
    names = tuple(mask.name for mask in masks if mask.overlap > _OVERLAP * mask.pixels)
    if not names:
        return None
    return Finding(
        kind="overlapping-objects",
        severity="warning",
        found=f"{count(len(names), 'image')} whose object masks overlap on more than {_OVERLAP:.0%} of it",
        fix="an object that is drawn later covers an earlier one; see whether some are drawn twice",
        files=names,
    )


def _perhaps_objects(masks: Sequence[MaskFacts], found: FoundEncoding) -> Finding | None:
    if not found.perhaps_objects:
        return None
    return Finding(
        kind="perhaps-objects",
        severity="warning",
        found=f"{count(len(masks), 'mask')} read as {found.encoding.num_classes} classes, although each "
        "value is one connected piece in nearly every mask, as numbers of objects are",
        fix=f'write task = "instances" into {DATASET_TOML} if they number objects, else task = "classes"',
    )


def split_findings(samples: Sequence[Sample], sides: dict[str, str]) -> list[Finding]:
    """Groups that a decided split divides. sides: of each sample, where the data say so."""
    members: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        if sample.group is not None and sample.name in sides:
            members[sample.group].append(sample.name)
    torn = {group: names for group, names in members.items() if len({sides[name] for name in names}) > 1}
    if not torn:
        return []
    return [
        Finding(
            kind="group-across-split",
            severity="warning",
            found=f"{count(len(torn), 'group')} on more than one side of the split: {name_some(torn)}",
            expected="each group on one side",
            fix="move each group to one side: scores on images of a group that was trained on are too high",
            groups=tuple(tuple(f"{name} ({sides[name]})" for name in names) for names in torn.values()),
        )
    ]


def _differ(masks: Sequence[MaskFacts | None]) -> bool:
    """Whether masks that can be read differ."""
    return len({mask.content for mask in masks if mask is not None}) > 1


def _torn(groups: Sequence[tuple[str, ...]], sides: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """The groups with members on more than one side."""
    return tuple(group for group in groups if len({sides[name] for name in group if name in sides}) > 1)


def _files(survey: Survey, groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return survey.image_files(name for group in groups for name in group)
