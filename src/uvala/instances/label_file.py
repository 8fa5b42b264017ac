"""Object numbers of an image that is too large for the memory."""

import tempfile
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from uvala.arrays import Box, LabelMap, Size, cells
from uvala.files import storage_errors
from uvala.machine import shares

__all__ = ["LabelFile", "Labels"]

_LEAST_KEPT = 4  # blocks in memory, however few bytes they may take: those that meet at a corner


class LabelFile:
    """Object numbers, int32 [H, W], a few blocks of which are in memory and the others in a file.

    Indexed like an array with the slices of a box inside the image, nothing else; what comes back is a copy.
    Blocks that never held a number take no room and no time. The file lies in `folder` without a name, so
    that it goes when this is closed and when the process is killed. Not for several threads.
    A memory map would do as well, but pages of it count as memory of the process until others need the
    memory, and a full disk ends the process there; here it is a StorageError.

    memory: bytes that predicting the image may take in all, of which some keep blocks: those beside and below
    the one that is looked at, as it moves through the image. None: the usual ones.
    """

    def __init__(self, folder: Path, size: Size, *, block: int = 1024, memory: int | None = None) -> None:
        self.shape = tuple(size)
        self.size = size.height * size.width
        self.dtype = np.dtype(np.int32)
        self._folder, self._block = folder, block
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed in __exit__
        self._most = max(_LEAST_KEPT, shares(memory).labels // (block * block * self.dtype.itemsize))
        self._kept: OrderedDict[tuple[int, int], LabelMap] = OrderedDict()
        self._changed: set[tuple[int, int]] = set()  # of those kept
        self._slots: dict[tuple[int, int], int] = {}  # where in the file the others lie

    def __enter__(self) -> "LabelFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, key: tuple[slice, slice]) -> LabelMap:
        box = _box(key)
        numbers = np.zeros((box.height, box.width), np.int32)
        for cell in cells(box, self._block):
            block = self._get((cell.row, cell.column))
            if block is not None:
                numbers[cell.of_box] = block[cell.of_cell]
        return numbers

    def __setitem__(self, key: tuple[slice, slice], values: ArrayLike) -> None:
        box = _box(key)
        numbers = np.broadcast_to(np.asarray(values, np.int32), (box.height, box.width))
        for cell in cells(box, self._block):
            place = cell.row, cell.column
            block = self._get(place)
            if block is None:
                if not numbers[cell.of_box].any():
                    continue
                block = np.zeros((self._block, self._block), np.int32)
                self._keep(place, block)
            block[cell.of_cell] = numbers[cell.of_box]
            self._changed.add(place)

    def _get(self, place: tuple[int, int]) -> LabelMap | None:
        """A block, to be changed in place; None if it is zero everywhere."""
        block = self._kept.get(place)
        if block is not None:
            self._kept.move_to_end(place)
        elif place in self._slots:
            block = np.empty((self._block, self._block), np.int32)
            with storage_errors(self._folder):
                self._file.seek(self._slots[place] * block.nbytes)
                self._file.readinto(block.data.cast("B"))  # type: ignore[attr-defined]
            self._keep(place, block)
        return block

    def _keep(self, place: tuple[int, int], block: LabelMap) -> None:
        self._kept[place] = block
        if len(self._kept) > self._most:
            oldest, gone = self._kept.popitem(last=False)
            if oldest in self._changed:
                self._changed.remove(oldest)
                self._write(oldest, gone)

    def _write(self, place: tuple[int, int], block: LabelMap) -> None:
        slot = self._slots.setdefault(place, len(self._slots))
        with storage_errors(self._folder):
            self._file.seek(slot * block.nbytes)
            self._file.write(block.data.cast("B"))


Labels = LabelMap | LabelFile
"""Object numbers [H, W] from which boxes are read and into which they are written."""


def _box(key: tuple[slice, slice]) -> Box:
    rows, columns = key
    return Box(rows.start, columns.start, rows.stop, columns.stop)
