"""Decoded arrays on disk, mapped into memory when they are used: what is decoded once is not decoded again.

An entry is one file: arrays in the format of .npy, one after the other, and behind them their length and
checksum. It is written under another name and then renamed, so that of two trainings which write the same
entry one wins and neither sees half of it. Removing an entry takes nothing from those who have it mapped, in
whatever process: on POSIX the file loses its name and lives until the last of them is done, and on Windows it
cannot be removed. A network file system holds to this for one machine alone, so machines that share one need
an UVALA_CACHE each.
"""

import contextlib
import os
import shutil
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uvala.errors import StorageError
from uvala.files import cache_folder

__all__ = ["Arrays", "ImageCache", "cache_folder", "open_cache", "users_cache"]

Arrays = Mapping[str, NDArray[Any]]

_ENDING = ".arrays"
_UNFINISHED = ".part"
_STALE = 24 * 3600.0  # seconds after which a file that nobody finished was left by a killed process
_TRAILER = struct.Struct("<8sQI")  # what it is, bytes before the trailer, their CRC-32
_MAGIC = b"uvala\x00c1"
_HEADERS = 512  # bytes of an array beside its numbers, at most
_RECOUNT = 30.0  # seconds after which it is looked up what other trainings have written
_ALIGN = 64  # so that each array begins where a vector instruction wants it


def open_cache(gigabytes: int | None = None, folder: Path | None = None) -> "ImageCache | None":
    """The cache of decoded images, of so many gigabytes (None: half of the free disk).

    None for 0 gigabytes, and where there is no place for it.
    """
    if gigabytes == 0:
        return None
    try:
        folder = folder or _images_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return ImageCache(folder, None if gigabytes is None else gigabytes * 2**30)


def users_cache() -> "ImageCache":
    """The user's cache of decoded images, empty where nothing was kept yet; StorageError without a place."""
    try:
        return ImageCache(_images_folder())
    except RuntimeError as error:
        raise StorageError(
            found="no home folder, where the cache would be",
            expected="a folder for it",
            fix="name one in the environment variable UVALA_CACHE",
        ) from error


def _images_folder() -> Path:
    return cache_folder() / "images"


class ImageCache:
    """Entries of named arrays in one folder, those used last kept. Safe for several threads and processes.

    limit: bytes that all entries together may take; None: as many as half of the disk would be without them.
    Entries that this object has used are not removed to make room for others of its own: a data set that
    does not fit would push out each image just before it is needed again.
    full: why nothing is written any more; "" as long as it is.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit
        self.full = ""
        self.damaged = 0
        self._used: set[Path] = set()
        self._checked: set[tuple[Path, int]] = set()
        self._lock = threading.Lock()
        self._total, self._counted = 0, -_RECOUNT
        self._remove_unfinished()

    def get(self, key: str) -> Arrays | None:
        """The arrays kept under `key`, read-only and read from disk where they are touched; None without.

        A damaged entry is removed, and there is none.
        """
        path = self._path(key)
        try:
            with path.open("rb") as stream:
                mapped = np.asarray(np.memmap(stream, np.uint8, "r"))
                file = (path, os.fstat(stream.fileno()).st_ino)
                if file not in self._checked:
                    _check(mapped)
                    self._checked.add(file)
                arrays = _arrays(stream, mapped)
            os.utime(path)  # when it was last used; what the system notes of reading is often switched off
        except FileNotFoundError:
            return None
        except (ValueError, EOFError, SyntaxError):  # what numpy's reader raises on damaged headers
            self.damaged += 1
            self._remove(path)
            return None
        except OSError:
            return None
        self._used.add(path)
        return arrays

    def put(self, key: str, arrays: Arrays) -> Arrays | None:
        """Keep `arrays` under `key`; what `get` then returns. None where there is no room for them."""
        path = self._path(key)
        if self.full or not self._make_room(sum(array.nbytes + _HEADERS for array in arrays.values())):
            return None
        part = None
        try:
            # readable by its owner alone, as mkstemp makes it: these may be images of patients
            handle, name = tempfile.mkstemp(suffix=_UNFINISHED, dir=self.folder)
            part = Path(name)
            with os.fdopen(handle, "wb") as stream:
                _write(stream, arrays)
            part.replace(path)
        except OSError as error:
            if not path.exists():  # on Windows an entry that another training has mapped cannot be replaced
                self.full = f"{self.folder}: {(error.strerror or str(error)).lower()}"
        finally:
            if part is not None:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
        return None if self.full else self.get(key)

    @property
    def size_in_bytes(self) -> int:
        """Bytes that all entries take."""
        return sum(size for _, size, _ in self._entries())

    @property
    def entries(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._entries())

    def clear(self) -> None:
        """Remove all entries, but not what others are just writing; StorageError if some have to stay."""
        for path, _, _ in list(self._entries()):
            self._remove(path)
        if left := self.entries:
            raise StorageError(
                found=f"{left} files in {self.folder} that cannot be removed",
                expected="files of this user that no process has open",
                fix="end the trainings that use them, and try again",
            )

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_ENDING}"

    def _make_room(self, wanted: int) -> bool:
        """Whether there is room for so many bytes, once the entries that were used longest ago are gone."""
        with self._lock:
            if time.monotonic() - self._counted > _RECOUNT:
                self._total, self._counted = self.size_in_bytes, time.monotonic()
            limit = (self._total + _free(self.folder)) // 2 if self.limit is None else self.limit
            if self._total + wanted > limit:
                self._remove_oldest(wanted, limit)
            if self._total + wanted > limit:
                return False
            self._total += wanted
            return True

    def _remove_oldest(self, wanted: int, limit: int) -> None:
        """Remove what was used longest ago until there is room; nothing if even all of it is too little."""
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        self._total = sum(size for _, size, _ in entries)
        removable = [(path, size) for path, size, _ in entries if path not in self._used]
        if self._total - sum(size for _, size in removable) + wanted > limit:
            return
        for path, size in removable:
            if self._total + wanted <= limit:
                return
            self._remove(path)
            self._total -= size

    def _entries(self) -> Iterator[tuple[Path, int, float]]:
        """Path, bytes and time of the last use of each entry."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as files:
            for file in files:
                if file.name.endswith(_ENDING):
                    with contextlib.suppress(OSError):  # another training has removed it
                        facts = file.stat()
                        yield Path(file.path), facts.st_size, facts.st_mtime

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _remove_unfinished(self) -> None:
        with contextlib.suppress(OSError):
            for path in self.folder.glob(f"*{_UNFINISHED}"):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE:
                        path.unlink()


class _Summed:
    """A stream that counts what is written and sums it up."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.length = 0
        self.sum = 0

    def write(self, content: bytes) -> int:
        """Write on."""
        self.sum = zlib.crc32(content, self.sum)
        self.length += len(content)
        return self.stream.write(content)


def _write(stream: IO[bytes], arrays: Arrays) -> None:
    # not forced to the disk: what a power cut leaves half-written, the checksum tells
    summed = _Summed(stream)
    for name, array in arrays.items():
        label = np.frombuffer(name.encode(), np.uint8)
        for each in (label, np.ascontiguousarray(array)):
            np.lib.format.write_array(summed, each, version=(1, 0), allow_pickle=False)
            summed.write(bytes(-summed.length % _ALIGN))
    stream.write(_TRAILER.pack(_MAGIC, summed.length, summed.sum))


def _check(mapped: NDArray[np.uint8]) -> None:
    """ValueError unless the entry is whole and as it was written."""
    if len(mapped) < _TRAILER.size:
        raise ValueError("too short")
    magic, length, checksum = _TRAILER.unpack(mapped[-_TRAILER.size :].tobytes())
    if magic != _MAGIC or length != len(mapped) - _TRAILER.size:
        raise ValueError("cut off")
    if zlib.crc32(mapped[:length].data) != checksum:
        raise ValueError("changed")


def _arrays(stream: IO[bytes], mapped: NDArray[np.uint8]) -> Arrays:
    """The arrays of an entry as views of its one mapping: a process may have some 65,000 of these."""
    found: dict[str, NDArray[Any]] = {}
    stream.seek(0)
    while stream.tell() < len(mapped) - _TRAILER.size:
        name, array = (_next_array(stream, mapped) for _ in range(2))
        found[name.tobytes().decode()] = array
    return found


def _next_array(stream: IO[bytes], mapped: NDArray[np.uint8]) -> NDArray[Any]:
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    start = stream.tell()
    end = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    stream.seek(end + -end % _ALIGN)
    return mapped[start:end].view(dtype).reshape(shape)


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
