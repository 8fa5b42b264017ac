"""Files that are whole or not there: written under a temporary name, then renamed."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from uvala.errors import StorageError

__all__ = ["claim_folder", "storage_errors", "write_bytes", "write_json", "write_text", "write_with"]

# EFBIG is what a file-size limit answers; for the user it is the same as a full disk.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


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
        if error.errno in {
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EISDIR,
            errno.EEXIST,
            errno.ENOENT,
        }:
            raise StorageError(
                found=f"{path}, which cannot be written ({os.strerror(error.errno)})",
                expected="a place that this user may write to",
                fix="choose another --out",
            ) from error
        raise


def claim_folder(path: Path, *, purpose: str) -> None:
    """Make `path` a new folder; StorageError if it is a file or already holds something."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise StorageError(
            found=f"{path}, which already holds {'a file' if path.is_file() else 'files'}",
            expected=f"a new or empty folder for {purpose}",
            fix="choose another --out or remove it first",
        )
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
