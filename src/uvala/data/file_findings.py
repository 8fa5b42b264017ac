"""What is wrong with single files, or between an image and its mask; most of it stops a training."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from uvala.arrays import Size
from uvala.data.finding import Finding
from uvala.data.scan import SampleFacts, file_name
from uvala.data.survey import Survey
from uvala.data.wording import count
from uvala.errors import ImageError
from uvala.images.containers import open_jpeg
from uvala.images.orientation import UPRIGHT, swaps_sides
from uvala.images.read import Source, count_pages

__all__ = ["blocking_findings", "file_findings"]

SMALLEST_SIDE = 8
"""Pixels; below this there is no context to learn from, and such a file is a thumbnail or a mistake."""


def blocking_findings(survey: Survey, *, fewest: int = 2, channels: int | None = None) -> list[Finding]:
    """What must be mended before a training: each kind is one finding, however many files it concerns.

    fewest: pairs of image and mask that are needed. channels: what images are converted to; dataset.toml
    decides where it is None.
    """
    wanted = channels or survey.toml.channels
    found = [
        _uneven_stacks(survey),
        _too_few(survey, fewest),
        _unreadable(survey),
        _blank(survey),
        _swapped(survey),
        _size_mismatches(survey),
        _tiny(survey),
        _channels(survey, wanted),
    ]
    return [each for each in found if each is not None]


def file_findings(survey: Survey) -> list[Finding]:
    """What should be looked at in single files."""
    found = [
        _unpaired(survey),
        _not_finite(survey),
        _constant_images(survey),
        _thin(survey),
        _dtypes(survey),
        _colliding_names(survey),
        _turned(survey),
        *_notes(survey),
    ]
    return [each for each in found if each is not None]


def _uneven_stacks(survey: Survey) -> Finding | None:
    """Stacks of images and of masks with different numbers of pages, so that none could be paired."""
    uneven = [(each, pages) for each in survey.facts if (pages := _uneven_pages(each)) is not None]
    if not uneven:
        return None
    files = [tuple(file_name(source, survey.root) for source in _sources(each)) for each, _ in uneven]
    (image, mask), (images, masks) = files[0], uneven[0][1]
    more = f", and {count(len(uneven) - 1, 'more such pair')}" if len(uneven) > 1 else ""
    return Finding(
        kind="page-counts",
        severity="error",
        found=f"{images} pages in {image}, but {masks} in {mask}{more}",
        expected="as many pages of masks as of images",
        fix="export both stacks with the same pages",
        files=tuple(name for pair in files for name in pair),
    )


def _uneven_pages(facts: SampleFacts) -> tuple[int, int] | None:
    """Pages of image and mask, where both are stacks and so cannot be one image with its mask."""
    if facts.mask is not None or not facts.problems or not isinstance(facts.sample.mask, Source):
        return None
    if any(source.page is not None for source in _sources(facts)):
        return None
    try:
        pages, labels = (count_pages(source.path) for source in _sources(facts))
    except ImageError:  # a file that cannot be read is a finding of its own
        return None
    return (pages, labels) if pages != labels and min(pages, labels) > 1 else None


def _sources(facts: SampleFacts) -> tuple[Source, Source]:
    assert isinstance(facts.sample.mask, Source)
    return facts.sample.image, facts.sample.mask


def _too_few(survey: Survey, fewest: int) -> Finding | None:
    pairs = len(survey.facts)
    if pairs >= fewest:
        return None
    unpaired = f", and {count(len(survey.unpaired), 'file')} without a partner" if survey.unpaired else ""
    reasons = f" ({survey.unpaired[0].path.name}: {survey.unpaired[0].reason})" if survey.unpaired else ""
    return Finding(
        kind="too-few-pairs",
        severity="error",
        found=f"{count(pairs, 'pair')} of image and mask in {survey.root}{unpaired}{reasons}",
        expected=f"{fewest} pairs at least: one to train on and one to validate with",
        fix=f"add images with masks, {fewest} pairs at least",
        files=survey.image_files(each.sample.name for each in survey.facts),
    )


def _unreadable(survey: Survey) -> Finding | None:
    problems = [
        problem
        for each in survey.facts
        if each.problems and _uneven_pages(each) is None
        for problem in each.problems
    ]
    if not problems:
        return None
    first = problems[0].error
    _, named, what = first.found.partition(problems[0].file)
    reason = (
        what.removeprefix(",").removeprefix(":").strip().removeprefix("which is ") if named else first.found
    )
    which = f"{count(len(problems), 'file')} that cannot be read"
    return Finding(
        kind="unreadable",
        severity="error",
        found=f"{which}, the first because it is {reason}" if len(problems) > 1 else f"{which} ({reason})",
        expected=first.expected,
        fix=first.fix,
        files=tuple(problem.file for problem in problems),
    )


def _swapped(survey: Survey) -> Finding | None:
    """Images with the few values of masks beside masks with the many values of images."""
    images = [facts.distinct for facts in survey.images.values() if facts.distinct is not None]
    masks = [facts.distinct for facts in survey.masks if facts.objects is None]
    few, many = sum(number <= 16 for number in images), sum(number > 40 for number in masks)
    if min(few, many) < max(1, 0.9 * len(survey.facts)):
        return None
    return Finding(
        kind="swapped",
        severity="error",
        found=f"images with at most {max(n for n in images if n <= 16)} values, and masks with up to "
        f"{max(masks):,}: they look swapped",
        expected="pictures as images, and masks with one value or colour for each class",
        fix="swap the two folders, or the two columns of the manifest",
    )


def _size_mismatches(survey: Survey) -> Finding | None:
    odd = [
        (each, each.image.size, each.mask.size)
        for each in survey.facts
        if each.image is not None and each.mask is not None and each.image.size != each.mask.size
    ]
    if not odd:
        return None
    turned = [each for each, image, mask in odd if image == Size(mask.width, mask.height)]
    _, image, mask = odd[0]
    expected = "masks as large as their images"
    which = "the first " if len(odd) > 1 else ""
    found = f"{count(len(odd), 'mask')} of another size than the image ({which}{mask} for {image})"
    fix = "export the masks at the size of the images"
    if turned:
        some = "" if len(turned) == len(odd) else f"{len(turned):,} of them "
        found += f", {some}as if rotated by a quarter turn"
        fix = "rotate these masks by 90 degrees, after looking which way"
        if any(_orientation(each.sample.image.path) != UPRIGHT for each in turned):
            fix = (
                "these photographs have an EXIF orientation, which is applied when they are read, and the "
                "masks were drawn without it: rotate the masks, or remove the EXIF orientation"
            )
    return Finding(
        kind="size-mismatch",
        severity="error",
        found=found,
        expected=expected,
        fix=fix,
        files=tuple(each.mask.name for each, _, _ in odd if each.mask is not None),
    )


def _tiny(survey: Survey) -> Finding | None:
    sizes = {name: facts.size for name, facts in survey.images.items() if max(facts.size) < SMALLEST_SIDE}
    if not sizes:
        return None
    return Finding(
        kind="tiny-image",
        severity="error",
        found=f"{count(len(sizes), 'image')} of {_spanned(sizes.values())} pixels",
        expected=f"{SMALLEST_SIDE} pixels at least on one side",
        fix="remove these or give the full images",
        files=survey.image_files(sizes),
    )


def _thin(survey: Survey) -> Finding | None:
    sizes = {
        name: facts.size
        for name, facts in survey.images.items()
        if min(facts.size) < SMALLEST_SIDE <= max(facts.size)
    }
    if not sizes:
        return None
    return Finding(
        kind="thin-image",
        severity="warning",
        found=f"{count(len(sizes), 'image')} of {_spanned(sizes.values())} pixels",
        fix="right if these are single lines or strips; if not, give the full images",
        files=survey.image_files(sizes),
    )


def _spanned(sizes: Iterable[Size]) -> str:
    """One size, or the smallest and the largest of several."""
    ordered = sorted(set(sizes), key=lambda size: (size.height * size.width, size))
    return str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _channels(survey: Survey, wanted: int | None) -> Finding | None:
    """Images with different numbers of channels, where no conversion was asked for or none is possible."""
    channels = {name: facts.channels for name, facts in survey.images.items()}
    if wanted is not None:
        channels = {name: number for name, number in channels.items() if number not in (1, 3)}
    if len(set(channels.values())) < (2 if wanted is None else 1):
        return None
    numbers = Counter(channels.values())
    usual = numbers.most_common(1)[0][0]
    shown = ", ".join(f"{number} in {images:,}" for number, images in sorted(numbers.items()))
    convertible = set(numbers) <= {1, 3}
    return Finding(
        kind="channels",
        severity="error",
        found=f"images with different numbers of channels: {shown}"
        if wanted is None
        else f"channels: {shown}",
        expected="equally many channels in all images" if wanted is None else f"what can become {wanted}",
        fix="write `channels = 1` (grey) or `channels = 3` (RGB) into dataset.toml, which converts all images"
        if convertible
        else "export the images with the same channels, or remove these",
        files=survey.image_files(name for name, number in channels.items() if number != usual or wanted),
    )


def _unpaired(survey: Survey) -> Finding | None:
    if not survey.unpaired:
        return None
    names = [
        each.path.relative_to(survey.root).as_posix()
        if each.path.is_relative_to(survey.root)
        else str(each.path)
        for each in survey.unpaired
    ]
    return Finding(
        kind="unpaired",
        severity="warning",
        found=f"{count(len(names), 'file')} not used, the first: {survey.unpaired[0].reason}",
        fix="add or rename the partner, or remove these files",
        files=tuple(names),
    )


def _blank(survey: Survey) -> Finding | None:
    names = tuple(name for name, facts in survey.images.items() if facts.blank)
    if not names:
        return None
    return Finding(
        kind="blank-image",
        severity="error",
        found=f"{count(len(names), 'image')} with nothing but NaN or infinity",
        expected="numbers in the pixels",
        fix="export these again, or take the pairs out",
        files=survey.image_files(names),
    )


def _not_finite(survey: Survey) -> Finding | None:
    names = tuple(name for name, facts in survey.images.items() if not facts.finite and not facts.blank)
    if not names:
        return None
    return Finding(
        kind="not-finite",
        severity="warning",
        found=f"{count(len(names), 'image')} with NaN or infinite pixels, read as ends of the scale",
        fix="replace these pixels, or give them an ignored value in the mask",
        files=survey.image_files(names),
    )


def _constant_images(survey: Survey) -> Finding | None:
    names = tuple(name for name, facts in survey.images.items() if facts.constant and not facts.blank)
    if not names:
        return None
    return Finding(
        kind="constant-image",
        severity="warning",
        found=f"{count(len(names), 'image')} with one value throughout",
        fix="remove these, or see how they were exported",
        files=survey.image_files(names),
    )


def _dtypes(survey: Survey) -> Finding | None:
    dtypes = {name: facts.dtype for name, facts in survey.images.items()}
    numbers = Counter(dtypes.values())
    if len(numbers) < 2:
        return None
    usual = numbers.most_common(1)[0][0]
    shown = ", ".join(f"{dtype} in {images:,}" for dtype, images in numbers.most_common())
    return Finding(
        kind="dtype",
        severity="warning",
        found=f"images of different number formats, whose levels may not be comparable: {shown}",
        fix=f"export all images as {usual}",
        files=survey.image_files(name for name, dtype in dtypes.items() if dtype != usual),
    )


def _colliding_names(survey: Survey) -> Finding | None:
    """Predictions are named after images: two that differ only in ending or in case would collide."""
    places: dict[str, list[str]] = defaultdict(list)
    for sample in survey.samples:
        if sample.image.page is None:
            places[str(PurePosixPath(sample.name).with_suffix("")).lower()].append(sample.name)
    groups = tuple(tuple(names) for names in places.values() if len(names) > 1)
    if not groups:
        return None
    return Finding(
        kind="colliding-names",
        severity="warning",
        found=f"{count(sum(map(len, groups)), 'image')} whose names differ only in ending or in upper case",
        fix="rename them: predictions are named after images, and not every disk tells upper from lower case",
        files=survey.image_files(name for group in groups for name in group),
        groups=groups,
    )


def _turned(survey: Survey) -> Finding | None:
    """Turned photographs whose masks have the right size either way: whether they fit, a human must see."""
    names = []
    for each in survey.facts:
        if each.image is None or each.mask is None or each.image.size != each.mask.size:
            continue
        orientation = _orientation(each.sample.image.path)
        square = each.image.size.height == each.image.size.width
        if orientation != UPRIGHT and (square or not swaps_sides(orientation)):
            names.append(each.sample.name)
    if not names:
        return None
    return Finding(
        kind="exif",
        severity="note",
        found=f"{count(len(names), 'photograph')} turned as their EXIF orientation says",
        fix="look at one with its mask: a mask that was drawn on the unturned picture would not fit",
        files=survey.image_files(names),
    )


def _notes(survey: Survey) -> list[Finding]:
    """What the reader did to files ("alpha channel dropped"), one finding for each kind."""
    files: dict[str, list[str]] = defaultdict(list)
    for each in survey.facts:
        if each.problems:
            continue  # of a pair that cannot be used it does not matter how the other file was read
        for note in each.image.notes if each.image else ():
            files[note].append(file_name(each.sample.image, survey.root))
        if each.mask is not None:
            for note in each.mask.notes:
                files[note].append(each.mask.name)
    return [
        Finding(
            kind="reading",
            severity="warning" if advice else "note",
            found=f"{count(len(names), 'file')}: {what}",
            fix=advice or "nothing needs to be done",
            files=tuple(names),
        )
        # "alpha channel dropped, although only it holds a drawing: save the mask as opaque colours"
        for (what, _, advice), names in ((note.partition(": "), names) for note, names in files.items())
    ]


def _orientation(path: Path) -> int:
    """The EXIF orientation of a JPEG file, the only kind that cameras write; upright for any other."""
    if path.suffix.lower() not in {".jpg", ".jpeg"}:
        return UPRIGHT
    try:
        return open_jpeg(path.read_bytes()).orientation
    except (OSError, ValueError):  # a file that cannot be read is a finding of its own
        return UPRIGHT
