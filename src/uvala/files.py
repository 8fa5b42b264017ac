"""Files that are whole or not there: written under a temporary name, then renamed."""

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uvala.errors import StorageError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "cache_folder",
    "claim_folder",
    "held",
    "making",
    "replacing",
    "storage_errors",
    "sync",
    "write_bytes",
    "write_json",
    "write_text",
    "write_with",
]

# EFBIG is what a file-size limit answers; for the user it is the same as a full disk.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# in a folder that `held` holds
_LOCK = ".lock"


def write_with(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file through `write(stream)`. The old content, or none, stays until the new is complete.

    Raises StorageError if there is no space or no permission; nothing half-written is left behind.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes files that only their owner may read; a result is for everybody the umask allows
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    write_with(path, lambda stream: stream.write(content))


def write_text(path: Path, content: str) -> None:
    """Write `content` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    # bytes of a file name that are no UTF-8 are surrogates, which JSON can hold escaped only
    write_bytes(path, text.encode(errors="backslashreplace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` for a file or a folder, which takes the place of `path` when this block ends well.

    For what is too large to be made before it is written. Its name is the same every time, so that what a
    process that was killed left there goes away; two processes must not write the same `path` at once.
    Raises StorageError if there is no space or no permission; nothing half-written is left behind.
    """
    temporary = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        try:
            yield temporary
            if temporary.exists():
                sync(temporary)
            if path.is_dir():  # which cannot be replaced by a rename unless it is empty
                shutil.rmtree(path)
            temporary.replace(path)
        finally:
            _remove(temporary)


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """An empty folder to make `path` in, on the same disk; what is not moved out of it by the end goes away.

    Its name is the same every time, so that what a process that was killed left there goes away, too. Raises
    StorageError if another process makes the same `path`, where files can be locked, or nothing can be
    written there.
    """
    folder = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder):
        try:
            inner = folder / "new"  # without the lock
            with storage_errors(path):
                for each in folder.iterdir():
                    if each.name != _LOCK:
                        _remove(each)
                inner.mkdir()
            yield inner
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the disk hold a file, or a folder with all that is in it, as it is now."""
    if path.is_file():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
        return
    for each in path.iterdir():
        sync(each)
    with suppress(OSError):  # not every system lets a folder be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's "no" inside this block into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                found=f"no space left while writing {path}",
                expected="room on that disk",
                fix="free some space or choose another --out; the file is not there in part",
            ) from error
        raise StorageError(
            found=f"{path}, which cannot be written ({error.strerror or error})",
            expected="a disk that is there, and a place on it that this user may write to",
            fix="choose another --out",
        ) from error


def cache_folder() -> Path:
    """$UVALA_CACHE, else a folder where the system keeps caches. RuntimeError if there is no home for it."""
    if named := os.environ.get("UVALA_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "uvala" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "uvala"
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "uvala"


def claim_folder(path: Path, *, purpose: str) -> None:
    """Make `path` a new folder; StorageError if it is a file or already holds something."""
    if path.is_file() or (path.is_dir() and any(each.name != _LOCK for each in path.iterdir())):
        raise StorageError(
            found=f"{path}, which already holds {'a file' if path.is_file() else 'files'}",
            expected=f"a new or empty folder for {purpose}",
            fix="choose another --out; what lies there is left alone",
        )
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """No other process that asks for it holds `folder` in this block; StorageError if one does.

    The system ends the hold of a process that was killed: its lock file may lie there and means nothing.
    """
    if sys.platform == "win32":  # there a lock would keep the folder from being removed
        yield
        return
    path = folder / _LOCK
    stream = _locked(path)
    while not _lies_at(path, stream):
        # who held it removed it between our opening and our locking it: a newcomer would lock another file
        stream.close()
        stream = _locked(path)
    with stream:
        try:
            yield
        finally:
            with suppress(OSError):  # what happened inside is more worth knowing
                path.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str]:
    """A lock file, made if need be, that this process holds until it closes it."""
    with storage_errors(path):
        stream = path.open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise StorageError(
            found=f"{path.parent}, in which another process is at work",
            expected="a folder that nobody else writes to",
            fix="wait for its end, or choose another --out",
        ) from None
    except OSError:
        pass  # a file system without locks
    return stream


def _lies_at(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
