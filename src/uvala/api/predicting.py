"""Predict files into a folder, by a run or by a file that was exported from one; or go on with that."""

from collections.abc import Callable, Sequence
from pathlib import Path

from uvala.errors import ConfigError, UvalaError
from uvala.files import held
from uvala.images.read import Source, image_size
from uvala.prediction.engine import ImagePredictor, Predictor
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.folder import Failure, Output, find_inputs, predict_files, settings_of
from uvala.prediction.large import Watch
from uvala.prediction.record import Record
from uvala.prediction.wanted import Wanted
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["EXPORTED", "open_exported", "predict_paths"]

EXPORTED = frozenset({".onnx", ".xml"})
"""Endings of files that `uvala export` writes and that predict as a run does."""


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
    found = find_inputs(inputs, outside=folder)
    if isinstance(predictor, Predictor):
        predictor.expect(_megapixels(found))
    record = Record.begin(folder, settings_of(predictor, wanted), resume=resume)
    results: list[Output | Failure] = []
    if progress is not None:
        progress(0, len(found))
    with held(folder):
        for result in predict_files(
            predictor, found, folder, wanted=wanted, record=record, watch=watch, memory=memory
        ):
            results.append(result)
            if progress is not None:
                progress(len(results), len(found))
    outputs = [each for each in results if isinstance(each, Output)]
    return outputs, [each for each in results if isinstance(each, Failure)]


def _megapixels(inputs: Sequence[tuple[Source, Path]]) -> float:
    """Of all images, as if they were of the size of the first."""
    try:
        size = image_size(inputs[0][0])
    except (UvalaError, IndexError):
        return 0.0
    return len(inputs) * size.height * size.width / 1e6


def open_exported(path: Path, *, test_time: bool | None = None) -> ExportedPredictor:
    """A file of `uvala export`, to predict with; ConfigError for views that it knows nothing of.

    test_time: whether views are averaged; None: as the file says.
    """
    if test_time is False:
        return ExportedPredictor(path, test_time=TestTimeConfig())
    predictor = ExportedPredictor(path)
    if test_time and predictor.votes == 1:
        raise ConfigError(
            found=f"--tta with {path}, which names no views to average",
            expected="the folder of a run, whose plan tells what it was trained for",
            fix="leave --tta out, or predict with the run",
        )
    return predictor
