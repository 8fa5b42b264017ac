"""The objects of many images in one COCO file, of which no more is held than one image's.

Until all images are done, each is a line of a hidden file beside it, so that an interrupted prediction goes
on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from uvala.files import storage_errors, write_with
from uvala.instances.coco import CocoImage, to_coco

__all__ = ["CocoLines", "as_json"]


class CocoLines:
    """Collects the objects of images for `folder`/coco.json.

    resume: whether those that an earlier time collected, or wrote, come first. An image that comes again
    replaces what was collected of it.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.path = folder / "coco.json"
        self.lines = folder / ".coco.jsonl"
        self.begun = resume

    def add(self, category: str, image: CocoImage) -> None:
        """Take the objects of an image; category: what they are called."""
        alone = to_coco([image], [category])
        self._begin()
        with storage_errors(self.lines), self.lines.open("a+b") as stream:
            _end_torn_line(stream)
            stream.write(as_json(alone).encode())

    def finish(self) -> None:
        """Write the file."""
        self._begin()
        write_with(self.path, self._write)
        self.lines.unlink()

    def _begin(self) -> None:
        """Begin a collection; one that goes on takes what was written at its end, if it had one."""
        with storage_errors(self.lines):
            self.lines.parent.mkdir(parents=True, exist_ok=True)
            if self.begun and not self.lines.exists() and self.path.exists():
                write_with(self.lines, self._take_back)
            elif not self.begun:
                self.lines.unlink(missing_ok=True)
            self.lines.touch()
        self.begun = True

    def _take_back(self, stream: IO[bytes]) -> None:
        """The finished file as lines again."""
        written = json.loads(self.path.read_bytes())
        objects: dict[int, list[Any]] = {image["id"]: [] for image in written["images"]}
        for each in written["annotations"]:
            objects[each["image_id"]].append(each)
        for image in written["images"]:
            alone = {
                "images": [image],
                "annotations": objects[image["id"]],
                "categories": written["categories"],
            }
            stream.write(as_json(alone).encode())

    def _write(self, stream: IO[bytes]) -> None:
        """The collection as `to_coco` makes it of all images at once, image by image."""
        last = {alone["images"][0]["file_name"]: number for number, alone in enumerate(self._collected())}
        categories: list[Any] = []
        stream.write(b'{"images":[')
        for image_id, alone in enumerate(self._chosen(last), start=1):
            stream.write(_item(alone["images"][0] | {"id": image_id}, first=image_id == 1))
            categories = alone["categories"]
        stream.write(b'],"annotations":[')
        number = 0
        for image_id, alone in enumerate(self._chosen(last), start=1):
            for each in alone["annotations"]:
                number += 1
                stream.write(_item(each | {"id": number, "image_id": image_id}, first=number == 1))
        stream.write(b'],"categories":' + as_json(categories).strip().encode() + b"}\n")

    def _chosen(self, last: dict[str, int]) -> Iterator[dict[str, Any]]:
        """Of each image what was collected last."""
        for number, alone in enumerate(self._collected()):
            if last[alone["images"][0]["file_name"]] == number:
                yield alone

    def _collected(self) -> Iterator[dict[str, Any]]:
        with storage_errors(self.lines), self.lines.open("rb") as stream:
            for line in stream:
                try:
                    yield json.loads(line)
                except ValueError:  # cut off by a kill; its image is done again
                    continue


def as_json(content: Any) -> str:
    """On one line: indented, each coordinate would be a line."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"


def _item(content: dict[str, Any], *, first: bool) -> bytes:
    return (("" if first else ",") + as_json(content).strip()).encode()


def _end_torn_line(stream: IO[bytes]) -> None:
    """End a line that a kill cut off, so that it spoils no other."""
    if stream.seek(0, 2):
        stream.seek(-1, 2)
        if stream.read(1) != b"\n":
            stream.write(b"\n")
