"""Where a command will write, looked at before it works for minutes: a wrong path costs no time."""

import os
from pathlib import Path

from uvala.errors import StorageError

__all__ = ["check_outputs"]


def check_outputs(*, files: dict[str, Path | None], folders: dict[str, Path | None] | None = None) -> None:
    """StorageError if a path cannot be written. Keys are the options that name them; None: not asked for."""
    asked = {option: path for option, path in files.items() if path is not None}
    for option, path in asked.items():
        if path.is_dir():
            raise _refused(option, path, "is a folder", "the name of a file")
    claimed = {option: path for option, path in (folders or {}).items() if path is not None}
    for option, path in claimed.items():
        if path.exists() and not path.is_dir():
            raise _refused(option, path, "is a file", "the name of a folder")
        _check_place(option, path, path)
    for option, path in asked.items():
        _check_place(option, path, path.parent)
    _check_clashes(asked | claimed)


def _check_place(option: str, path: Path, folder: Path) -> None:
    """Whether `folder` is there and can be written to, or can be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise _refused(option, path, f"lies below {there}, which is a file", "a place in a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _refused(option, path, "may not be written", "a place that this user may write to")


def _check_clashes(paths: dict[str, Path]) -> None:
    """Two options may not name one place; a file in the folder of another option is fine."""
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        other = seen.setdefault(path.expanduser().resolve(), option)
        if other != option:
            raise _refused(option, path, f"is what {other} names, too", "a place of its own")


def _refused(option: str, path: Path, problem: str, expected: str) -> StorageError:
    return StorageError(
        found=f"{option} {path}, which {problem}", expected=expected, fix=f"choose another {option}"
    )
