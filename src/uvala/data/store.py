"""Decoded images with what is learnt of them: in memory where they fit, else mapped from disk."""

import hashlib
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uvala import __version__
from uvala.arrays import ClassMap, ImageArray
from uvala.data.cache import Arrays, ImageCache
from uvala.data.dataset import Dataset
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import scale_of
from uvala.data.patch_places import Places, class_places, object_places
from uvala.data.sample import Sample
from uvala.data.target_config import TargetConfig
from uvala.data.targets import Target, make_target, objects_of
from uvala.data.wording import size
from uvala.images.read import Source
from uvala.machine import processes, usable_memory

__all__ = ["ImageStore", "StoredImage", "memory_limit"]

_VERSION = 2  # of what `_arrays_of` makes; it rises when that changes
_SMALL = 4 * 2**20  # bytes; smaller images are decoded about as fast as they are found in the cache
_WORTH = 3 / 1e9  # seconds a byte: three times what reading it back from a disk takes
_MOST_MAPPED = 16384  # a process may have some 65,000 mappings


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A decoded image with its truth, what is learnt of it, its scale, and where to find each class.

    mapped: whether the arrays lie in a file, of which only what is touched is read.
    """

    image: ImageArray  # [C, H, W]
    classes: ClassMap  # [H, W]
    target: Target
    scale: Normalisation
    places: tuple[Places, ...]  # some pixels of each class that occurs
    objects: Places  # a pixel in the middle of each object, if the store was asked for them
    mapped: bool = False

    @property
    def size_in_bytes(self) -> int:
        """Memory that the arrays take."""
        if self.mapped:
            return 0  # the system keeps in memory what it has room for
        learnt = self.target.maps.nbytes
        if self.target.classes is not self.classes:
            learnt += self.target.classes.nbytes
        places = sum(place.nbytes for place in (*self.places, self.objects))
        return self.image.nbytes + self.classes.nbytes + learnt + places


class ImageStore:
    """Decoded images of a data set. Safe to use from several threads.

    Where all of them fit into `limit` bytes (default `memory_limit()`), they are kept in memory, and only
    those that take long to decode are also kept in `cache`, for the next training. Where they do not fit,
    they are mapped from `cache`; without one, or where its disk is full, the last used ones stay in memory.

    objects: whether to look for the objects of each image. say: hears of "cache" events, each with a `text`.
    decoded, found: images that were decoded, and that the cache had.
    """

    def __init__(
        self,
        dataset: Dataset,
        normalisation: Normalisation,
        limit: int | None = None,
        *,
        targets: TargetConfig | None = None,
        objects: bool = False,
        cache: ImageCache | None = None,
        say: Callable[..., None] | None = None,
    ) -> None:
        self.dataset = dataset
        self.normalisation = normalisation
        self.targets = targets or TargetConfig()
        self.objects = objects
        self.limit = memory_limit() if limit is None else limit
        self.cache = cache
        self.decoded = self.found = 0
        self._say = say or (lambda *_, **__: None)
        self._told: set[str] = set()
        self._kept: OrderedDict[str, StoredImage] = OrderedDict()
        self._bytes = self._mapped = 0
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = {}
        self._digests: dict[tuple[Path, int, int], str] = {}
        self.expected = sum(self._expected(sample) for sample in dataset.samples)
        self._fits = self.expected <= self.limit
        self._tell_where()

    def __getitem__(self, sample: Sample) -> StoredImage:
        with self._lock:
            if (kept := self._look_up(sample.name)) is not None:
                return kept
            reading = self._reading.setdefault(sample.name, threading.Lock())
        with reading:  # several threads must not decode one large image several times
            with self._lock:
                if (kept := self._look_up(sample.name)) is not None:
                    return kept
            stored = self._read(sample)
            with self._lock:
                self._keep(sample.name, stored)
                self._reading.pop(sample.name, None)
        return stored

    def _look_up(self, name: str) -> StoredImage | None:
        if name in self._kept:
            self._kept.move_to_end(name)
        return self._kept.get(name)

    def _keep(self, name: str, stored: StoredImage) -> None:
        self._kept[name] = stored
        self._bytes += stored.size_in_bytes
        self._mapped += stored.mapped
        while (self._bytes > self.limit or self._mapped > _MOST_MAPPED) and len(self._kept) > 1:
            dropped = self._kept.popitem(last=False)[1]
            self._bytes -= dropped.size_in_bytes
            self._mapped -= dropped.mapped

    def _read(self, sample: Sample) -> StoredImage:
        cache = self.cache if not self._fits or self._expected(sample) > _SMALL else None
        key = self._key(sample) if cache else None
        if cache and key and (found := cache.get(key)) is not None:
            with self._lock:
                self.found += 1
            return self._stored(found, mapped=True)
        began = time.perf_counter()
        arrays = self._arrays_of(sample)
        seconds = time.perf_counter() - began
        with self._lock:
            self.decoded += 1
        if cache and key and (not self._fits or seconds > _WORTH * _bytes_of(arrays)):
            written = cache.put(key, arrays)
            self._tell_trouble(cache, no_room=written is None)
            if written is not None:
                return self._stored(written, mapped=True)
        return self._stored(arrays, mapped=False)

    def _arrays_of(self, sample: Sample) -> Arrays:
        """All that is made of a sample's files, by name."""
        image, classes = self.dataset.image(sample), self.dataset.classes(sample)
        labels = objects_of(self.dataset, sample, classes) if self._needs_labels else None
        target = make_target(self.dataset, sample, classes, self.targets, labels=labels)
        numbered = labels if self.dataset.encoding.num_classes == 2 else None
        objects = object_places(classes, numbered) if self.objects else np.empty(0, np.int64)
        places = class_places(classes)
        found = {"image": image, "classes": classes, "maps": target.maps, "objects": objects}
        if target.classes is not classes:
            found["learnt"] = target.classes
        return found | {f"places{number}": each for number, each in enumerate(places)}

    @property
    def _needs_labels(self) -> bool:
        two = self.dataset.encoding.num_classes == 2
        return self.targets.objects != "classes" or (self.objects and two)

    def _stored(self, arrays: Arrays, *, mapped: bool) -> StoredImage:
        classes = arrays["classes"]
        places = [name for name in arrays if name.startswith("places")]
        return StoredImage(
            arrays["image"],
            classes,
            Target(arrays.get("learnt", classes), arrays["maps"]),
            scale_of(arrays["image"], self.normalisation),
            tuple(arrays[name] for name in sorted(places, key=lambda name: int(name[6:]))),
            arrays["objects"],
            mapped,
        )

    def _expected(self, sample: Sample) -> int:
        """About the bytes that a sample's arrays take, from what is known of the data set."""
        maps = {"classes": 0, "weights": 4, "distance": 4, "borders": 1}[self.targets.objects]
        pixel = self.dataset.channels * np.dtype(self.dataset.dtype).itemsize + 1 + maps
        return pixel * math.prod(self.dataset.sizes[sample.name])

    def _key(self, sample: Sample) -> str | None:
        """A hash of all that the arrays of a sample depend on; None where its files cannot be read."""
        masks = (sample.mask,) if isinstance(sample.mask, Source) else sample.mask or ()
        try:
            files = [[self._digest(source.path), source.page] for source in (sample.image, *masks)]
        except OSError:
            return None  # whoever decodes it will say so
        facts = [
            _VERSION,
            __version__,
            self.dataset.contents.get(sample.name),
            files,
            self.dataset.channels_wanted,
            self.dataset.encoding.model_dump(mode="json"),
            self.targets.model_dump(mode="json"),
            self.objects,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]

    def _digest(self, path: Path) -> str:
        """A hash of a file's bytes; once for all pages of a stack."""
        facts = path.stat()
        file = (path, facts.st_size, facts.st_mtime_ns)
        if file not in self._digests:
            with path.open("rb") as stream:
                self._digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._digests[file]

    def _tell_where(self) -> None:
        images = f"the decoded images, about {size(self.expected)}"
        if self._fits:
            self._tell("memory", f"{images}, are kept in memory")
            return
        limit = f"more than the {size(self.limit)} of memory for them"
        if self.cache is not None:
            self._tell("disk", f"{images}, {limit}, go to {self.cache.folder}")
        else:
            self._tell("none", f"{images}, are {limit}: decoded again when needed")

    def _tell_trouble(self, cache: ImageCache, *, no_room: bool) -> None:
        if cache.damaged:
            self._tell("damaged", f"a damaged file in {cache.folder} was removed and its image decoded again")
        if cache.full:
            self._tell("full", f"no more decoded images are written: {cache.full}")
        elif no_room:
            self._tell("full", f"no more decoded images fit in {cache.folder}: see execution.cache")

    def _tell(self, state: str, text: str) -> None:
        """Say it, once."""
        if state not in self._told:
            self._told.add(state)
            self._say("cache", state=state, text=text)


def _bytes_of(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


def memory_limit() -> int:
    """Bytes of decoded images to keep in memory: a quarter of the memory that this process may use."""
    # processes of one training on one machine share its memory
    return usable_memory().whole // 4 // processes()
