"""Pictures for the page: small enough to embed, and cut to where there is something to see."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from uvala.arrays import IGNORE, Box, ClassMap, Size
from uvala.images.display import ERROR_COLOURS, class_colours, error_map, overlay, to_display
from uvala.images.write import encode_png, encode_webp
from uvala.report.content import Case, Example

__all__ = [
    "CasePictures",
    "Colour",
    "Key",
    "Picture",
    "case_pictures",
    "class_key",
    "css",
    "overlay_picture",
    "palette",
    "picture_keys",
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
    shape: "strip" or "wide" if the pictures are much wider than high, and need more of a line each.
    """

    panels: tuple[tuple[str, Picture], ...]
    classes: tuple[Key, ...]
    errors: tuple[Key, ...]
    where: tuple[Picture, ...]
    part: str
    shape: str


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


def case_pictures(case: Case, names: Sequence[str], colours: Colour) -> CasePictures:
    """The four pictures of one case. colours: uint8 [K, 3]."""
    size = Size(*case.truth.shape)
    large = max(size) > WHOLE
    box, why = _part(case.truth, case.prediction) if large else (Box(0, 0, *size), "")
    image = case.image[:, *box.slices]
    truth, prediction = case.truth[box.slices], case.prediction[box.slices]
    photos = {
        "image": to_display(image),
        "truth": overlay(image, truth, colours),
        "prediction": overlay(image, prediction, colours),
    }
    errors = error_map(prediction, truth)
    return CasePictures(
        panels=(
            *((title, _photo(rgb, f"{title} of {case.name}")) for title, rgb in photos.items()),
            ("errors", _flat(errors, f"errors of {case.name}")),
        ),
        classes=_class_keys(truth, prediction, names, colours),
        errors=_error_keys(errors, names),
        where=_where(case, box) if large else (),
        part=f"{Size(box.height, box.width)} of {size} pixels, {why}",
        shape="strip" if box.width > 4 * box.height else "wide" if box.width > 2 * box.height else "",
    )


def overlay_picture(example: Example, colours: Colour) -> Picture:
    """The truth over its image, as one picture. colours: uint8 [K, 3]."""
    step = max(1, max(example.truth.shape) // SIDE)
    image, truth = example.image[:, ::step, ::step], example.truth[::step, ::step]
    return _photo(overlay(image, truth, colours), f"truth of {example.name}", side=SIDE * 3 // 4)


def _part(truth: ClassMap, prediction: ClassMap) -> tuple[Box, str]:
    """The part, at most SIDE on each side, with the most wrong pixels, or else objects; and which it was."""
    wanted, why = (prediction != truth) & (truth != IGNORE), "where most errors are"
    if not wanted.any():
        wanted, why = (truth != 0) & (truth != IGNORE), "where most objects are"
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
    return Box(top, left, top + size.height, left + size.width), why


def _where(case: Case, box: Box) -> tuple[Picture, ...]:
    """The whole image and its errors, small, with `box` outlined."""
    step = max(1, max(case.truth.shape) // LOCATOR)
    errors = error_map(case.prediction[::step, ::step], case.truth[::step, ::step])
    top, left = box.top // step, box.left // step
    small = Box(top, left, -(-box.bottom // step), -(-box.right // step))
    pictures = (("the whole", to_display(case.image[:, ::step, ::step])), ("all errors", errors))
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


def _error_keys(errors: Rgb, names: Sequence[str]) -> tuple[Key, ...]:
    """The kinds of right and wrong that are in a picture of errors."""
    return tuple(
        Key(css(colour), kind.replace("background", names[0]))
        for kind, colour in ERROR_COLOURS.items()
        if (errors == np.array(colour, np.uint8)).all(axis=2).any()
    )


def _photo(rgb: Rgb, alt: str, side: int = SIDE) -> Picture:
    """`rgb`, no larger than `side`, in a number of bytes that fits its size."""
    limit = MOST_BYTES * side**2 // SIDE**2
    small = _shrink(rgb, side)
    for quality in QUALITIES:
        content = encode_webp(small, quality)
        if len(content) <= limit:
            return _picture("webp", content, small, alt)
    # Pure grain, of which nobody wants to see each pixel.
    small = _shrink(rgb, side // 2)
    return _picture("webp", encode_webp(small, QUALITIES[1]), small, alt)


def _flat(rgb: Rgb, alt: str) -> Picture:
    """A picture of few colours: PNG keeps its edges, and is smaller unless there are edges everywhere."""
    small = _shrink(rgb, SIDE)
    content = encode_png(small)
    return _picture("png", content, small, alt) if len(content) <= MOST_BYTES else _photo(rgb, alt)


def _picture(kind: str, content: bytes, rgb: Rgb, alt: str) -> Picture:
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(uri, Size(rgb.shape[0], rgb.shape[1]), alt)


def _shrink(rgb: Rgb, side: int) -> Rgb:
    height, width = rgb.shape[:2]
    if max(height, width) <= side:
        return rgb
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Pillow.fromarray(rgb).resize(size, Pillow.Resampling.LANCZOS))
