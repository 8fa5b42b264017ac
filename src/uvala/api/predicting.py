"""Predict files into a folder, by a run or by a file that was exported from one; or go on with that."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvala.arrays import Size
from uvala.errors import ConfigError, UvalaError
from uvala.files import held, storage_errors
from uvala.images.read import Source, image_size
from uvala.prediction.engine import ImagePredictor, Predictor
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.folder import Failure, Output, predict_files, settings_of
from uvala.prediction.inputs import RESULT_FOLDERS, find_inputs
from uvala.prediction.large import Watch
from uvala.prediction.record import Record, settings_in
from uvala.prediction.wanted import Wanted
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["open_exported", "predict_paths"]


def predict_paths(
    predictor: ImagePredictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    wanted: Wanted,
    *,
    resume: bool = False,
    memory: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    watch: Watch | None = None,
) -> tuple[list[Output], list[Failure]]:
    """Predict files, folders and globs into `out`; what was written, what failed.

    resume: go on with what is there, if it is of the same model and options; otherwise the folder must be
    new. predictions.jsonl there tells what is done. memory: bytes that the whole may take. progress: hears of
    images that are done, of how many. watch: of pixels in between.
    StorageError if the folder is taken, or another process is at work there.
    """
    folder = Path(out).expanduser()
    card = predictor.card
    channels = card.network.in_channels if card.data.pages_as_channels else None
    found = find_inputs(inputs, outside=folder, taken=RESULT_FOLDERS, channels=channels)
    settings = settings_of(predictor, wanted)
    if isinstance(predictor, Predictor):
        predictor.expect(len(found), _size_of_the_first(found))
        settings |= _computed(predictor, settings_in(folder) if resume else {})
    results: list[Output | Failure] = []
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # held first: of two that begin in one folder at once, both would find it empty
    with held(folder):
        record = Record.begin(folder, settings, resume=resume)
        if progress is not None:
            progress(0, len(found))
        for result in predict_files(
            predictor, found, folder, wanted=wanted, record=record, watch=watch, memory=memory
        ):
            results.append(result)
            if progress is not None:
                progress(len(results), len(found))
    outputs = [each for each in results if isinstance(each, Output)]
    return outputs, [each for each in results if isinstance(each, Failure)]


def _computed(predictor: Predictor, before: dict[str, Any]) -> dict[str, Any]:
    """What computes the networks, for the record; `before`: what that says of predictions to go on with."""
    model, device = predictor.identity, predictor.device.type
    if (before.get("model"), before.get("device")) == (model, device):
        predictor.keep_backends(before.get("backend", ()))
    return {"device": device, "backend": predictor.backends}


def _size_of_the_first(inputs: Sequence[tuple[Source, Path]]) -> Size:
    """Of the images; nothing where there is none, or it cannot be read."""
    try:
        return image_size(inputs[0][0])
    except (UvalaError, IndexError):
        return Size(0, 0)


def open_exported(
    path: Path, *, test_time: bool | None = None, settings: Mapping[str, Any] | None = None
) -> ExportedPredictor:
    """A file of `uvala export`, to predict with; ConfigError for views that it knows nothing of.

    test_time: whether views are averaged; None: as the file says. settings: as of `prediction.adjust`.
    """
    if test_time is False:
        return ExportedPredictor(path, test_time=TestTimeConfig(), settings=settings)
    predictor = ExportedPredictor(path, settings=settings)
    if test_time and predictor.votes == 1:
        raise ConfigError(
            found=f"--tta with {path}, which names no views to average",
            expected="the folder of a run, whose plan tells what it was trained for",
            fix="leave --tta out, or predict with the run",
        )
    return predictor
