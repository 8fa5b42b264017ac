"""One pass over all files of a data set: what each image and each mask holds, and which cannot be read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from uvala.data.image_facts import ImageFacts, look_at_image
from uvala.data.mask_facts import MaskFacts, look_at_mask, look_at_objects
from uvala.data.sample import Sample
from uvala.errors import ImageError
from uvala.images.read import RawMask, Source, read_image, read_mask
from uvala.machine import usable_cores

__all__ = ["Problem", "Progress", "SampleFacts", "file_name", "scan"]

Progress = Callable[[int, int], None]
"""Called with the samples done and all samples."""

_LOOKED_AT = 64
"""Masks in which connected objects are counted: enough to tell objects from classes, a millisecond each."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be read: its name within the data set, and why."""

    file: str
    error: ImageError


@dataclass(frozen=True, slots=True, eq=False)
class SampleFacts:
    """What a sample's files hold; image or mask is None if it cannot be read, and `problems` says why."""

    sample: Sample
    image: ImageFacts | None
    mask: MaskFacts | None
    problems: tuple[Problem, ...] = ()


def scan(
    samples: Sequence[Sample],
    root: Path,
    *,
    channels: int | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> tuple[SampleFacts, ...]:
    """The facts of all samples, in their order. Memory: 3 KB for each, and a few images per worker.

    root: what file names are relative to. channels: what images are converted to, if to anything. workers:
    threads; the number of cores if None.
    """
    step = max(1, len(samples) // _LOOKED_AT)
    counted = {sample.name for sample in samples[::step]}

    def look(sample: Sample) -> SampleFacts:
        return _look(sample, root, channels, components=sample.name in counted)

    found = []
    for facts in _in_threads(look, samples, workers or usable_cores()):
        found.append(facts)
        if progress is not None:
            progress(len(found), len(samples))
    return tuple(found)


def file_name(source: Source, root: Path) -> str:
    """The file as its user would write it: relative to the data set, "#3" for page 3."""
    path = source.path.relative_to(root) if source.path.is_relative_to(root) else source.path
    return path.as_posix() if source.page is None else f"{path.as_posix()}#{source.page}"


def _look(sample: Sample, root: Path, channels: int | None, *, components: bool) -> SampleFacts:
    problems: list[Problem] = []

    def attempt(read: Callable[[Source], R], source: Source) -> R | None:
        try:
            return read(source)
        except ImageError as error:
            problems.append(Problem(file_name(source, root), error))
        except OSError as error:
            problems.append(Problem(file_name(source, root), _cannot_open(source, error)))
        return None

    image = attempt(lambda source: look_at_image(read_image(source), channels), sample.image)
    mask: MaskFacts | None = None
    if isinstance(sample.mask, Source):
        name = file_name(sample.mask, root)
        mask = attempt(
            lambda source: look_at_mask(read_mask(source), name, components=components), sample.mask
        )
    elif sample.mask:
        read = [attempt(read_mask, source) for source in sample.mask]
        objects = [raw for raw in read if raw is not None]
        problems += _odd_sizes(sample.mask, objects, root) if len(objects) == len(read) else []
        if not problems:
            mask = look_at_objects(objects, file_name(Source(sample.mask[0].path.parent), root))
    return SampleFacts(sample, image, mask, tuple(problems))


def _odd_sizes(sources: Sequence[Source], objects: Sequence[RawMask], root: Path) -> list[Problem]:
    """The object masks of one image that are not as large as the first one."""
    height, width = objects[0].values.shape[:2]
    return [
        Problem(
            file_name(source, root),
            ImageError(
                found=f"{file_name(source, root)}: {raw.values.shape[1]}x{raw.values.shape[0]} pixels",
                expected=f"{width}x{height}, as the other objects of this image have",
                fix="export the mask again",
            ),
        )
        for source, raw in zip(sources, objects, strict=True)
        if raw.values.shape[:2] != (height, width)
    ]


def _cannot_open(source: Source, error: OSError) -> ImageError:
    return ImageError(
        found=f"{source}, which cannot be opened ({error.strerror or error})",
        expected="a file that this user may read",
        fix="check its permissions, or remove it from the data set",
    )


def _in_threads(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """function(item) for each item, in order, with at most a few results waiting."""
    with ThreadPoolExecutor(workers, thread_name_prefix="scan") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
