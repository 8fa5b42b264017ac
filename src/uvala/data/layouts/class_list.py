"""The names of the classes, where a file beside the images lists them."""

import re

from uvala.arrays import MAX_CLASSES
from uvala.data.layouts.tree import File, Tree
from uvala.images.read import IMAGE_SUFFIXES

__all__ = ["read_class_names"]

_FILES = ("classes.txt", "class_names.txt", "labels.txt")
_LONGEST = 60  # letters; a longer line is a sentence


def read_class_names(tree: Tree) -> tuple[str, ...] | None:
    """The lines of classes.txt, class_names.txt or labels.txt, the one nearest the top; None without.

    "0 sky" and "0: sky" count as "sky" where the numbers run from 0 or 1. A file of other content, such as a
    list of file names, is passed over.
    """
    lists = [file for file in tree.files if file.name.lower() in _FILES]
    for file in sorted(lists, key=lambda file: (len(file.folder), _FILES.index(file.name.lower()))):
        names = _names(tree, file)
        if names is not None:
            return names
    return None


def _names(tree: Tree, file: File) -> tuple[str, ...] | None:
    try:
        text = tree.path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    numbered = [re.fullmatch(r"(\d+)[\s:,;=]+(\S.*)", line) for line in lines]
    numbers = [int(match[1]) for match in numbered if match]
    if len(numbers) == len(lines) and numbers in (
        list(range(len(lines))),
        list(range(1, len(lines) + 1)),
    ):
        lines = [match[2] for match in numbered if match]
    plausible = 0 < len(set(lines)) == len(lines) <= MAX_CLASSES and all(
        len(line) <= _LONGEST for line in lines
    )
    if not plausible or any(File((), line).suffix in IMAGE_SUFFIXES for line in lines):
        return None
    return tuple(lines)
