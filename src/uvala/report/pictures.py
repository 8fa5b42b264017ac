"""Pictures for the page: small enough to embed, and cut to where there is something to see."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from uvala.arrays import IGNORE, Box, ClassMap, ImageArray, LabelMap, Size
from uvala.images.display import ERROR_COLOURS, class_colours, error_map, overlay, to_display
from uvala.images.write import encode_png, encode_webp
from uvala.report.content import Example, ShownCase
from uvala.report.objects import (
    OBJECT_COLOURS,
    OUTLINE,
    compare,
    object_overlay,
    paint_kinds,
)

__all__ = [
    "CasePictures",
    "Colour",
    "Key",
    "Picture",
    "case_pictures",
    "class_key",
    "css",
    "embedded",
    "overlay_picture",
    "palette",
    "picture_keys",
    "webp_below",
]

SIDE = 512  # longest side of a picture: what a column of a laptop shows on a screen of double density
WHOLE = 768  # an image up to this side is shown whole; a larger one would lose the errors one looks for
LOCATOR = 220  # longest side of the small picture that says where a part lies
TINY = 160
QUALITIES = (76, 48)  # WebP, the first that keeps a picture below MOST_BYTES; grain is what costs most
MOST_BYTES = 76_000  # of a picture of SIDE x SIDE: 10 cases and 12 samples stay below 5 MB in base64
BLOCK = SIDE // 16  # the part with most errors is searched in these steps
MOST_KEYS = 14  # more classes than this are not told apart by colour anyway

Colour = NDArray[np.uint8]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One embedded picture: a data URI, its size in pixels and what a screen reader says."""

    uri: str
    size: Size
    alt: str

    @property
    def tiny(self) -> bool:
        """Whether a browser will enlarge it: then pixels are better than a blur."""
        return max(self.size) < TINY


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a CSS colour, or None for what is hatched, and what it stands for."""

    colour: str | None
    name: str


@dataclass(frozen=True)
class CasePictures:
    """Image, truth, prediction and errors side by side, in this order, each with its title.

    where: of a large image, the whole image and its errors, small, with the part outlined; () if shown whole.
    shape: "strip" or "wide" if the pictures are much wider than high, and need more of a line each; "tall" if
    much higher than wide. words: the errors of objects as a sentence; empty where classes are shown.
    """

    panels: tuple[tuple[str, Picture], ...]
    classes: tuple[Key, ...]
    errors: tuple[Key, ...]
    where: tuple[Picture, ...]
    part: str
    shape: str
    words: str = ""


def palette(names: Sequence[str]) -> Colour:
    """The colour of each class, uint8 [K, 3]: the same in every picture, table and chart of the page."""
    return class_colours(len(names))


def css(colour: Sequence[int] | NDArray[Any]) -> str:
    """Red, green and blue, 0 to 255, as CSS."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def class_key(index: int, names: Sequence[str], colours: Colour) -> Key:
    """The entry of class `index` in a legend."""
    return Key(css(colours[index]), names[index])


def picture_keys(classes: Iterable[int], names: Sequence[str], colours: Colour) -> list[Key]:
    """The legend of pictures with `classes` drawn over an image: class 0 leaves the image as it is."""
    return [class_key(index, names, colours) if index else Key("transparent", names[0]) for index in classes]


def case_pictures(case: ShownCase, names: Sequence[str], colours: Colour) -> CasePictures:
    """The four pictures of one case. colours: uint8 [K, 3].

    Where the case has objects, these are shown instead of classes, and errors are those of objects.
    """
    return _of_classes(case, names, colours) if _objects(case) is None else _of_objects(case)


def _objects(case: ShownCase) -> tuple[LabelMap, LabelMap] | None:
    if case.true_objects is None or case.objects is None:
        return None
    return case.true_objects, case.objects


def _of_classes(case: ShownCase, names: Sequence[str], colours: Colour) -> CasePictures:
    box, part = _shown(case, (case.prediction != case.truth) & (case.truth != IGNORE))
    image = case.image[:, *box.slices]
    truth, prediction = case.truth[box.slices], case.prediction[box.slices]
    errors = error_map(prediction, truth)
    whole = partial(_errors_of_classes, case)
    return CasePictures(
        panels=_panels(
            case.name, image, overlay(image, truth, colours), overlay(image, prediction, colours), errors
        ),
        classes=_class_keys(truth, prediction, names, colours),
        errors=_error_keys(errors, names[0]),
        where=_where(case, box, whole) if part else (),
        part=part,
        shape=_shape(box),
    )


def _of_objects(case: ShownCase) -> CasePictures:
    found = _objects(case)
    assert found is not None
    true_objects, objects = found
    compared = compare(case.truth, true_objects, objects)
    names = list(OBJECT_COLOURS)
    right = [names.index(name) for name in ("no object", "found", "ignored")]
    box, part = _shown(case, ~np.isin(compared.kinds, right))
    image, kinds = case.image[:, *box.slices], compared.kinds[box.slices]
    true_objects, objects = true_objects[box.slices], objects[box.slices]
    present = np.bincount(kinds.ravel(), minlength=len(names))
    keys = [
        Key(css(colour), name)
        for (name, colour), pixels in zip(OBJECT_COLOURS.items(), present, strict=True)
        if pixels
    ]
    return CasePictures(
        panels=_panels(
            case.name,
            image,
            object_overlay(image, true_objects, compared.true_tints[box.slices]),
            object_overlay(image, objects, compared.tints[box.slices]),
            paint_kinds(kinds, true_objects, objects),
        ),
        classes=(),
        errors=(*keys, Key(css(OUTLINE), "outline of a true object")),
        where=_where(case, box, partial(_errors_of_objects, compared.kinds)) if part else (),
        part=part,
        shape=_shape(box),
        words=compared.words,
    )


def _errors_of_classes(case: ShownCase, step: int) -> Rgb:
    return error_map(case.prediction[::step, ::step], case.truth[::step, ::step])


def _errors_of_objects(kinds: NDArray[np.uint8], step: int) -> Rgb:
    return np.array(list(OBJECT_COLOURS.values()), np.uint8)[kinds[::step, ::step]]


def _panels(
    name: str, image: ImageArray, truth: Rgb, prediction: Rgb, errors: Rgb
) -> tuple[tuple[str, Picture], ...]:
    photos = {"image": to_display(image), "truth": truth, "prediction": prediction}
    return (
        *((title, _photo(rgb, f"{title} of {name}")) for title, rgb in photos.items()),
        ("errors", _flat(errors, f"errors of {name}")),
    )


def _shape(box: Box) -> str:
    if box.height > 1.8 * box.width:
        return "tall"
    return "strip" if box.width > 4 * box.height else "wide" if box.width > 2 * box.height else ""


def overlay_picture(example: Example, colours: Colour) -> Picture:
    """The truth over its image, as one picture. colours: uint8 [K, 3]."""
    step = max(1, max(example.truth.shape) // SIDE)
    image, truth = example.image[:, ::step, ::step], example.truth[::step, ::step]
    return _photo(overlay(image, truth, colours), f"truth of {example.name}", side=SIDE * 3 // 4)


def _shown(case: ShownCase, wrong: NDArray[np.bool_]) -> tuple[Box, str]:
    """The part of a large image with the most wrong pixels, or else objects, and which it is, in words.

    All of a small image, without words. The part has at most SIDE pixels on each side.
    """
    size = Size(*case.truth.shape)
    if max(size) <= WHOLE:
        return Box(0, 0, *size), ""
    objects = (case.truth != 0) & (case.truth != IGNORE)
    box = _fullest(wrong if wrong.any() else objects)
    why = "where most errors are" if wrong.any() else "where most objects are"
    return box, f"{Size(box.height, box.width)} of {size} pixels, {why}"


def _fullest(wanted: NDArray[np.bool_]) -> Box:
    """The window of SIDE x SIDE, or less where the image ends, that holds the most of `wanted`."""
    height, width = wanted.shape
    rows, columns = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    # BLOCK rows of ones fit into a byte, and bytes add up fastest.
    strips = np.add.reduceat(wanted.view(np.uint8), rows, axis=0, dtype=np.uint8)
    blocks = np.add.reduceat(strips, columns, axis=1, dtype=np.int64)
    # A table of sums gives the sum over any window of blocks from its four corners.
    table = np.pad(blocks.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    down, right = min(len(rows), SIDE // BLOCK), min(len(columns), SIDE // BLOCK)
    sums = table[down:, right:] - table[:-down, right:] - table[down:, :-right] + table[:-down, :-right]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    size = Size(min(height, SIDE), min(width, SIDE))
    top, left = min(row * BLOCK, height - size.height), min(column * BLOCK, width - size.width)
    return Box(top, left, top + size.height, left + size.width)


def _where(case: ShownCase, box: Box, errors_at: Callable[[int], Rgb]) -> tuple[Picture, ...]:
    """The whole image and its errors, small, with `box` outlined. errors_at: errors at every n-th pixel."""
    step = max(1, max(case.truth.shape) // LOCATOR)
    top, left = box.top // step, box.left // step
    small = Box(top, left, -(-box.bottom // step), -(-box.right // step))
    pictures = (("the whole", to_display(case.image[:, ::step, ::step])), ("all errors", errors_at(step)))
    return tuple(
        _photo(_framed(rgb, small), f"{title} of {case.name}, the part outlined", LOCATOR)
        for title, rgb in pictures
    )


def _framed(rgb: Rgb, box: Box) -> Rgb:
    """`rgb` with a yellow line within a black one around `box`: one of them shows on any image."""
    framed = rgb.copy()
    for inset, colour in ((0, (0, 0, 0)), (1, (255, 214, 10))):
        outer = Box(box.top + inset, box.left + inset, box.bottom - inset, box.right - inset)
        inner = (slice(outer.top + 2, outer.bottom - 2), slice(outer.left + 2, outer.right - 2))
        framed[outer.slices] = colour
        framed[inner] = rgb[inner]
    return framed


def _class_keys(
    truth: ClassMap, prediction: ClassMap, names: Sequence[str], colours: Colour
) -> tuple[Key, ...]:
    """The classes that are in the pictures, in their order; of very many, the largest."""
    pixels = np.bincount(truth.ravel(), minlength=256) + np.bincount(prediction.ravel(), minlength=256)
    largest = np.argsort(-pixels[: len(names)], kind="stable")[:MOST_KEYS]
    keys = picture_keys([int(index) for index in np.sort(largest) if pixels[index]], names, colours)
    return (*keys, *([Key(None, "ignored")] if pixels[IGNORE] else []))


def _error_keys(errors: Rgb, background: str) -> tuple[Key, ...]:
    """The kinds of right and wrong that are in a picture of errors of classes."""
    present = set(np.unique(_as_numbers(errors)).tolist())
    return tuple(
        Key(css(colour), kind.replace("background", background))
        for kind, colour in ERROR_COLOURS.items()
        if int(_as_numbers(np.array(colour, np.uint8))) in present
    )


def _as_numbers(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Colours [..., 3] as one number each."""
    return np.asarray(colours @ np.array([1 << 16, 1 << 8, 1], np.int64), np.int64)


def _photo(rgb: Rgb, alt: str, side: int = SIDE) -> Picture:
    """`rgb`, no larger than `side`, in a number of bytes that fits its size."""
    limit = MOST_BYTES * side**2 // SIDE**2
    small = _shrink(rgb, side)
    content = webp_below(small, limit, QUALITIES)
    if len(content) > limit:  # pure grain, of which nobody wants to see each pixel
        small = _shrink(rgb, side // 2)
        content = encode_webp(small, QUALITIES[-1])
    return embedded("webp", content, small, alt)


def _flat(rgb: Rgb, alt: str) -> Picture:
    """A picture of few colours: PNG keeps its edges, and is smaller unless there are edges everywhere."""
    small = _shrink(rgb, SIDE)
    content = encode_png(small)
    return embedded("png", content, small, alt) if len(content) <= MOST_BYTES else _photo(rgb, alt)


def webp_below(rgb: Rgb, limit: int, qualities: Sequence[int]) -> bytes:
    """`rgb` as WebP in the first of some qualities that takes at most `limit` bytes, or else in the last."""
    content = b""
    for quality in qualities:
        content = encode_webp(rgb, quality)
        if len(content) <= limit:
            break
    return content


def embedded(kind: str, content: bytes, rgb: Rgb, alt: str) -> Picture:
    """An encoded picture of `rgb` as part of the page. kind: png, webp."""
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(uri, Size(rgb.shape[0], rgb.shape[1]), alt)


def _shrink(rgb: Rgb, side: int) -> Rgb:
    height, width = rgb.shape[:2]
    if max(height, width) <= side:
        return rgb
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Pillow.fromarray(rgb).resize(size, Pillow.Resampling.LANCZOS))
