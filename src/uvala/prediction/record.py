"""predictions.jsonl: what a folder of predictions was made with, and what is done. A resume reads it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from uvala.errors import StorageError, UvalaError
from uvala.files import claim_folder, storage_errors
from uvala.images.read import Source

__all__ = ["NAME", "Failure", "Output", "Record", "state_of"]

NAME = "predictions.jsonl"


@dataclass(frozen=True)
class Output:
    """An image that was predicted: what was read, the mask that was written, and the classes it holds.

    objects: how many there are, or None if they were not asked for. resumed: whether it was there already.
    """

    source: Source
    mask: Path
    classes: tuple[int, ...]
    objects: int | None = None
    resumed: bool = False


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

        settings: all that decides what is written. StorageError if the folder is taken, or holds something
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
        if not lines:  # killed while it began
            record = cls(folder, {})
            record._append(dict(settings))
            return record
        _require_same(folder, lines[0], json.loads(json.dumps(dict(settings))))
        return cls(folder, {line["result"]: line for line in lines[1:] if "mask" in line})

    def result(self, source: Source, target: Path) -> Output | None:
        """What was done of an image, if that was all, and the image is as it was; None otherwise.

        StorageError if the name of its result belongs to another image.
        """
        line = self.done.get(target.as_posix())
        if line is None:
            return None
        same = {key: line.get(key) for key in ("bytes", "modified")} == state_of(source.path)
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

    def add(self, target: Path, result: Output | Failure) -> None:
        """Write down that an image is done, or why it cannot be."""
        source = result.source
        line: dict[str, Any] = {"result": target.as_posix(), "source": _name(source)}
        if isinstance(result, Failure):
            self._append(line | {"error": str(result.error)})
            return
        mask = result.mask.relative_to(self.folder).as_posix()
        done = {"mask": mask, "classes": list(result.classes), "objects": result.objects}
        self._append(line | state_of(source.path) | done)

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with storage_errors(self.path), self.path.open("a+b") as stream:
            if stream.tell():
                stream.seek(-1, 2)
                # a line that a kill cut off is ended, so that it spoils no other
                text = text if stream.read(1) == b"\n" else "\n" + text
            stream.write(text.encode())


def _name(source: Source) -> str:
    page = "" if source.page is None else f"#{source.page}"
    return f"{source.path.absolute()}{page}"


def state_of(path: Path) -> dict[str, Any]:
    """By what a file is known again: it is not read for that."""
    try:
        found = path.stat()
    except OSError:
        return {"bytes": None, "modified": None}
    # the size of a folder, such as a Zarr image, says nothing
    return {"bytes": None if path.is_dir() else found.st_size, "modified": found.st_mtime_ns}


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    lines = []
    with storage_errors(path):
        content = path.read_text(encoding="utf-8", errors="replace")
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines += [line] if isinstance(line, dict) else []
    return lines


def _require_same(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    keys = [key for key in {**found, **asked} if found.get(key) != asked.get(key)]
    if "model" in keys:
        words, fix = "predictions of another model", "give the model that made them"
    else:
        words = f"predictions that were begun with another {' and another '.join(f'--{key}' for key in keys)}"
        fix = "give the options that they were begun with"
    if keys:
        raise StorageError(
            found=f"{folder}, which holds {words}",
            expected="the same model and the same options, to go on with it",
            fix=f"{fix}, or choose another --out",
        )
