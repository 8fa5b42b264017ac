"""Images in; masks, probabilities, overlays and objects out. Reading, the network and writing run at once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from uvala.arrays import Box, ImageArray
from uvala.data.normalise import other_units
from uvala.errors import StorageError, UvalaError
from uvala.images.boxes import LazyImage
from uvala.images.lazy import open_image
from uvala.images.read import Source
from uvala.images.stage import Stage
from uvala.prediction.engine import ImagePredictor, Prediction
from uvala.prediction.inputs import find_inputs
from uvala.prediction.large import LargePrediction, Watch, bytes_in_memory, stage_of
from uvala.prediction.objects import ObjectFiles
from uvala.prediction.overlap import WriteBehind, read_ahead
from uvala.prediction.record import Failure, Output, Record, State, state_of
from uvala.prediction.results import form_of, require_writable, write_prediction
from uvala.prediction.wanted import Wanted

__all__ = ["IN_MEMORY", "Failure", "Output", "find_inputs", "predict_files", "settings_of"]

IN_MEMORY = 2**29
"""Bytes up to which an image and its prediction are held as a whole: two classes of 20,000,000 RGB pixels, or
of 10,000,000 where objects are found in them."""

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
    with WriteBehind[Result](min(_BEHIND, limit)) as writing:
        work = _Work(predictor, out, wanted, objects, record, watch or _nobody, memory, limit, writing)
        images = read_ahead(inputs, work.opened, weigh=_Opened.weight, room=min(_AHEAD, limit))
        with closing(images):
            for opened in images:
                yield from writing.add(*work.predicted(opened))
        yield from writing.rest()
    if objects:
        objects.finish()


def settings_of(predictor: ImagePredictor, wanted: Wanted) -> dict[str, Any]:
    """All that decides what the files of a folder of predictions hold, for its record."""
    return {
        "model": predictor.identity,
        "tiles": [each.model_dump(mode="json") for each in predictor.deciding_tiles],
        "decoding": predictor.card.objects.settings.model_dump(mode="json"),
        **wanted.model_dump(mode="json"),
    }


@dataclass(eq=False)
class _Opened:
    """An image as the network takes it.

    state: of its file, from before it was opened. image: with its pixels, or, if it is large, as long as
    `files` are open; None if there is an error, or a result already.
    """

    source: Source
    target: Path
    state: State
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
    memory: int | None
    limit: int
    writing: WriteBehind[Result]

    def opened(self, item: tuple[Source, Path]) -> _Opened:
        """Read an image, unless it is large, done already, damaged, or too large for the files asked for."""
        source, target = item
        if self.record and (done := self.record.result(source, target)):
            Stage.discard(stage_of(self.out, target))  # of a process that was killed before it did that
            return _Opened(source, target, {}, result=done)
        opened = _Opened(source, target, state_of(source.path))
        try:
            with ExitStack() as stack:
                image = stack.enter_context(open_image(source, memory=self.memory))
                opened.large = bytes_in_memory(image, self.predictor.card, self.wanted) > self.limit
                require_writable(form_of(self.wanted, image.facts, large=opened.large), image.size)
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
        image, opened.image = opened.image, None
        if image is None:
            return partial(self._told, opened), 0
        try:
            return self._predicted_large(opened, image) if opened.large else self._predicted(opened, image)
        except StorageError:
            raise
        except UvalaError as error:
            opened.result = Failure(opened.source, error)
            return partial(self._told, opened), 0

    def _predicted(self, opened: _Opened, image: LazyImage) -> tuple[Callable[[], Result], int]:
        assert image.whole is not None
        votes = self.predictor.votes if self.wanted.uncertainty else 1
        prediction = self.predictor(image.whole, spread=votes > 1)
        self.watch(image.size.height * image.size.width, 1.0)
        write = partial(self._write, opened, image, prediction)
        held = image.whole.nbytes + prediction.probabilities.nbytes
        return partial(self._written_whole, opened, write), held

    def _predicted_large(self, opened: _Opened, image: LazyImage) -> tuple[Callable[[], Result], int]:
        # as for the record, a file is known again wherever it lies now
        path = str(opened.source.path.absolute()) if opened.state.get("ends") is None else ""
        told_apart = {"path": path, "page": opened.source.page, **opened.state}
        large = LargePrediction(
            self.predictor,
            image,
            self.out,
            opened.target,
            self.wanted,
            told_apart,
            memory=self.memory,
            left=self.writing.left,
        )
        with large.explained(), opened.files as files:
            large.predict(self.watch)
            # its reader holds what it has decoded, and there may be no room for that twice
            if large.shows_image:
                image.let_go()
                opened.files = files.pop_all()
            else:
                large.image = replace(image, read=_never_again, whole=None)
        # all the room there is: no more than one large image waits while the next is predicted
        return partial(self._written_large, opened, large), max(self.writing.room, 1)

    def _told(self, opened: _Opened) -> Result:
        """What there is to say of an image that is not predicted."""
        assert opened.result is not None
        if isinstance(opened.result, Failure):
            opened.result = self._with_what_lies_there(opened, opened.result)
            self._put_down(opened, opened.result)
        return opened.result

    def _written(self, opened: _Opened, write: Callable[[], Output]) -> Result:
        try:
            result: Result = write()
        except StorageError:
            raise
        except UvalaError as error:
            result = Failure(opened.source, error)
        self._put_down(opened, result)
        return result

    def _written_whole(self, opened: _Opened, write: Callable[[], Output]) -> Result:
        result = self._written(opened, write)
        if isinstance(result, Output):
            # of an earlier time, with less memory or of a larger image
            Stage.discard(stage_of(self.out, opened.target))
        return result

    def _written_large(self, opened: _Opened, large: LargePrediction) -> Result:
        with opened.files, closing(large):
            result = self._written(opened, partial(self._write_large, opened, large))
        if isinstance(result, Output):
            large.stage.remove()  # not before the image is on record: a kill between would cost all of it
        return result

    def _put_down(self, opened: _Opened, result: Result) -> None:
        if self.record:
            self.record.add(opened.target, result, opened.state)

    def _with_what_lies_there(self, opened: _Opened, failure: Failure) -> Failure:
        """The failure; it says where a mask of what the file was before lies in its place."""
        before = self.record.done.get(opened.target.as_posix()) if self.record else None
        if before is None or not (self.out / before["mask"]).exists():
            return failure
        error = failure.error
        older = f"{self.out / before['mask']} is of the image that was there before"
        told = type(error)(found=error.found, expected=error.expected, fix=f"{error.fix}; {older}")
        return Failure(failure.source, told)

    def _write(self, opened: _Opened, image: LazyImage, prediction: Prediction) -> Output:
        path = write_prediction(prediction, image.facts, self.out, opened.target, self.wanted)
        count = None
        if self.objects:
            count = self.objects.write(opened.target, _file_name(opened), prediction, image.facts)
        units = other_units(image, self.predictor.card.normalisation)
        notes = image.notes if units is None else (*image.notes, units)
        return Output(opened.source, path, prediction.written_classes, count, notes=notes)

    def _write_large(self, opened: _Opened, large: LargePrediction) -> Output:
        with large.explained():
            path, classes = large.write()
            count = None
            if self.objects:
                count = self.objects.write_large(opened.target, _file_name(opened), large)
        return Output(opened.source, path, classes, count, notes=large.notes)


def _file_name(opened: _Opened) -> str:
    """What a list of images calls a source: its file, in the folders that results keep, and its page."""
    page = "" if opened.source.page is None else f"#{opened.source.page}"
    return f"{(opened.target.parent / opened.source.path.name).as_posix()}{page}"


def _never_again(box: Box) -> ImageArray:
    """Reads an image that was let go."""
    raise AssertionError(f"{box} of an image of which all is known")


def _nobody(pixels: int, share: float) -> None:
    """Hears nothing."""
