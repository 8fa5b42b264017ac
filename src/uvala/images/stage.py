"""What is known of a large image so far, block by block, on disk: a process that was stopped goes on there.

stage.json      what decides the numbers (`key`), the size of the image, the layers; written when all that
                stands before the first block is on the disk, so a folder without it is no stage
finished.txt    a line per complete block: top left bottom right. A line is appended when the numbers of the
                block are on the disk; the last line, if it has no end, is of a process that was killed
LAYER           a Zarr array [channels, height, width] in chunks of a block; chunks that are zero everywhere
                are not there
"""

import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, Size, cells
from uvala.errors import ShapeError
from uvala.files import storage_errors, sync, write_json
from uvala.machine import shares

__all__ = ["Layer", "Stage"]

_VERSION = 1  # of what lies in the folder
_CARD, _MARKS = "stage.json", "finished.txt"

_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, FileNotFoundError)
"""What zarr raises where its files are empty, cut off or not there."""


class Layer(NamedTuple):
    """What is kept of each pixel: so many numbers of this type."""

    channels: int
    dtype: np.dtype[Any]


class Stage:
    """Layers [channels, *size] on disk that are written block by block; made by `open`.

    Any thread may read; one thread at a time may write. Two processes must not share a folder (`files.held`).
    notes: what a user should know of what lay there.
    """

    def __init__(
        self, folder: Path, size: Size, layers: Mapping[str, Layer], block: int, memory: int | None = None
    ) -> None:
        self.folder = folder
        self.size = size
        self.layers = dict(layers)
        self.block = block
        self.notes: tuple[str, ...] = ()
        import zarr  # takes its time, and most images are small

        group = zarr.open_group(folder, mode="r+")
        self._arrays: dict[str, Any] = {name: group[name] for name in self.layers}
        self._finished = _read_marks(folder / _MARKS)
        self._lock = Lock()
        # Chunks that were read: objects that cross blocks are cut out one after the other, and those that
        # follow one another lie in the same few blocks.
        self._kept: OrderedDict[tuple[str, int, int], NDArray[Any]] = OrderedDict()
        self._most = shares(memory).stage

    @classmethod
    def open(
        cls,
        folder: Path,
        size: Size,
        layers: Mapping[str, Layer],
        *,
        block: int,
        key: str,
        memory: int | None = None,
    ) -> "Stage":
        """The stage in a folder, with the blocks that are complete already.

        block: side of a block in pixels; a stage that is gone on with keeps its own. key: a hash of all that
        decides the numbers. If the folder holds something else than a stage of the same key, size and layers,
        or a damaged one, it is emptied, with a note if that costs pixels. memory: bytes that predicting the
        image may take in all, of which some keep what was read; None: the usual ones.
        StorageError if it cannot be written.
        """
        card = {
            "version": _VERSION,
            "key": key,
            "size": list(size),
            "block": block,
            "layers": {name: [layer.channels, np.dtype(layer.dtype).str] for name, layer in layers.items()},
        }
        notes: tuple[str, ...] = ()
        with storage_errors(folder):
            found = _read_card(folder)
            before = found["block"] if isinstance(found, dict) and "block" in found else block
            if found == card | {"block": before}:
                try:
                    return cls(folder, size, layers, before, memory)
                except _DAMAGE:
                    notes = (f"begun anew, since what was done before is damaged ({folder})",)
            elif found and (lost := sum(box.height * box.width for box in _read_marks(folder / _MARKS))):
                notes = (
                    f"begun anew, since what was done before ({lost / 1e6:,.1f} megapixels)"
                    " is of another image, another device (--device), tiles of another size (--memory) or"
                    " objects of another class (objects.object_class)",
                )
            _remove(folder)
            _create(folder, size, layers, block)
            write_json(folder / _CARD, card)
            stage = cls(folder, size, layers, block, memory)
        stage.notes = notes
        return stage

    @staticmethod
    def discard(folder: Path) -> None:
        """Delete the stage in a folder, if there is one."""
        with storage_errors(folder):
            _remove(folder)

    @property
    def finished(self) -> frozenset[Box]:
        """The boxes that were written, in this process or before."""
        with self._lock:
            return frozenset(self._finished)

    def write(self, box: Box, values: Mapping[str, NDArray[Any]]) -> None:
        """Write all layers of a box, each [channels, height, width], and then mark it as finished.

        The box's edges lie at multiples of the block or at the image's edge, since a chunk is written as a
        whole. StorageError if there is no room; ShapeError for other boxes, layers and shapes.
        """
        self._require(box, values)
        with storage_errors(self.folder):
            for name, array in self._arrays.items():
                # Zarr would not store zeros either, but takes ten times as long to find out
                if values[name].any() or any(path.exists() for path in self._paths(name, box)):
                    array[:, *box.slices] = values[name]
                    self._settle(name, box)
            with (self.folder / _MARKS).open("ab") as marks:
                marks.write(" ".join(map(str, box)).encode() + b"\n")
        with self._lock:
            self._kept.clear()
            self._finished.add(box)

    def read(self, layer: str, box: Box) -> NDArray[Any]:
        """The numbers of a box, [channels, height, width]; 0 where nothing has been written."""
        channels, dtype = self.layers[layer]
        values = np.zeros((channels, box.height, box.width), dtype)
        for cell in cells(box, self.block):
            chunk = self._chunk(layer, cell.row, cell.column)
            if chunk is not None:
                values[:, *cell.of_box] = chunk[:, *cell.of_cell]
        return values

    def remove(self) -> None:
        """Delete the folder: what it holds has become files."""
        Stage.discard(self.folder)

    def _chunk(self, layer: str, row: int, column: int) -> NDArray[Any] | None:
        """A chunk of a layer, [channels, height, width]; None if it is zero everywhere."""
        place = (layer, row, column)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        if not self._path(layer, row, column).exists():  # far sooner known than decoded
            return None
        rows, columns = (slice(index * self.block, (index + 1) * self.block) for index in (row, column))
        chunk = np.asarray(self._arrays[layer][:, rows, columns])
        with self._lock:
            self._kept[place] = chunk
            while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return chunk

    def _path(self, layer: str, row: int, column: int) -> Path:
        return self.folder / layer / "c" / "0" / str(row) / str(column)

    def _paths(self, layer: str, box: Box) -> Iterator[Path]:
        """The files of the chunks of a box, which need not be there."""
        return (self._path(layer, cell.row, cell.column) for cell in cells(box, self.block))

    def _settle(self, layer: str, box: Box) -> None:
        """Have the disk hold what was written of a box: no mark may outlive its numbers."""
        for path in self._paths(layer, box):
            if path.exists():
                sync(path)

    def _require(self, box: Box, values: Mapping[str, NDArray[Any]]) -> None:
        ends = (box.top, box.left, box.bottom % self.size.height, box.right % self.size.width)
        if any(end % self.block for end in ends):
            raise ShapeError(
                found=f"{box} of an image of {self.size}",
                expected=f"edges at multiples of {self.block} or at the image's edge",
                fix="write whole blocks",
            )
        found = {name: array.shape for name, array in values.items()}
        expected = {name: (layer.channels, box.height, box.width) for name, layer in self.layers.items()}
        if found != expected:
            raise ShapeError(found=f"layers {found}", expected=f"{expected}", fix="write all layers of a box")


def _read_card(folder: Path) -> Any:
    try:
        return json.loads((folder / _CARD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _read_marks(path: Path) -> set[Box]:
    """The boxes of the complete lines; what stands behind the last of them is cut off."""
    content = path.read_bytes() if path.exists() else b""
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(path, complete)
    lines = (line.split() for line in content[:complete].splitlines())
    return {Box(*map(int, line)) for line in lines if len(line) == 4 and all(map(bytes.isdigit, line))}


def _create(folder: Path, size: Size, layers: Mapping[str, Layer], block: int) -> None:
    import zarr
    from zarr.codecs import BloscCodec

    group = zarr.open_group(folder, mode="w", zarr_format=3)
    for name, (channels, dtype) in layers.items():
        group.create_array(
            name,
            shape=(channels, *size),
            dtype=dtype,
            chunks=(channels, min(block, size.height), min(block, size.width)),
            chunk_key_encoding={"name": "default", "separator": "/"},  # as `Stage._path` has it
            # quick rather than small: what lies here is soon read again, and then deleted
            compressors=[BloscCodec(cname="lz4", clevel=3, shuffle="shuffle")],
            fill_value=0,
            config={"write_empty_chunks": False},
        )
    sync(folder)


def _remove(folder: Path) -> None:
    """Delete a folder; if that is interrupted, what is left is no stage."""
    if folder.is_dir():
        (folder / _CARD).unlink(missing_ok=True)
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
