"""Zarr arrays and OME-Zarr images, version 2 and 3: folders whose chunks are files.

An array is read as an NPY file is, see `channels_first`, or by the names of its axes (version 3). Of an
OME-Zarr image the finest level is read; axes other than channel, row and column must have length one.

Sources: Zarr 2 and 3 core; OME-NGFF 0.4 and 0.5 (multiscales, omero), and 0.1 to 0.3 as they were written.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uvala.arrays import Box, ImageArray, Size
from uvala.errors import ImageError
from uvala.images.boxes import PixelFacts, StoredImage, spacing_of
from uvala.images.chunks import Grid, Piece, in_chunks
from uvala.images.pixels import Pixels, channels_axis, damaged
from uvala.images.room import require_room

if TYPE_CHECKING:
    from zarr import Array, Group

__all__ = ["decode_zarr", "is_zarr", "open_zarr", "zarr_size"]

_MARKS = ("zarr.json", ".zarray", ".zgroup")
_AXES_BEFORE_NAMES = "tczyx"  # OME-NGFF 0.1 and 0.2


@dataclass(frozen=True)
class _Level:
    """An array and what its axes are: the indices of channels (if any), rows and columns."""

    array: "Array[Any]"
    channels: int | None
    rows: int
    columns: int
    facts: PixelFacts

    @property
    def size(self) -> Size:
        return Size(self.array.shape[self.rows], self.array.shape[self.columns])

    @property
    def grid(self) -> Grid:
        """The chunks that are read at a time; a shard is read in the chunks that it holds."""
        count, depth = (
            1 if self.channels is None else lengths[self.channels]
            for lengths in (self.array.shape, self.array.chunks)
        )
        chunk = Size(self.array.chunks[self.rows], self.array.chunks[self.columns])
        return Grid(count, self.size, self.array.dtype.newbyteorder("="), chunk, depth).grouped()

    def read(self, piece: Piece) -> ImageArray:
        """[channels, height, width] of a part of the image."""
        index: list[int | slice] = [0] * self.array.ndim
        index[self.rows], index[self.columns] = piece.box.slices
        if self.channels is not None:
            index[self.channels] = slice(piece.first, piece.last)
        kept = [axis for axis, at in enumerate(index) if isinstance(at, slice)]
        part = np.asarray(self.array[tuple(index)])
        part = np.moveaxis(part, [kept.index(self.rows), kept.index(self.columns)], (-2, -1))
        part = part if self.channels is not None else part[None]
        return part.astype(part.dtype.newbyteorder("="), copy=False)


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or a group of them."""
    return any(os.path.isfile(path / name) for name in _MARKS)  # False for a folder that is closed to us


def zarr_size(path: Path) -> Size:
    """Height and width of the image in a Zarr folder. ImageError as `open_zarr`."""
    return _level(path).size


def decode_zarr(path: Path) -> Pixels:
    """All pixels of the image in a Zarr folder. ImageError as `open_zarr`, and if they are too many."""
    level = _level(path)
    require_room(path, level.array.nbytes)
    return _pixels(level.read(Piece(0, level.grid.channels, Box(0, 0, *level.size))))


def open_zarr(path: Path, memory: int | None = None) -> StoredImage:
    """The image in a Zarr folder, whose boxes are read chunk by chunk. memory: as of `Chunks`.

    ImageError for a group that is no image, and for axes that are neither channels nor rows nor columns;
    ValueError, or what zarr raises, if it is damaged.
    """
    level = _level(path)
    raw, notes, let_go = in_chunks(level.grid, level.read, memory)
    read = None if raw is None else (lambda box: _pixels(raw(box)))
    return StoredImage(level.size, level.array.nbytes, read, facts=level.facts, notes=notes, let_go=let_go)


def _pixels(array: ImageArray) -> Pixels:
    return Pixels(channels=array, dtype=array.dtype.name)


def _level(path: Path) -> _Level:
    import zarr

    node = zarr.open(store=path, mode="r")
    level = _of_array(path, node) if isinstance(node, zarr.Array) else _of_group(path, node)
    if level.array.dtype.kind not in "buif":
        raise ValueError(f"pixels of {level.array.dtype}")
    if 0 in level.array.shape:
        raise ValueError(f"no pixel in an array of {list(level.array.shape)}")
    return level


def _of_array(path: Path, array: "Array[Any]") -> _Level:
    names = getattr(array.metadata, "dimension_names", None)
    if names and {"y", "x"} <= set(names):
        return _by_names(path, array, [str(name) for name in names], PixelFacts())
    channels = channels_axis(array.shape)
    rows, columns = (axis for axis in range(array.ndim) if axis != channels)
    return _Level(array, channels, rows, columns, PixelFacts())


def _of_group(path: Path, group: "Group") -> _Level:
    said: dict[str, Any] = dict(group.attrs)
    ome = said.get("ome", said)  # from 0.5 on all of it stands under one key
    if not ome.get("multiscales"):
        return _only_image(path, group, ome)
    image = ome["multiscales"][0]
    finest = image["datasets"][0]
    name = str(finest["path"])
    if name not in group:
        raise damaged(path, f"its finest level '{name}' is missing")
    array: Any = group[name]
    axes = image.get("axes") or list(_AXES_BEFORE_NAMES)
    names = [str(axis["name"] if isinstance(axis, Mapping) else axis).lower() for axis in axes]
    units = [axis.get("unit") if isinstance(axis, Mapping) else None for axis in axes]
    facts = _facts(names, units, [image, finest])
    omero = ome.get("omero") or said.get("omero") or {}
    labels = [str(channel.get("label") or "") for channel in omero.get("channels") or ()]
    if all(labels):
        facts = replace(facts, channels=tuple(labels))
    return _by_names(path, array, names, facts)


def _only_image(path: Path, group: "Group", ome: Mapping[str, Any]) -> _Level:
    """The image of a group that has nothing else in it, as bioformats2raw writes it, or a lone array."""
    if "plate" not in ome and [key for key in group if key != "OME"] == ["0"]:
        return _level(path / "0")
    inside = ", ".join(f"'{key}'" for key in sorted(group)[:5]) or "nothing"
    raise ImageError(
        found=f"{path}, a Zarr group that is not one image (it holds {inside})",
        expected="an array, or an OME-Zarr image: a group with `multiscales`",
        fix="name the image within it, such as its folder '0'",
    )


def _by_names(path: Path, array: "Array[Any]", names: Sequence[str], facts: PixelFacts) -> _Level:
    if len(names) != array.ndim or not {"y", "x"} <= set(names):
        raise damaged(path, f"axes {', '.join(names)} of an array of {list(array.shape)}")
    for name, length in zip(names, array.shape, strict=True):
        if name not in {"c", "y", "x"} and length > 1:
            raise ImageError(
                found=f"{path}, an image of {length} planes along its axis '{name}'",
                expected="one plane: rows, columns and perhaps channels",
                fix=f"save each plane of '{name}', or a projection along it, as an image of its own",
            )
    channels = names.index("c") if "c" in names else None
    return _Level(array, channels, names.index("y"), names.index("x"), facts)


def _facts(
    names: Sequence[str], units: Sequence[str | None], scaled: Sequence[Mapping[str, Any]]
) -> PixelFacts:
    """The size of a pixel: the product of the scales of the level and of the image as a whole."""
    if not {"y", "x"} <= set(names):
        return PixelFacts()
    scale = np.ones(len(names))
    for each in scaled:
        for step in each.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and len(step.get("scale") or ()) == len(names):
                scale *= np.asarray(step["scale"], np.float64)
    rows, columns = names.index("y"), names.index("x")
    return spacing_of(scale[rows], scale[columns], units[rows])
