"""Which images files, folders and globs name, and what their results are called."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from glob import glob
from pathlib import Path

from uvala.errors import DataError, UvalaError, did_you_mean
from uvala.images.lazy import find_images, is_image
from uvala.images.read import IMAGE_SUFFIXES, Source, count_pages
from uvala.prediction.record import NAME

__all__ = ["RESULT_FOLDERS", "find_inputs"]

RESULT_FOLDERS = frozenset({"objects", "overlays", "probabilities", "uncertainty"})
"""What lies beside the masks, in the folder of the results."""


def find_inputs(
    patterns: Sequence[str | Path],
    *,
    outside: Path | None = None,
    taken: Collection[str] = (),
    channels: int | None = None,
) -> list[tuple[Source, Path]]:
    """Each image of some files, folders and globs, with the relative path (no suffix) of its result.

    A folder is searched with its sub-folders, whose names are kept; one that is a Zarr image is an image, and
    one that holds predictions is passed over. A multi-page TIFF gives an entry per page. outside: a folder of
    which nothing is meant, such as that of the results. taken: folders in which no result may lie, such as
    RESULT_FOLDERS. channels: so many pages are the channels of one image; None: no number of pages is.
    DataError for a name that matches nothing.
    """
    found: dict[Source, Path] = {}
    apart = None if outside is None else outside.resolve()
    for pattern in patterns:
        for path, base in _expand(Path(pattern).expanduser()):
            # where it lies, not where a link leads to
            if apart and (path.parent.resolve() / path.name).is_relative_to(apart):
                continue
            target = path.relative_to(base).with_suffix("")
            for source in _pages(path, channels):
                page = "" if source.page is None else f"_{source.page:03d}"
                found.setdefault(source, target.with_name(target.name + page))
    return _distinct(found, taken)


def _expand(pattern: Path) -> list[tuple[Path, Path]]:
    """Files that a path or a glob names, each with the folder that its result's path is relative to."""
    if pattern.is_dir() and not is_image(pattern):
        files = list(find_images(pattern, without=NAME))
        if not files:
            raise DataError(
                found=f"{pattern}, a folder without images",
                expected=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}",
                fix="name the folder that holds the images",
            )
        return [(path, pattern) for path in files]
    if pattern.exists() or pattern.is_symlink():
        named = pattern.absolute() if pattern.is_dir() else pattern  # a Zarr image may be called "."
        return [(named, named.parent)]
    fixed, matched = _matches(pattern)
    if not matched:
        beside = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
        near = [each.name for each in beside if not each.name.startswith(".")]
        raise DataError(
            found=f"no file, folder or pattern {pattern}",
            expected="images to predict",
            fix=did_you_mean(pattern.name, near) if 0 < len(near) < 1000 else "check the path",
        )
    # relative to what no wildcard touched: case1/a.png and case2/a.png stay apart
    return [
        (file, fixed)
        for path in matched
        for file, _ in (_expand(path) if path.is_dir() and not is_image(path) else [(path, fixed)])
    ]


def _matches(pattern: Path) -> tuple[Path, list[Path]]:
    """The part of a pattern before its first wildcard, and the paths that the pattern names."""
    parts = pattern.parts
    wild = next((place for place, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    fixed = Path(*parts[:wild])
    if wild == len(parts):
        return fixed, []
    return fixed, [Path(path) for path in sorted(glob(str(pattern), recursive=True))]


def _pages(path: Path, channels: int | None) -> list[Source]:
    if path.suffix.lower() not in {".tif", ".tiff"}:
        return [Source(path)]
    try:
        pages = count_pages(path)
    except UvalaError:
        return [Source(path)]  # reading it will say what is wrong
    return [Source(path)] if pages in (1, channels) else [Source(path, page) for page in range(pages)]


def _distinct(found: dict[Source, Path], folders: Collection[str]) -> list[tuple[Source, Path]]:
    """The same, with longer names for results that would overwrite each other, or lie in one of `folders`.

    Files from several folders keep the part of their paths that differs (one/a, two/a); what then still has
    the same name gets its suffix (a_png, a_tif), and at last a number.
    """
    often = Counter(found.values())
    # of the folder, not of the file: links to files of one store tell apart what the store does not
    clashing = [source.path.parent.resolve() for source, target in found.items() if often[target] > 1]
    shared = Path(os.path.commonpath(clashing)) if clashing else Path()
    longer = {
        source: _longer(source, target, shared) if often[target] > 1 else target
        for source, target in found.items()
    }
    often = Counter(longer.values())
    taken: set[Path] = set()
    named = []
    for source, target in longer.items():
        if often[target] > 1:
            target = target.with_name(f"{target.name}_{source.path.suffix[1:]}")
        target = _beside(target, folders)
        number, name = 1, target.name
        while target in taken:
            number += 1
            target = target.with_name(f"{name}_{number}")
        taken.add(target)
        named.append((source, target))
    return named


def _longer(source: Source, target: Path, shared: Path) -> Path:
    """The name of a result with the folders of its source below `shared`, unless it has them already."""
    full = source.path.parent.resolve().relative_to(shared) / target.name
    return target if full.parts == target.parts[-len(full.parts) :] else full


def _beside(target: Path, folders: Collection[str]) -> Path:
    """The name of a result, in another folder where it would lie in one of `folders`: overlays_/a."""
    first, *rest = target.parts
    # on some disks Overlays is overlays
    return Path(f"{first}_", *rest) if rest and first.casefold() in folders else target
