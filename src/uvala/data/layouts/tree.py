"""The files of a data set as they lie in its folders: one walk, no file opened."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from uvala.errors import LayoutError
from uvala.images.read import IMAGE_SUFFIXES

__all__ = ["File", "Tree", "walk"]

# What file managers, archives and network disks leave behind.
_CLUTTER = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "__pycache__"}
_DEEPEST = 12  # folders below folders; deeper lies no data set, but perhaps a whole disk


@dataclass(frozen=True, order=True, slots=True)
class File:
    """A file by the folders above it, from the data set's root down, and its name."""

    folder: tuple[str, ...]
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending; of "a.ome.tif" it is "a"."""
        stem = self.name.rpartition(".")[0]
        return stem[:-4] if stem.lower().endswith(".ome") else stem

    @property
    def suffix(self) -> str:
        """The ending with its dot, in lower case."""
        return self.name[self.name.rfind(".") :].lower() if "." in self.name else ""

    @property
    def where(self) -> str:
        """The path within the data set, with forward slashes on every system."""
        return "/".join((*self.folder, self.name))


@dataclass(frozen=True, eq=False)
class Tree:
    """All files below `root`, in order, but for hidden ones and clutter."""

    root: Path
    files: tuple[File, ...]

    @cached_property
    def images(self) -> tuple[File, ...]:
        """The files with an image's ending."""
        return tuple(file for file in self.files if file.suffix in IMAGE_SUFFIXES)

    @cached_property
    def image_folders(self) -> dict[tuple[str, ...], list[File]]:
        """The image files of each folder that holds some."""
        folders: dict[tuple[str, ...], list[File]] = {}
        for file in self.images:
            folders.setdefault(file.folder, []).append(file)
        return folders

    def path(self, file: File) -> Path:
        """Where a file lies."""
        return self.root.joinpath(*file.folder, file.name)


def walk(root: Path) -> Tree:
    """The files below `root`; linked folders are followed, each folder once. LayoutError if one is closed."""
    try:
        return Tree(root, tuple(sorted(_walk(root, (), set()))))
    except OSError as error:
        raise LayoutError(
            found=f"{error.filename}, which cannot be listed ({(error.strerror or 'unreadable').lower()})",
            expected="a folder that this user may read",
            fix="change its permissions or take it out of the data",
        ) from error


def _walk(folder: Path | str, parts: tuple[str, ...], seen: set[tuple[int, int]]) -> Iterator[File]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen or len(parts) > _DEEPEST:  # a link back to a folder above
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _CLUTTER:
                continue
            if entry.is_dir():
                yield from _walk(entry.path, (*parts, entry.name), seen)
            else:
                yield File(parts, entry.name)
