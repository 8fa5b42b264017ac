"""Files, folders and globs in; masks, probabilities and overlays out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from uvala.errors import DataError, StorageError, UvalaError, did_you_mean
from uvala.images.read import IMAGE_SUFFIXES, Source, count_pages, read_image
from uvala.prediction.engine import Predictor
from uvala.prediction.objects import ObjectFiles

__all__ = ["Failure", "Output", "find_inputs", "predict_files"]


@dataclass(frozen=True)
class Output:
    """An image that was predicted: what was read, the mask that was written, and the classes it holds.

    objects: how many there are, or None if they were not asked for.
    """

    source: Source
    mask: Path
    classes: tuple[int, ...]
    objects: int | None = None


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why."""

    source: Source
    error: UvalaError


def find_inputs(patterns: Sequence[str | Path]) -> list[tuple[Source, Path]]:
    """Each image of some files, folders and globs, with the relative path (no suffix) of its result.

    A folder is searched with its sub-folders, whose names are kept. A multi-page TIFF gives an entry per
    page. DataError for a name that matches nothing.
    """
    found: dict[Source, Path] = {}
    for pattern in patterns:
        for path, base in _expand(Path(pattern).expanduser()):
            target = path.relative_to(base).with_suffix("")
            for source in _pages(path):
                page = "" if source.page is None else f"_{source.page:03d}"
                found.setdefault(source, target.with_name(target.name + page))
    return _distinct(found)


def predict_files(
    predictor: Predictor,
    inputs: Iterable[tuple[Source, Path]],
    out: Path,
    *,
    probabilities: bool = False,
    overlays: bool = False,
    objects: Sequence[str] = (),
) -> Iterator[Output | Failure]:
    """Predict each input and write its mask to out/; unreadable ones are passed over and told.

    Masks are written in the encoding of the data trained on; probabilities, overlays and objects go to
    folders of their own. objects: kinds of files, see `uvala.prediction.objects`; what is about all images
    together is written after the last. A disk that is full ends it: StorageError.
    """
    files = ObjectFiles(out / "objects", objects) if objects else None
    for source, target in inputs:
        try:
            prediction = predictor(read_image(source).array)
            path = prediction.save(out / target.parent / (target.name + ".png"))
            if overlays:
                prediction.save_overlay(out / "overlays" / target.parent / (target.name + ".png"))
            if probabilities:
                prediction.save_probabilities(out / "probabilities" / target.parent / (target.name + ".tif"))
            count = files.write(target, _file_name(source, target), prediction) if files else None
        except StorageError:
            raise
        except UvalaError as error:
            yield Failure(source, error)
        else:
            yield Output(source, path, prediction.written_classes, count)
    if files:
        files.finish()


def _file_name(source: Source, target: Path) -> str:
    """What a list of images calls a source: its file, in the folders that results keep, and its page."""
    page = "" if source.page is None else f"#{source.page}"
    return f"{(target.parent / source.path.name).as_posix()}{page}"


def _expand(pattern: Path) -> list[tuple[Path, Path]]:
    """Files that a path or a glob names, each with the folder that its result's path is relative to."""
    if pattern.is_dir():
        files = [path for path in sorted(pattern.rglob("*")) if _is_image(path)]
        if not files:
            raise DataError(
                found=f"{pattern}, a folder without images",
                expected=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}",
                fix="name the folder that holds the images",
            )
        return [(path, pattern) for path in files]
    if pattern.is_file():
        return [(pattern, pattern.parent)]
    fixed, matched = _matches(pattern)
    if not matched:
        near = [each.name for each in pattern.parent.iterdir()] if pattern.parent.is_dir() else []
        raise DataError(
            found=f"no file, folder or pattern {pattern}",
            expected="images to predict",
            fix=did_you_mean(pattern.name, near) if 0 < len(near) < 1000 else "check the path",
        )
    # relative to what no wildcard touched: case1/a.png and case2/a.png stay apart
    return [
        (file, fixed) for path in matched for file, _ in (_expand(path) if path.is_dir() else [(path, fixed)])
    ]


def _matches(pattern: Path) -> tuple[Path, list[Path]]:
    """The part of a pattern before its first wildcard, and the paths that the pattern names."""
    parts = pattern.parts
    wild = next((place for place, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    fixed = Path(*parts[:wild])
    if wild == len(parts):
        return fixed, []
    return fixed, [Path(path) for path in sorted(glob(str(pattern), recursive=True))]


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _pages(path: Path) -> list[Source]:
    if path.suffix.lower() not in {".tif", ".tiff"}:
        return [Source(path)]
    try:
        pages = count_pages(path)
    except UvalaError:
        return [Source(path)]  # reading it will say what is wrong
    return [Source(path)] if pages < 2 else [Source(path, page) for page in range(pages)]


def _distinct(found: dict[Source, Path]) -> list[tuple[Source, Path]]:
    """The same, with longer names for results that would overwrite each other.

    Files from several folders keep the part of their paths that differs (one/a, two/a); what then still has
    the same name gets its suffix (a_png, a_tif), and at last a number.
    """
    often = Counter(found.values())
    clashing = [source.path.resolve().parent for source, target in found.items() if often[target] > 1]
    shared = Path(os.path.commonpath(clashing)) if clashing else Path()
    longer = {
        source: source.path.resolve().parent.relative_to(shared) / target.name
        if often[target] > 1
        else target
        for source, target in found.items()
    }
    often = Counter(longer.values())
    taken: set[Path] = set()
    named = []
    for source, target in longer.items():
        if often[target] > 1:
            target = target.with_name(f"{target.name}_{source.path.suffix[1:]}")
        number, name = 1, target.name
        while target in taken:
            number += 1
            target = target.with_name(f"{name}_{number}")
        taken.add(target)
        named.append((source, target))
    return named
