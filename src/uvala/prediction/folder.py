"""Images in; masks, probabilities, overlays and objects out. Reading, the network and writing run at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from uvala.arrays import Box
from uvala.errors import StorageError, UvalaError
from uvala.images.boxes import LazyImage, PixelFacts
from uvala.images.lazy import open_image
from uvala.images.read import Source
from uvala.prediction.engine import ImagePredictor, Prediction
from uvala.prediction.inputs import find_inputs
from uvala.prediction.large import LargePrediction, Watch, bytes_in_memory
from uvala.prediction.objects import ObjectFiles
from uvala.prediction.overlap import WriteBehind, read_ahead
from uvala.prediction.record import Failure, Output, Record, state_of
from uvala.prediction.results import write_prediction
from uvala.prediction.wanted import Wanted

__all__ = ["IN_MEMORY", "Failure", "Output", "find_inputs", "predict_files", "settings_of"]

IN_MEMORY = 2**29
"""Bytes up to which an image and its prediction are held as a whole: two classes of 17,000,000 RGB pixels."""

_SHARE = 4  # of the memory that is given, what one image may take as a whole
_AHEAD = 2**28  # bytes of images that wait for the network
_BEHIND = 2**28  # bytes of predictions that wait to be written

Result = Output | Failure


def predict_files(
    predictor: ImagePredictor,
    inputs: Iterable[tuple[Source, Path]],
    out: Path,
    *,
    wanted: Wanted | None = None,
    record: Record | None = None,
    watch: Watch | None = None,
    memory: int | None = None,
) -> Iterator[Result]:
    """Predict each input and write its mask to out/; what cannot be read is passed over and told.

    Masks are written in the encoding of the data trained on; probabilities, uncertainty, overlays and objects
    go to folders of their own. Small images are predicted in memory, large ones block by block (see
    `uvala.prediction.large`). Objects of all images together are written after the last one.

    record: where each image is written down that is done, and which of them need not be done again. watch:
    hears of predicted pixels. memory: bytes that the whole may take; an image is large from a quarter of it
    on, or from IN_MEMORY.
    A disk that is full ends it: StorageError. Left early, what is complete stays, for a resume.
    """
    wanted = wanted or Wanted()
    objects = (
        ObjectFiles(out / "objects", wanted.objects, resume=record is not None) if wanted.objects else None
    )
    limit = IN_MEMORY if memory is None else min(memory // _SHARE, IN_MEMORY)
    work = _Work(predictor, out, wanted, objects, record, watch or _nobody, limit)
    images = read_ahead(inputs, work.opened, weigh=_Opened.weight, room=min(_AHEAD, limit))
    with WriteBehind[Result](min(_BEHIND, limit)) as writing, closing(images):
        for opened in images:
            yield from writing.add(*work.predicted(opened))
        yield from writing.rest()
    if objects:
        objects.finish()


def settings_of(predictor: ImagePredictor, wanted: Wanted) -> dict[str, Any]:
    """All that decides what the files of a folder of predictions hold, for its record."""
    return {"model": predictor.identity, **wanted.model_dump(mode="json")}


@dataclass(eq=False)
class _Opened:
    """An image as the network takes it.

    image: with its pixels, or, if it is large, as long as `files` are open; None if there is an error, or
    a result already.
    """

    source: Source
    target: Path
    image: LazyImage | None = None
    large: bool = False
    files: ExitStack = field(default_factory=ExitStack)
    result: Result | None = None

    def weight(self) -> int:
        """Bytes of pixels."""
        return self.image.whole.nbytes if self.image and self.image.whole is not None else 0


@dataclass(eq=False)
class _Work:
    """The three steps of each image, each for a thread of its own."""

    predictor: ImagePredictor
    out: Path
    wanted: Wanted
    objects: ObjectFiles | None
    record: Record | None
    watch: Watch
    limit: int

    def opened(self, item: tuple[Source, Path]) -> _Opened:
        """Read an image, unless it is large, done already or damaged."""
        source, target = item
        opened = _Opened(source, target)
        if self.record and (done := self.record.result(source, target)):
            opened.result = done
            return opened
        try:
            with ExitStack() as stack:
                image = stack.enter_context(open_image(source))
                opened.large = bytes_in_memory(image, self.predictor.card, self.wanted) > self.limit
                if image.whole is None and not opened.large:
                    image = replace(image, whole=image.read(Box(0, 0, *image.size)))
                opened.image = image
                opened.files = stack.pop_all() if opened.large else opened.files
        except StorageError:
            raise
        except UvalaError as error:
            opened.result = Failure(source, error)
        return opened

    def predicted(self, opened: _Opened) -> tuple[Callable[[], Result], int]:
        """Let the network see an image; what writes its files, and how many bytes that holds until then."""
        image = opened.image
        if image is None:
            return partial(self._told, opened), 0
        try:
            if opened.large:
                large = LargePrediction(
                    self.predictor, image, self.out, opened.target, self.wanted, _told_apart(opened.source)
                )
                large.predict(self.watch)
                return partial(self._written, opened, partial(self._write_large, opened, large)), 0
            assert image.whole is not None
            votes = self.predictor.votes if self.wanted.uncertainty else 1
            prediction = self.predictor(image.whole, spread=votes > 1)
            self.watch(image.size.height * image.size.width, 1.0)
        except StorageError:
            raise
        except UvalaError as error:
            opened.files.close()
            opened.image, opened.result = None, Failure(opened.source, error)
            return partial(self._told, opened), 0
        weight = image.whole.nbytes + prediction.probabilities.nbytes
        job = partial(self._write, opened.source, opened.target, prediction, image.facts)
        opened.image = None  # the prediction has what is needed of it
        return partial(self._written, opened, job), weight

    def _told(self, opened: _Opened) -> Result:
        """What there is to say of an image that is not predicted."""
        assert opened.result is not None
        if self.record and isinstance(opened.result, Failure):
            self.record.add(opened.target, opened.result)
        return opened.result

    def _written(self, opened: _Opened, write: Callable[[], Output]) -> Result:
        with opened.files:
            try:
                result: Result = write()
            except StorageError:
                raise
            except UvalaError as error:
                result = Failure(opened.source, error)
        if self.record:
            self.record.add(opened.target, result)
        return result

    def _write(self, source: Source, target: Path, prediction: Prediction, facts: PixelFacts) -> Output:
        path = write_prediction(prediction, facts, self.out, target, self.wanted)
        count = None
        if self.objects:
            count = self.objects.write(target, _file_name(source, target), prediction, facts)
        return Output(source, path, prediction.written_classes, count)

    def _write_large(self, opened: _Opened, large: LargePrediction) -> Output:
        path, classes = large.write()
        count = None
        if self.objects:
            count = self.objects.write_large(opened.target, _file_name(opened.source, opened.target), large)
        large.close()
        return Output(opened.source, path, classes, count)


def _file_name(source: Source, target: Path) -> str:
    """What a list of images calls a source: its file, in the folders that results keep, and its page."""
    page = "" if source.page is None else f"#{source.page}"
    return f"{(target.parent / source.path.name).as_posix()}{page}"


def _told_apart(source: Source) -> Mapping[str, Any]:
    """What an image that was begun is known again by."""
    return {"path": str(source.path.absolute()), "page": source.page, **state_of(source.path)}


def _nobody(pixels: int, share: float) -> None:
    """Hears nothing."""
