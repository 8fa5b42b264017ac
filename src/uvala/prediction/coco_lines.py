"""The objects of many images, of any size, in one COCO file, of which some bytes per image are held.

Until all images are done they lie in a hidden file beside it, so that an interrupted prediction goes on. An
image is there a line that says which, a line for each object, and a last one without which the others count
for nothing. The finished file has a line for each image and each object as well, to be gone on with, too.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, takewhile
from pathlib import Path
from typing import IO, Any, NamedTuple

from uvala.arrays import Size
from uvala.errors import StorageError
from uvala.files import storage_errors, write_with
from uvala.instances.coco import CocoImage, annotations_of

__all__ = ["CocoLines", "as_json"]

_BEGIN = b'{"image":'  # what the first line of an image begins with
_END = b'{"complete":true}\n'  # its last line


class CocoLines:
    """Collects the objects of images for `folder`/coco.json.

    resume: whether those that an earlier time collected, or wrote, come first. An image that comes again
    replaces what was collected of it.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.path = folder / "coco.json"
        self.lines = folder / ".coco.jsonl"
        self.begun = resume

    def add(self, category: str, result: str, image: CocoImage) -> None:
        """Take the objects of an image. category: what they are called; result: as of `adding`."""
        annotations = annotations_of(image.labels, image.scores)
        size = Size(*image.labels.shape)
        with self.adding(category, result, image.file_name, size) as annotate:
            for each in annotations:
                annotate(_text(each))

    @contextmanager
    def adding(
        self, category: str, result: str, file_name: str, size: Size
    ) -> Iterator[Callable[[str], object]]:
        """Takes the objects of an image one by one: annotations as JSON, without ids.

        result: what the files of the image are called, by which it is known; two images may have one
        file_name. They count if the block ends well. StorageError if they cannot be kept.
        """
        self._begin()
        with storage_errors(self.lines), self.lines.open("a+b") as stream:
            _end_torn_line(stream)
            image = {
                "result": result,
                "file_name": file_name,
                "height": size.height,
                "width": size.width,
            }
            stream.write(_first_line(image, [{"id": 1, "name": category}]))
            yield lambda annotation: stream.write(annotation.encode() + b"\n")
            stream.write(_END)
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self) -> None:
        """Write the file."""
        if self.begun and self.path.exists() and not self.lines.exists():
            return  # nothing came to what an earlier time wrote
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
        with self.path.open("rb") as written:
            try:
                stream.writelines(_collected_again(written))
            except (ValueError, KeyError, TypeError):
                raise StorageError(
                    found=f"{self.path}, which is not as uvala wrote it",
                    expected="the objects of the images that are done, to add those of others",
                    fix="choose another --out",
                ) from None

    def _write(self, stream: IO[bytes]) -> None:
        """The collection as `to_coco` makes it of all images at once, object by object."""
        with self.lines.open("rb") as lines:
            images = _complete(lines)
            categories = images[-1].categories if images else []
            stream.write(b'{"categories":' + _encoded(categories) + b',"images":[')
            stream.writelines(
                _items(_encoded({"id": number} | each.image) for number, each in enumerate(images, 1))
            )
            stream.write(b'\n],"annotations":[')
            stream.writelines(_items(_annotations(lines, images)))
            stream.write(b"\n]}\n")


class _Image(NamedTuple):
    """An image whose objects are complete, and where the line of the first of them begins."""

    image: dict[str, Any]
    categories: list[Any]
    begin: int


def _complete(lines: IO[bytes]) -> list[_Image]:
    """The images of a collection, each as it came last."""
    found: dict[str, _Image] = {}
    image, end = None, 0
    for line in lines:
        end += len(line)
        if line.startswith(_BEGIN):
            try:
                image = _Image(**json.loads(line), begin=end)
            except ValueError:  # cut off by a kill; its image is done again
                image = None
        elif line == _END and image:
            found.pop(image.image["result"], None)
            found[image.image["result"]] = image
    return list(found.values())


def _annotations(lines: IO[bytes], images: Iterable[_Image]) -> Iterator[bytes]:
    """The objects of some images, with their ids."""
    number = 0
    for image_id, image in enumerate(images, 1):
        lines.seek(image.begin)
        for line in takewhile(lambda line: line != _END, lines):
            number += 1
            yield b'{"id":%d,"image_id":%d,' % (number, image_id) + line[1:-1]


def _collected_again(written: IO[bytes]) -> Iterator[bytes]:
    """The lines that a finished file was made of."""
    lines = (line.rstrip(b",\n") for line in written)
    categories = json.loads(next(lines, b"") + b"]}")["categories"]
    images, annotations = (
        (json.loads(line) for line in takewhile(lambda line: not line.startswith(b"]"), lines))
        for _ in range(2)
    )
    every = list(images)  # before the first of the annotations, which stand below
    objects = groupby(annotations, key=lambda each: each.pop("image_id"))
    owner, some = next(objects, (None, iter(())))
    for image in every:
        number = image.pop("id")
        # KeyError of a file that others wrote
        yield _first_line({"result": image.pop("result"), **image}, categories)
        if owner == number:
            for each in some:
                del each["id"]
                yield _encoded(each) + b"\n"
            owner, some = next(objects, (None, iter(())))
        yield _END


def as_json(content: Any) -> str:
    """On one line: indented, each coordinate would be a line."""
    return _text(content) + "\n"


def _text(content: Any) -> str:
    return json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _encoded(content: Any) -> bytes:
    # bytes of a file's name that are no UTF-8 are surrogates, which JSON can hold escaped only
    return _text(content).encode(errors="backslashreplace")


def _first_line(image: dict[str, Any], categories: list[Any]) -> bytes:
    return _encoded({"image": image, "categories": categories}) + b"\n"


def _items(items: Iterable[bytes]) -> Iterator[bytes]:
    """The items of a JSON list, each on a line of its own."""
    between = b"\n"
    for item in items:
        yield between + item
        between = b",\n"


def _end_torn_line(stream: IO[bytes]) -> None:
    """End a line that a kill cut off, so that it spoils no other."""
    if stream.seek(0, 2):
        stream.seek(-1, 2)
        if stream.read(1) != b"\n":
            stream.write(b"\n")
