"""Arrays that wait to be wanted again: in memory while there is room, and then in a file."""

import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.files import storage_errors

__all__ = ["Scratch", "Shelf"]


class Scratch(NamedTuple):
    """Where arrays go that memory has no room for. folder: of the file; room: bytes that stay in memory."""

    folder: Path
    room: int = 2**27


class Shelf:
    """Arrays, float32, each put here under a key and taken away once.

    scratch: None keeps all of them in memory. The file has no name, so that it goes when this is closed and
    when the process is killed. A full disk is a StorageError. Not for several threads.
    """

    def __init__(self, scratch: Scratch | None) -> None:
        self._scratch = scratch
        self._kept: dict[Hashable, NDArray[np.float32]] = {}
        self._bytes = 0  # of those kept
        self._filed: dict[Hashable, tuple[int, tuple[int, ...]]] = {}  # where in the file, and its shape
        self._free: dict[int, list[int]] = {}  # bytes: places in the file of what was taken away
        self._file: IO[bytes] | None = None
        self._end = 0  # of the file

    def put(self, key: Hashable, array: NDArray[np.float32]) -> None:
        """Put an array here, which belongs to the shelf from now on."""
        self._kept[key] = array
        self._bytes += array.nbytes
        # those that were put here first; the last is likely to be wanted soon
        while self._scratch and self._bytes > self._scratch.room and len(self._kept) > 1:
            self._write(next(iter(self._kept)), self._scratch.folder)

    def take(self, key: Hashable) -> NDArray[np.float32] | None:
        """Take an array away; None if there is none under this key."""
        if key in self._kept:
            array = self._kept.pop(key)
            self._bytes -= array.nbytes
            return array
        return self._read(*self._filed.pop(key)) if key in self._filed else None

    def __contains__(self, key: object) -> bool:
        """Whether there is an array under this key."""
        return key in self._kept or key in self._filed

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def _write(self, key: Hashable, folder: Path) -> None:
        array = np.ascontiguousarray(self._kept.pop(key))
        self._bytes -= array.nbytes
        free = self._free.get(array.nbytes)
        place = free.pop() if free else self._end
        with storage_errors(folder):
            if self._file is None:
                folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed in `close`
            self._file.seek(place)
            self._file.write(array.data.cast("B"))
        self._end = max(self._end, place + array.nbytes)
        self._filed[key] = (place, array.shape)

    def _read(self, place: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        assert self._file is not None
        assert self._scratch is not None
        array = np.empty(shape, np.float32)
        with storage_errors(self._scratch.folder):
            self._file.seek(place)
            self._file.readinto(array.data.cast("B"))  # type: ignore[attr-defined]
        self._free.setdefault(array.nbytes, []).append(place)
        return array
