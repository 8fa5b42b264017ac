"""A file against PyTorch: what the runtime that will use it says of images, and what the run says of them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ImageArray
from uvala.errors import BackendError
from uvala.export.config import ExportConfig
from uvala.export.trials import Trial
from uvala.prediction.engine import Prediction
from uvala.prediction.file_card import MASK, PROBABILITIES
from uvala.prediction.session import Session

__all__ = ["Comparison", "Speed", "Verification", "require_agreement", "verify"]

_TIMED = 512  # pixels along a side; of small images one would measure what it takes to begin
_ROUNDS = 3  # of which the fastest counts: what else runs only adds


@dataclass(frozen=True)
class Comparison:
    """One batch of images. difference: the largest, of a probability. agreement: share of pixels alike."""

    images: str
    dtype: str
    batch: int
    height: int
    width: int
    difference: float
    agreement: float


@dataclass(frozen=True)
class Speed:
    """Seconds per megapixel of an image of 512x512 or more, on this machine's CPU, scaling included."""

    pytorch: float
    file: float


@dataclass(frozen=True)
class Verification:
    """What came of the comparison; images: where they are from."""

    images: str
    comparisons: tuple[Comparison, ...]
    speed: Speed

    @property
    def difference(self) -> float:
        """The largest of all."""
        return max(each.difference for each in self.comparisons)

    @property
    def agreement(self) -> float:
        """Share of all pixels whose class is the same."""
        pixels = [each.batch * each.height * each.width for each in self.comparisons]
        alike = [each.agreement * count for each, count in zip(self.comparisons, pixels, strict=True)]
        return float(sum(alike) / sum(pixels))

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON; an infinite difference is null."""
        rows = [asdict(each) for each in self.comparisons]
        for row in rows:
            row["difference"] = _finite(row["difference"])
        return {
            "images": self.images,
            "largest_difference": _finite(self.difference),
            "class_agreement": self.agreement,
            "seconds_per_megapixel": asdict(self.speed),
            "comparisons": rows,
        }


def verify(
    session: Session, predict: Callable[[ImageArray], Prediction], trials: Sequence[Trial], words: str
) -> Verification:
    """Compare a file with the run. predict: the run's own path, an image [C, H, W] in one piece."""
    comparisons = tuple(_compared(session, predict, trial) for trial in trials)
    largest = max((trial.images[0] for trial in trials), key=lambda image: image.size)
    missing = [(0, max(_TIMED - length, 0)) for length in largest.shape[1:]]
    repeated = np.pad(largest, [(0, 0), *missing], mode="wrap")
    return Verification(words, comparisons, _speed(session, predict, repeated[None]))


def require_agreement(found: Verification, config: ExportConfig) -> None:
    """BackendError unless the file says what PyTorch says.

    Of 8 bits Dice is what is asked, but for numbers that are none and outputs of another size.
    """
    if config.int8 and math.isfinite(found.difference):
        return
    if found.difference <= config.most_difference and found.agreement >= config.least_agreement:
        return
    worst = max(found.comparisons, key=lambda each: each.difference)
    raise BackendError(
        found=f"a file that disagrees with PyTorch: by {worst.difference:.2g} in a probability on "
        f"{worst.batch} x {worst.width}x{worst.height} {worst.dtype} ({worst.images}), and on "
        f"{1 - found.agreement:.3%} of all classes",
        expected=f"at most {config.most_difference:g}, and {config.least_agreement:.2%} of the classes alike",
        fix="nothing was written; choose another --to, or another version of the runtime",
    )


def _compared(session: Session, predict: Callable[[ImageArray], Prediction], trial: Trial) -> Comparison:
    outputs = session.outputs(trial.images)
    truth = [predict(image) for image in trial.images]
    expected = {PROBABILITIES: np.stack([each.probabilities for each in truth])}
    for name in ("borders", "distance"):
        maps = [getattr(each, name) for each in truth]
        expected |= {name: np.stack(maps)} if maps[0] is not None else {}
    classes = outputs[MASK] if MASK in outputs else outputs[PROBABILITIES].argmax(axis=1)
    right = np.stack([each.mask for each in truth])
    return Comparison(
        images=trial.what,
        dtype=trial.images.dtype.name,
        batch=len(trial.images),
        height=trial.images.shape[2],
        width=trial.images.shape[3],
        difference=max(_difference(outputs.get(name), maps) for name, maps in expected.items()),
        agreement=float((classes == right).mean()) if classes.shape == right.shape else 0.0,
    )


def _difference(found: NDArray[Any] | None, expected: NDArray[Any]) -> float:
    """The largest; infinite for another shape, or where a number is none: `max` passes over NaN."""
    if found is None or found.shape != expected.shape:
        return float("inf")
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    return float(np.abs(found - expected).max())


def _speed(session: Session, predict: Callable[[ImageArray], Prediction], images: ImageArray) -> Speed:
    """Both in turn, so that what else runs disturbs both."""
    seconds: dict[str, list[float]] = {"pytorch": [], "file": []}
    ways: dict[str, Callable[[], Any]] = {
        "pytorch": lambda: predict(images[0]),
        "file": lambda: session.outputs(images),
    }
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    megapixels = images.shape[2] * images.shape[3] / 1e6
    return Speed(*(min(seconds[name]) / megapixels for name in ("pytorch", "file")))


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
