"""A manifest: a CSV whose rows say image, mask and, if wanted, group and split. Paths start at the CSV.

Commas, semicolons and tabs separate; quotes, a byte-order mark and Windows' backslashes are understood.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uvala.data.layouts.recognition import Recognition, Unpaired
from uvala.data.layouts.tree import Tree
from uvala.data.layouts.words import folder_name, split_in, split_word
from uvala.data.sample import Sample
from uvala.data.wording import count
from uvala.errors import LayoutError
from uvala.images.read import IMAGE_SUFFIXES, Source

__all__ = ["HEADER", "read_manifest", "recognise_csv", "unused_tables"]

HEADER = "image,mask[,group][,split]"
_COLUMNS = {
    "image": {"image", "images", "image_path", "image_file", "img"},
    "mask": {"mask", "masks", "mask_path", "mask_file", "label", "label_path"},
    "group": {"group", "groups"},
    "split": {"split", "subset"},
}
_ENDINGS = {".csv", ".tsv"}


@dataclass(frozen=True)
class _Row:
    """One line of a manifest; `path` of the manifest and `line` say where it stands."""

    path: Path
    line: int
    cells: dict[str, str]
    split: str | None


@dataclass
class _Rows:
    samples: dict[str, Sample] = field(default_factory=dict)
    unpaired: list[Unpaired] = field(default_factory=list)


def recognise_csv(tree: Tree) -> Recognition | None:
    """The samples of the manifest at the top of `tree`; several if each is named after another split."""
    tables = [tree.path(file) for file in tree.files if not file.folder and file.suffix in _ENDINGS]
    manifests = [path for path in tables if _columns(_cells(path)[:1])]
    if not manifests:
        return None
    splits = [split_in(path.stem) for path in manifests]
    if len(manifests) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise LayoutError(
            found=f"{len(manifests)} manifests in {tree.root} ({', '.join(path.name for path in manifests)})",
            expected="one, or one for each of train, val and test, named so",
            fix="give the one to use as DATA, or join them with a column 'split'",
        )
    rows = [
        row
        for path, split in zip(manifests, splits, strict=True)
        for row in _rows(path, split if len(manifests) > 1 else None)
    ]
    return _recognition(tree.root, [path.name for path in manifests], rows)


def unused_tables(tree: Tree, *, all_tables: bool) -> tuple[Unpaired, ...]:
    """CSV files at the top of `tree` that are no manifest, and why not.

    Those whose lines name image files; with `all_tables` also any other, which could have been meant so.
    """
    found = []
    for path in (tree.path(file) for file in tree.files if not file.folder and file.suffix in _ENDINGS):
        cells = _cells(path)
        names_images = any(
            Path(cell.strip()).suffix.lower() in IMAGE_SUFFIXES for _, row in cells[:20] for cell in row
        )
        if names_images or all_tables:
            found.append(Unpaired(path, _why_unused(path, cells)))
    return tuple(found)


def _why_unused(path: Path, cells: Sequence[tuple[int, list[str]]]) -> str:
    if not cells:
        return "an empty table"
    if not _columns(cells[:1]):
        return f"a table whose first line is {', '.join(cells[0][1][:8])}, not {HEADER}"
    unpaired = _recognition(path.parent, [path.name], _rows(path, None)).unpaired
    return unpaired[0].reason if unpaired else "no line below the header"


def read_manifest(path: Path) -> Recognition:
    """The samples that the CSV at `path` lists. LayoutError if it has not the columns image and mask."""
    cells = _cells(path)
    if not _columns(cells[:1]):
        seen = ", ".join(cells[0][1][:8]) if cells else "nothing"
        raise LayoutError(
            found=f"{path} with the columns {seen}",
            expected=f"a first line that names the columns {HEADER}",
            fix="add that line",
        )
    found = _recognition(path.parent, [path.name], _rows(path, None))
    if not found.samples:
        first = found.unpaired[0].reason if found.unpaired else "no line below the header"
        raise LayoutError(
            found=f"{path}, of which no line can be used ({first})",
            expected="paths of images and masks that exist, relative to that file",
            fix="correct the paths",
        )
    return found


def _recognition(root: Path, names: Sequence[str], rows: Sequence[_Row]) -> Recognition:
    result = _Rows()
    prefix = _shared_folder([row.cells["image"] for row in rows])
    for row in rows:
        _add(result, root, row, prefix)
    evidence = f"{count(len(rows), 'row')} of {' and '.join(names)}, which states image and mask"
    words = {row.cells.get("split", "").lower() for row in rows} - {"train", "val", "test"}
    for word in sorted(words):
        evidence += f"; split '{word}' read as {split_word(word)}" if split_word(word) else ""
    unpaired = tuple(sorted(result.unpaired))
    return Recognition("CSV manifest", tuple(result.samples.values()), evidence, unpaired, stated=True)


def _add(result: _Rows, root: Path, row: _Row, prefix: str) -> None:
    """Put one row among the samples, or among the unpaired with its line number."""
    where = f"{row.path.name} line {row.line}"
    sources = {column: _source(root, row.cells[column]) for column in ("image", "mask")}
    image, mask = sources["image"], sources["mask"]
    if image is None or mask is None:
        lacking = "image" if image is None else "mask"
        written = row.cells[lacking]
        reason = f"there is no file {written}" if written else f"no {lacking} is given"
        path = image.path if image is not None else root / (written or row.path.name)
        result.unpaired.append(Unpaired(path, f"{where}: {reason}"))
        return
    name = row.cells["image"].replace("\\", "/").removeprefix(prefix)
    given = row.cells.get("split", "")
    if given and split_word(given) is None:
        reason = f"{where}: split '{given}', which is none of train, val and test"
        result.unpaired.append(Unpaired(image.path, reason))
    elif name in result.samples:
        result.unpaired.append(Unpaired(image.path, f"{where}: this image stands in an earlier line, too"))
    else:
        split = split_word(given) if given else row.split
        result.samples[name] = Sample(name, image, mask, row.cells.get("group") or None, split)


def _source(root: Path, written: str) -> Source | None:
    """The file that a cell names, perhaps with a page ("stack.tif#3"); None if it is not there."""
    for text in (written, written.replace("\\", "/")):
        if text and (root / text).is_file():
            return Source(root / text)
        page = re.fullmatch(r"(.+)#(\d+)", text)
        if page and (root / page[1]).is_file():
            return Source(root / page[1], int(page[2]))
    return None


def _shared_folder(paths: Sequence[str]) -> str:
    """The folder above all images if it only says that they are images ("images/"), else nothing."""
    tops = {path.replace("\\", "/").partition("/")[0] for path in paths if path}
    top = tops.pop() if len(tops) == 1 else ""
    return f"{top}/" if top and folder_name(top).side == "image" and folder_name(top).sure else ""


def _rows(path: Path, split: str | None) -> list[_Row]:
    (_, header), *lines = _cells(path)
    columns = _columns([(1, header)])
    return [
        _Row(
            path,
            line,
            {name: cells[at].strip() if at < len(cells) else "" for name, at in columns.items()},
            split,
        )
        for line, cells in lines
    ]


def _columns(header: Sequence[tuple[int, list[str]]]) -> dict[str, int]:
    """Where the columns stand; nothing if image or mask is not among them."""
    names = [name.strip().lower().replace(" ", "_") for name in header[0][1]] if header else []
    found = {
        column: next(at for at, name in enumerate(names) if name in words)
        for column, words in _COLUMNS.items()
        if words.intersection(names)
    }
    return found if {"image", "mask"} <= found.keys() else {}


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of each line that is not empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LayoutError(
            found=f"{path}, which cannot be read ({(error.strerror or 'unreadable').lower()})",
            expected="a readable file",
            fix="check its permissions",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")  # what Excel writes on Windows
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise LayoutError(
            found=f"{path} line {reader.line_num}: {error}", expected="a CSV table", fix="mend that line"
        ) from error
