"""predictions.jsonl: what a folder of predictions was made with, and what is done. A resume reads it."""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from uvala.errors import StorageError, UvalaError
from uvala.files import claim_folder, storage_errors
from uvala.images.read import Source

__all__ = ["NAME", "Failure", "Output", "Record", "State", "settings_in", "state_of"]

NAME = "predictions.jsonl"

State = Mapping[str, Any]
"""By what an image is known again, as of `state_of`."""

_END = 2**20  # bytes at either end of a file that tell it from another one as long and as old
# settings that the command line calls otherwise
_OPTIONS = {"overlays": "overlay", "tiles": "memory or --set tiles", "decoding": "set objects"}


@dataclass(frozen=True)
class Output:
    """An image that was predicted: what was read, the mask that was written, and the classes it holds.

    objects: how many there are, or None if they were not asked for. resumed: whether it was there already.
    notes: as of `LazyImage`, about an image that was not.
    """

    source: Source
    mask: Path
    classes: tuple[int, ...]
    objects: int | None = None
    resumed: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why."""

    source: Source
    error: UvalaError


class Record:
    """The file, open for more lines: one of settings, then one per image as soon as its files are there."""

    def __init__(self, folder: Path, done: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.path = folder / NAME
        self.done = done

    @classmethod
    def begin(cls, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> Self:
        """The record of a new folder; with `resume` that of what is there, if it was made alike.

        settings: all that decides what is written. As long as no image is done, objects may be found
        otherwise than when the folder was begun. StorageError if the folder is taken, or holds something
        else.
        """
        path = folder / NAME
        if not path.is_file():
            claim_folder(folder, purpose="the predictions")
            record = cls(folder, {})
            record._append(dict(settings))
            return record
        if not resume:
            raise StorageError(
                found=f"{folder}, which already holds predictions",
                expected="a new or empty folder for the predictions",
                fix="choose another --out, or go on with these by --resume",
            )
        lines = _read(path)
        before, now = _settings_in(lines), json.loads(json.dumps(dict(settings)))
        record = cls(folder, {line["result"]: line for line in lines if "mask" in line})
        # what is kept of an image that is not done is what objects are found in, not the objects
        free = {} if record.done else {"decoding": before.get("decoding")}
        if before:  # else it was killed while it began
            _require_same(folder, before, now | free)
        if before != now:
            record._append(now)
        return record

    def result(self, source: Source, target: Path) -> Output | None:
        """What was done of an image, if that was all, and the image is as it was; None otherwise.

        StorageError if the name of its result belongs to another image.
        """
        line = self.done.get(target.as_posix())
        if line is None:
            return None
        same = _is_about(line, source)
        if not same and line["source"] != _name(source):
            raise StorageError(
                found=f"{source}, whose result would replace that of {line['source']} in {self.folder}",
                expected="the images that this folder was begun with, or others of other names",
                fix="choose another --out for them",
            )
        mask = self.folder / line["mask"]
        if not same or not mask.exists():
            return None
        return Output(source, mask, tuple(line["classes"]), line["objects"], resumed=True)

    def add(self, target: Path, result: Output | Failure, state: State) -> None:
        """Write down that an image is done, or why it cannot be; after this it stays so.

        state: of the image from before it was opened, so that one that changes meanwhile is done again.
        """
        line = {"result": target.as_posix(), "source": _name(result.source)}
        if isinstance(result, Failure):
            self._append(line | {"error": str(result.error)})
            return
        mask = result.mask.relative_to(self.folder).as_posix()
        done = {"mask": mask, "classes": list(result.classes), "objects": result.objects}
        self._append({**line, **state, **done})

    def _append(self, line: Mapping[str, Any]) -> None:
        # bytes of a name that are no UTF-8 are surrogates, which JSON can hold escaped only
        text = json.dumps(line, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        with storage_errors(self.path), self.path.open("a+b") as stream:
            if stream.tell():
                stream.seek(-1, 2)
                # a line that a kill cut off is ended, so that it spoils no other
                text = text if stream.read(1) == b"\n" else b"\n" + text
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())


def settings_in(folder: Path) -> dict[str, Any]:
    """What the predictions in a folder were begun with; nothing if there are none."""
    path = folder / NAME
    return _settings_in(_read(path)) if path.is_file() else {}


def state_of(path: Path) -> dict[str, Any]:
    """By what an image is known again: its size, its age, and a hash of the two ends of a file."""
    return {**_size_and_age(path), "ends": _ends_of(path)}


def _name(source: Source) -> str:
    page = "" if source.page is None else f"#{source.page}"
    return f"{source.path.absolute()}{page}"


def _is_about(line: Mapping[str, Any], source: Source) -> bool:
    """Whether a line tells of an image as it is now."""
    if any(line.get(key) != value for key, value in _size_and_age(source.path).items()):
        return False
    if line.get("ends") is None:  # a folder
        return bool(line["source"] == _name(source))
    # images of one size may be unpacked or copied with the same age, to the place of another, too
    return bool(line["ends"] == _ends_of(source.path))


def _size_and_age(path: Path) -> dict[str, Any]:
    """Nothing is read for that. Of a folder, such as a Zarr image, what lies in it counts."""
    try:
        found = [path.stat(), *_inside(path)] if path.is_dir() else [path.stat()]
    except OSError:
        return {"bytes": None, "modified": None}
    return {
        # what a folder takes itself depends on the disk
        "bytes": sum(each.st_size for each in found if not stat.S_ISDIR(each.st_mode)),
        "modified": max(each.st_mtime_ns for each in found),
    }


def _inside(folder: str | os.PathLike[str]) -> Iterator[os.stat_result]:
    """Of all files and folders below a folder; not of what a linked folder holds."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.stat()
            if entry.is_dir(follow_symlinks=False):
                yield from _inside(entry)


def _ends_of(path: Path) -> str | None:
    """A hash of the first and the last MB of a file; None for a folder, whose content no part tells."""
    try:
        with path.open("rb") as stream:
            first = stream.read(_END)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _END))
            return blake2b(first + stream.read(_END), digest_size=16).hexdigest()
    except OSError:
        return None


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    lines = []
    with storage_errors(path):
        content = path.read_bytes()
    for text in content.split(b"\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines += [line] if isinstance(line, dict) else []
    return lines


def _settings_in(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last settings: before an image is done, others may take their place."""
    return next((line for line in reversed(lines) if "result" not in line), {})


def _require_same(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    keys = [key for key in {**found, **asked} if found.get(key) != asked.get(key)]
    if not keys:
        return
    if "model" in keys:
        words = "predictions of another model, or of this one with other --tta, --with or --set"
        fix = "give the model and the options that made them"
    else:
        options = " and another ".join(f"--{_OPTIONS.get(key, key)}" for key in keys)
        words = f"predictions that were begun with another {options}"
        fix = "give the options that they were begun with"
        if "device" in keys:
            fix += f" (--device {found.get('device')})"
        if keys == ["backend"]:
            fix = "give --backend auto, which takes the one that they were begun with"
    raise StorageError(
        found=f"{folder}, which holds {words}",
        expected="the same model and the same options, to go on with it",
        fix=f"{fix}, or choose another --out",
    )
