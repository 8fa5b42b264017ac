"""What a plan is made from, in words for people."""

from collections.abc import Iterator, Sequence

from uvala.data.facts import Facts
from uvala.data.object_facts import ObjectFacts, Three
from uvala.data.wording import count
from uvala.plan.situation import membrane_of

__all__ = ["fact_lines"]

_THIN_CLASSES = 4  # of many classes, those named with their thickness


def fact_lines(facts: Facts, names: Sequence[str], *, numbered: bool) -> list[tuple[str, str]]:
    """The facts of a data set, each as (what it is about, sentence), the most wanted first.

    numbered: whether masks number objects.
    """
    lines = [*_image_lines(facts), *_class_lines(facts, names), *_object_lines(facts.objects, names)]
    return [*lines, ("task", _task(facts, names, numbered=numbered))]


def _task(facts: Facts, names: Sequence[str], *, numbered: bool) -> str:
    """What the plan takes the masks to ask for, and why."""
    if numbered:
        return "objects, which the masks number"
    wall = membrane_of(facts)
    if facts.objects is None or wall is None:
        return "classes: the masks name classes and not objects, and none is a thin network between cells"
    thick, cells = facts.objects.thickness[wall], facts.objects.pieces[1 - wall]
    return f"membranes: '{names[wall]}', {thick:.0f} pixels thick, parts {cells:.0f} cells in an image"


def _image_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    sizes = str(facts.median)
    if facts.smallest != facts.largest:
        sizes = f"{facts.smallest} to {facts.largest}, median {facts.median}"
    channels = count(facts.channels, "channel")
    yield "images", f"{facts.images:,} of {sizes} pixels, {channels} of {facts.dtype}"
    low, high = _numbers(facts.low), _numbers(facts.high)
    spread = f"bright ones are {facts.brightness_spread:.1f} times as bright as dim ones"
    yield "levels", f"{low} to {high} (percentiles 0.5 and 99.5); {spread}"
    if facts.images > 1:
        series = "neighbours are alike, as slices or frames are"
        alike = series if facts.alike else "no series of slices or frames"
        yield "likeness", f"two images correlate by {facts.likeness:.2f}; {alike}"


def _class_lines(facts: Facts, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    shares = [
        f"{name} {share:.2%}" + (f" in {count(images, 'image')}" if images < facts.images else "")
        for name, share, images in zip(names, facts.class_shares, facts.class_images, strict=True)
    ]
    ignored = f"; {facts.ignored:.1%} of the pixels are ignored" if facts.ignored else ""
    yield "classes", ", ".join(shares) + ignored


def _object_lines(objects: ObjectFacts | None, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if objects is None:
        return
    looked = f"in {count(objects.images, 'image')} that {'was' if objects.images == 1 else 'were'} looked at"
    yield (
        "objects",
        f"{objects.objects:.0f} in an image (median, {looked}); area {_three(objects.area)} pixels, "
        f"width {_three(objects.width)} pixels (percentiles 10 / 50 / 90)",
    )
    if objects.spacing is not None:
        touching = "" if objects.touching is None else f"; {objects.touching:.0%} of them touch another"
        yield "spacing", f"{objects.spacing:.0f} pixels from an object's centre to the next{touching}"
    thick = sorted((value, name) for value, name in zip(objects.thickness, names, strict=True) if value > 0)
    if thick:
        named = ", ".join(f"{name} {value:.0f}" for value, name in thick[:_THIN_CLASSES])
        yield "thinness", f"the thinnest classes and their thickness in pixels: {named}"
    yield "noise", f"{objects.noise:.1%} of the range from dark to bright"


def _three(values: Three) -> str:
    return " / ".join(f"{value:,.0f}" for value in values)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
