"""What the numbers or colours in a mask mean: from a user's masks to class indices and back.

A MaskEncoding is found once, by looking at all masks (find_encoding.py), is stored with the model, and turns
predictions back into what the user has: the same values, palette, colours or object numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from uvala.arrays import IGNORE, MAX_CLASSES, ClassMap, LabelMap
from uvala.config import Config
from uvala.errors import MaskError
from uvala.images.read import RawMask
from uvala.images.write import write_mask

__all__ = ["ClassEntry", "EncodingRow", "MaskEncoding", "object_labels", "pack_colours", "unpack_colour"]

Kind = Literal["values", "palette", "colours", "instances"]

OUTSIDE = MAX_CLASSES  # 254: what a decoding table says of a value that belongs to no class


class ClassEntry(Config):
    """One class: its name, and the values that mean it in a mask."""

    name: str = Field(min_length=1, description="what the class is called")
    values: tuple[int, ...] = Field(
        min_length=1,
        description="grey values or palette indices, or colours as red << 16 | green << 8 | blue; "
        "predictions are written with the first",
    )


class MaskEncoding(Config):
    """How the masks of a data set spell their classes. Class k is `classes[k]`."""

    kind: Kind = Field(
        description="what a pixel holds: a grey value, a palette's index, a colour, or an object's number"
    )
    classes: tuple[ClassEntry, ...] = Field(
        min_length=2, max_length=MAX_CLASSES, description="the classes, in the order of their indices"
    )
    ignore: tuple[int, ...] = Field((), description="values of pixels that are neither learnt nor scored")
    palette: tuple[tuple[int, int, int], ...] | None = Field(
        None, description="red, green, blue of each palette index, for writing predictions"
    )
    snap: bool = Field(
        False, description="take a value that no class has as the nearest one (JPEG or smoothed outlines)"
    )
    dtype: Literal["uint8", "uint16", "int32"] = Field("uint8", description="type of a written mask's values")

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        values = [value for entry in self.classes for value in entry.values] + list(self.ignore)
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{', '.join(map(self.spell, twice))} cannot mean two things at once")
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"class names must differ, not {', '.join(names)}")
        return self

    @property
    def num_classes(self) -> int:
        """Number of classes, the background among them; at least 2."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names, in the order of their indices."""
        return tuple(entry.name for entry in self.classes)

    def spell(self, value: int) -> str:
        """`value` as its user would write it: "255", or "#804000" for a colour."""
        return f"#{value:06x}" if self.kind == "colours" else str(value)

    def decode(self, raw: RawMask, where: str = "the mask") -> ClassMap:
        """Class indices [H, W] of a mask as read; IGNORE where its value is one to ignore.

        MaskError, naming `where`, if the mask holds values that belong to no class, or is a colour image
        where the encoding has values.
        """
        codes = self._codes(raw, where)
        if self.kind == "instances":
            ignored = np.isin(codes, self.ignore) if self.ignore else np.zeros(codes.shape, bool)
            return np.where(ignored, IGNORE, codes != self.classes[0].values[0]).astype(np.uint8)
        if codes.dtype == np.uint8:
            indices = self._byte_table[codes]
        elif codes.dtype == np.uint16:
            indices = self._word_table[codes]
        else:
            distinct, inverse = np.unique(codes, return_inverse=True)
            indices = self.classify(distinct)[inverse].reshape(codes.shape)
        if (indices == OUTSIDE).any():
            raise self._outside(codes[indices == OUTSIDE], where)
        return indices

    def labels(self, raw: RawMask, where: str = "the mask") -> LabelMap:
        """Object numbers [H, W] of a mask whose encoding is "instances"; 0 elsewhere."""
        codes = self._codes(raw, where)
        background = (self.classes[0].values[0], *self.ignore)
        if int(codes.max(initial=0)) > np.iinfo(np.int32).max or int(codes.min(initial=0)) < 0:
            distinct, inverse = np.unique(codes, return_inverse=True)
            numbers = np.where(np.isin(distinct, background), 0, np.arange(1, len(distinct) + 1))
            return numbers[inverse].reshape(codes.shape).astype(np.int32)
        return np.where(np.isin(codes, background), 0, codes).astype(np.int32)

    def classify(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """Class index of each value in `codes` (any shape); IGNORE to be ignored, 254 if it is of no class.

        Not for object numbers: with "instances", use `decode`.
        """
        values, indices = self._known
        wide = codes.astype(np.int64)
        if self.snap:
            return indices[_nearest(wide, values, colours=self.kind == "colours")]
        place = np.searchsorted(values, wide).clip(max=len(values) - 1)
        return np.where(values[place] == wide, indices[place], OUTSIDE).astype(np.uint8)

    def encode(self, classes: ClassMap, objects: LabelMap | None = None) -> NDArray[Any]:
        """A class map [H, W] in the user's own values: [H, W], or uint8 [H, W, 3] for colours.

        With "instances", the numbers of `objects` (int32 [H, W], 0 outside) are written; without them those
        of the connected components (4 neighbours) of class 1. A pixel that is IGNORE becomes the ignore value
        where the encoding has one, and class 0 elsewhere.
        """
        if self.kind == "instances":
            # SciPy takes 0.3 s to import, and only predictions of objects need it
            from uvala.instances.components import connected_components

            labels = connected_components(classes == 1) if objects is None else objects
            dtype = np.dtype(self.dtype)
            return labels.astype(dtype) if labels.max(initial=0) <= np.iinfo(dtype).max else labels
        table = np.full(256, self.ignore[0] if self.ignore else self.classes[0].values[0], np.int64)
        table[: self.num_classes] = [entry.values[0] for entry in self.classes]
        if self.kind == "colours":
            return np.stack([table >> 16, (table >> 8) & 255, table & 255], axis=-1).astype(np.uint8)[classes]
        return table.astype(self.dtype)[classes]

    def write(self, path: Path, classes: ClassMap, objects: LabelMap | None = None) -> Path:
        """Write a class map [H, W] as an image file in the user's own encoding, palette included.

        objects: as for `encode`.

        Returns where it lies: values that do not fit a PNG go to a TIFF beside it.
        """
        values = self.encode(classes, objects)
        # there may be more objects than the palette has places
        fits = self.palette is not None and values.max(initial=0) < len(self.palette)
        return write_mask(path, values, palette=np.array(self.palette, np.uint8) if fits else None)

    def colour_of(self, index: int) -> tuple[int, int, int] | None:
        """Red, green, blue of class `index` in the user's own masks; None where they have no colours."""
        value = self.classes[index].values[0]
        if self.kind == "colours":
            return unpack_colour(value)
        if self.palette is None or not 0 <= value < len(self.palette):
            return None
        return self.palette[value]

    @cached_property
    def _known(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """All values that mean something, ascending, and the class index (or IGNORE) of each."""
        pairs = [(value, index) for index, entry in enumerate(self.classes) for value in entry.values]
        pairs += [(value, IGNORE) for value in self.ignore]
        values, indices = zip(*sorted(pairs), strict=True)
        return np.array(values, np.int64), np.array(indices, np.uint8)

    @cached_property
    def _byte_table(self) -> NDArray[np.uint8]:
        return self.classify(np.arange(2**8))

    @cached_property
    def _word_table(self) -> NDArray[np.uint8]:
        return self.classify(np.arange(2**16))

    def _codes(self, raw: RawMask, where: str) -> NDArray[Any]:
        """[H, W]: what the classes' `values` are compared with."""
        values = raw.values
        if self.kind == "colours":
            if values.ndim == 3:
                return pack_colours(values)
            if raw.palette is not None:
                return pack_colours(raw.palette)[values]
            return values.astype(np.int32) * 0x010101  # read_mask hands a colourless RGB mask on as grey
        if values.ndim == 2:
            return values
        if self.kind == "palette" and self.palette is not None:
            return self._indices_of_colours(pack_colours(values), where)
        raise MaskError(
            found=f"{where}: a colour mask",
            expected=f"a mask with one number per pixel, as in the other masks ({', '.join(self.names)})",
            fix="save it like the others",
        )

    def _indices_of_colours(self, colours: NDArray[np.int32], where: str) -> NDArray[Any]:
        """A palette mask that was saved as 24-bit RGB by some editor: back to the palette's indices."""
        assert self.palette is not None
        own = pack_colours(np.array(self.palette, np.uint8))
        values = [value for value in self._known[0].tolist() if 0 <= value < len(own)]
        distinct, inverse = np.unique(colours, return_inverse=True)
        by_colour = {int(own[value]): value for value in reversed(values)}
        unknown = [unpack_colour(int(colour)) for colour in distinct if int(colour) not in by_colour]
        if unknown:
            raise MaskError(
                found=f"{where}: an RGB mask with {len(unknown)} colours that are not in the palette of the "
                f"others, such as {unknown[0]}",
                expected="palette indices, or the palette's own colours",
                fix="save it as a palette PNG like the others",
            )
        indices = np.array([by_colour[int(colour)] for colour in distinct])
        return indices[inverse].reshape(colours.shape)

    def _outside(self, codes: NDArray[Any], where: str) -> MaskError:
        distinct, counts = np.unique(codes, return_counts=True)
        shown = ", ".join(self.spell(int(value)) for value in distinct[np.argsort(-counts)][:5])
        more = f" and {len(distinct) - 5} more" if len(distinct) > 5 else ""
        known = ", ".join(f"{self.spell(entry.values[0])} ({entry.name})" for entry in self.classes[:8])
        return MaskError(
            found=f"{where}: values {shown}{more} on {len(codes)} pixels",
            expected=f"the values of the classes: {known}{', ...' if self.num_classes > 8 else ''}",
            fix="correct the mask, or name the values in dataset.toml (`[classes]` or `ignore = [...]`)",
        )


@dataclass(frozen=True)
class EncodingRow:
    """One line of the table that tells how the masks are read.

    value: as the user would write it. share: of all mask pixels, 0 to 1. images: masks that contain it.
    """

    value: str
    class_name: str
    share: float
    images: int


def object_labels(masks: Sequence[RawMask]) -> LabelMap:
    """Object numbers [H, W], 1 to n, of masks that hold one object each; a later one covers an earlier one.

    An object is what lies above half of its mask's maximum, so 0/1, 0/255 and smoothed outlines all do.
    """
    labels = np.zeros(masks[0].values.shape[:2], np.int32)
    for number, raw in enumerate(masks, start=1):
        labels[object_pixels(raw)] = number
    return labels


def object_pixels(raw: RawMask) -> NDArray[np.bool_]:
    """Where the one object of this mask is: bool [H, W]."""
    values = raw.values.max(axis=-1) if raw.values.ndim == 3 else raw.values
    top = int(values.max(initial=0))
    return values * 2.0 > top if top > 0 else np.zeros(values.shape, bool)


def pack_colours(colours: NDArray[Any]) -> NDArray[np.int32]:
    """uint8 [..., 3] -> int32 [...]: red << 16 | green << 8 | blue."""
    wide = colours.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def unpack_colour(code: int) -> tuple[int, int, int]:
    """Red, green, blue of a packed colour."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def _nearest(codes: NDArray[np.int64], values: NDArray[np.int64], *, colours: bool) -> NDArray[np.intp]:
    """Place in `values` (ascending) of the nearest to each code; the lower one on a tie."""
    if not colours:
        return np.searchsorted((values[1:] + values[:-1]) / 2, codes, side="left")
    distinct, inverse = np.unique(codes, return_inverse=True)
    shifts = np.array([16, 8, 0])
    known = (values[:, None] >> shifts & 255).astype(np.float32)  # [K, 3]
    best = np.zeros(len(distinct), np.intp)
    for start in range(0, len(distinct), 4096):  # a JPEG mask has up to millions of colours: bound the table
        part = (distinct[start : start + 4096, None] >> shifts & 255).astype(np.float32)
        best[start : start + 4096] = ((part[:, None] - known) ** 2).sum(axis=-1).argmin(axis=1)
    return best[inverse].reshape(codes.shape)
