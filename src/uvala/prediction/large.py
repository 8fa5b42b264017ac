"""An image of any size: predicted block by block into a stage on disk, and from there written to files.

Memory holds some blocks, however large the image is. What is complete stays on disk, so that an interrupted
prediction goes on where it was.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, LabelMap, Size
from uvala.errors import ShapeError, StorageError, UvalaError
from uvala.files import storage_errors
from uvala.images.boxes import LazyImage
from uvala.images.display import class_colours, overlay
from uvala.images.stage import Stage
from uvala.images.write import write_rgb
from uvala.instances.blocks import blocks_of
from uvala.instances.decode import Maps
from uvala.instances.label_file import LabelFile
from uvala.instances.merge import objects_in_blocks
from uvala.machine import shares
from uvala.prediction.engine import ImagePredictor
from uvala.prediction.layers import channel_names, layers_of, maps_of, needs_objects, values_of
from uvala.prediction.overlap import Dropped, WriteBehind
from uvala.prediction.results import Map, form_of, form_of_maps, mask_map, numbers_map, write_map
from uvala.prediction.wanted import Wanted
from uvala.runs.card import Card

__all__ = ["LargePrediction", "Watch", "bytes_in_memory", "stage_of"]

Watch = Callable[[int, float], None]
"""Hears how many pixels were predicted just now, and which share of the image is done."""

_OVERLAY = 4096  # longest side of the overlay of a large image, pixels


def bytes_in_memory(image: LazyImage, card: Card, wanted: Wanted) -> int:
    """What predicting an image takes if it is held as a whole, about: it, its maps, what is made of them."""
    logits = card.network.logits or card.network.num_classes
    maps = 4 * (max(logits, card.network.num_classes) + wanted.uncertainty)
    # the mean of networks, and what is written, are further copies; objects take labels, clumps and seeds
    per_pixel = image.channels * image.dtype.itemsize + 3 * maps + 24 * needs_objects(card, wanted)
    return image.size.height * image.size.width * per_pixel


def stage_of(out: Path, target: Path) -> Path:
    """The folder of what is known of a large image until its files are complete: hidden, beside its mask."""
    return out / target.parent / f".{target.name}.stage"


class LargePrediction:
    """The prediction of one image, on its way to files below `out`, where its results are called `target`.

    source: what tells the image from others, and from what it was before. memory: bytes that all of it may
    take; None: the usual ones. left: set when nobody waits for its files any more; writing them then ends, by
    `Dropped`. What it knows lies in its stage; who removes that does so when the files are complete.
    """

    def __init__(
        self,
        predictor: ImagePredictor,
        image: LazyImage,
        out: Path,
        target: Path,
        wanted: Wanted,
        source: Mapping[str, Any],
        *,
        memory: int | None = None,
        left: Event | None = None,
    ) -> None:
        self.predictor, self.image, self.wanted = predictor, image, wanted
        self.out, self.target = out, target
        self.layers = layers_of(predictor, wanted)
        self.folder = stage_of(out, target)
        self.source, self.memory = source, memory
        self.left = left or Event()
        self._open = ExitStack()

    @cached_property
    def stage(self) -> Stage:
        """What is known so far; begun anew where its numbers would be others."""
        cutting, wanted = self.predictor.cutting(), self.wanted.model_dump(mode="json")
        # of how objects are found only that: the maps in which they are found are layers
        foreground = self.predictor.card.objects.settings.object_class
        said = [self.predictor.identity, foreground, cutting.said, wanted, self.source]
        key = blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()
        with storage_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        return Stage.open(
            self.folder, self.image.size, self.layers, block=cutting.grid, key=key, memory=self.memory
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the image, and of what an earlier time had of it."""
        return self.image.notes + self.stage.notes

    @property
    def shows_image(self) -> bool:
        """Whether its files need the image once more: to look at, to measure its objects."""
        return self.wanted.overlays or bool(self.wanted.objects)

    @property
    def numbers(self) -> Map:
        """The numbers of its objects, to be written."""
        return numbers_map(self._numbers, self.image.size, self.count)

    def predict(self, watch: Watch) -> None:
        """Fill the stage with the blocks that it lacks."""
        stage, size = self.stage, self.image.size
        finished = stage.finished
        pixels, seen = size.height * size.width, sum(box.height * box.width for box in finished)
        if seen == pixels:
            return
        decoding = self.predictor.card.objects.settings
        spread = "uncertainty" in self.layers and self.predictor.votes > 1
        blocks = self.predictor.outputs_in_blocks(
            self.image, grid=stage.block, finished=finished, spread=spread, scratch=self.folder
        )
        # closed in any case: a thread reads ahead of the network, in files that will be closed
        with WriteBehind[None](shares(self.memory).behind) as writing, closing(blocks):
            for box, outputs in blocks:
                values = values_of(outputs, self.layers, decoding)
                weight = sum(each.nbytes for each in values.values())
                for _ in writing.add(partial(stage.write, box, values), weight):
                    pass
                seen += box.height * box.width
                watch(box.height * box.width, min(seen / pixels, 1.0))
            for _ in writing.rest():
                pass

    def write(self) -> tuple[Path, tuple[int, ...]]:
        """Write all files but those of objects; where the mask lies, and which classes it holds."""
        form = form_of(self.wanted, self.image.facts, large=True)
        seen: set[int] = set()
        encoding = self.predictor.card.encoding
        numbered = encoding.kind == "instances"
        objects = (self._numbers, self.count) if numbered else None

        def classes(box: Box) -> NDArray[np.uint8]:
            found = self._layer("mask", box)[0]
            written = self._numbers(box) > 0 if numbered else found
            seen.update(np.flatnonzero(np.bincount(written.ravel())).tolist())
            return found

        mask = mask_map(encoding, self.image.size, classes, objects)
        path = write_map(self.out / self.target, form, mask, self.image.facts)
        for name in ("probabilities", "uncertainty"):
            if name in self.layers:
                layer = self.layers[name]
                names = channel_names(encoding, name)[: layer.channels]
                values = Map(partial(self._layer, name), self.image.size, layer, names)
                write_map(self.out / name / self.target, form_of_maps(form), values, self.image.facts)
        if self.wanted.overlays:
            self._write_overlay(self.out / "overlays" / self.target.parent / f"{self.target.name}.png")
        return path, tuple(sorted(seen))

    def close(self) -> None:
        """Close the file of its objects."""
        self._open.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors in this block that end the image say what stays of its prediction."""
        try:
            yield
        except StorageError:  # ends everything
            raise
        except UvalaError as error:
            raise self._with_what_stays(error) from error

    @cached_property
    def labels(self) -> LabelFile:
        """The objects of the image, as of `Prediction.objects`."""
        names = [name for name in Maps._fields if name in self.layers]
        labels = self._open.enter_context(
            LabelFile(self.folder, self.image.size, block=self.stage.block, memory=self.memory)
        )
        return objects_in_blocks(
            lambda box: maps_of({name: self._layer(name, box) for name in names}),
            self.image.size,
            self.predictor.card.objects.settings,
            block=self.stage.block,
            out=labels,
        )

    @cached_property
    def count(self) -> int:
        """How many objects there are; they are numbered 1 to that."""
        blocks = blocks_of(self.image.size, self.stage.block)
        return max((int(self._numbers(box).max()) for box in blocks), default=0)

    def foreground(self, box: Box) -> NDArray[np.float32]:
        """The probability of being an object at all, [height, width]."""
        return self._layer("foreground", box)[0]

    def _layer(self, name: str, box: Box) -> NDArray[Any]:
        self._require_awaited()
        return self.stage.read(name, box)

    def _numbers(self, box: Box) -> LabelMap:
        self._require_awaited()
        return self.labels[box.slices]

    def _require_awaited(self) -> None:
        if self.left.is_set():
            raise Dropped

    def _with_what_stays(self, error: UvalaError) -> UvalaError:
        # an image that is not what the network takes will not be, however often it is gone on with
        if "stage" in vars(self) and (not self.stage.finished or isinstance(error, ShapeError)):
            self.stage.remove()
        if not self.folder.exists():
            return error
        stays = f"what is predicted of it stays in {self.folder}: --resume goes on with it, or delete that"
        return type(error)(found=error.found, expected=error.expected, fix=f"{error.fix}; {stays}")

    def _write_overlay(self, path: Path) -> None:
        """The overlay of the image as every n-th pixel of it shows it."""
        size = self.image.size
        step = math.ceil(max(size) / _OVERLAY)
        small = Size(-(-size.height // step), -(-size.width // step))
        image = np.empty((self.image.channels, *small), self.image.dtype)
        mask = np.empty(small, np.uint8)
        encoding = self.predictor.card.encoding
        objects = np.empty(small, np.int32) if encoding.kind == "instances" else None
        side = max(1, self.stage.block // step) * step
        for top in range(0, size.height, side):
            for left in range(0, size.width, side):
                box = Box(top, left, min(top + side, size.height), min(left + side, size.width))
                rows = slice(top // step, -(-box.bottom // step))
                columns = slice(left // step, -(-box.right // step))
                image[:, rows, columns] = self.image.read(box)[:, ::step, ::step]
                if objects is None:
                    mask[rows, columns] = self._layer("mask", box)[0, ::step, ::step]
                else:
                    objects[rows, columns] = self._numbers(box)[::step, ::step]
        if objects is not None:
            of_class = self.predictor.card.objects.settings.object_class
            mask = np.where(objects > 0, of_class, 0).astype(np.uint8)
        write_rgb(path, overlay(image, mask, class_colours(encoding.num_classes), objects=objects))
