"""How good predictions are: what an evaluation found, on disk, in a terminal, and what looks wrong in it."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uvala.config import Config, build
from uvala.errors import ConfigError, RunError
from uvala.files import write_json, write_text

__all__ = ["POLICY", "ClassScore", "ImageScore", "Scores", "table", "verdict", "write_csv"]

POLICY = (
    "Dice, IoU, precision and recall are those of all pixels of the subset together; image Dice is the mean "
    "over the images that hold the class in truth or prediction. An image that holds it in neither is left "
    "out of that mean and counted as absent; 'absent as 1' is the mean with such images counted as 1. A "
    "class that an image holds only in the truth (missed) or only in the prediction (false alarm) scores 0 "
    "there. Pixels that the truth marks as ignored are never counted."
)
MOST_CONFUSED = 12  # classes whose confusion matrix still fits on a terminal
ALIKE = 1e-6  # Dice of two images closer than this are the same number: no two real images are


class ClassScore(Config):
    """One class over all images; None where the class is in no image, neither true nor predicted."""

    name: str
    dice: float | None = Field(description="2 TP / (2 TP + FP + FN) over all pixels of all images")
    iou: float | None = Field(description="TP / (TP + FP + FN) over all pixels of all images")
    precision: float | None = Field(description="TP / (TP + FP) over all pixels of all images")
    recall: float | None = Field(description="TP / (TP + FN) over all pixels of all images")
    image_dice: float | None = Field(description="mean Dice of the images where the class is present")
    image_dice_absent_as_one: float = Field(
        description="mean Dice of all images, 1 where the class is absent"
    )
    images_present: int = Field(description="images with the class in truth or prediction")
    images_absent: int = Field(description="images with the class in neither")
    images_missed: int = Field(description="images with the class in truth, but nowhere predicted: Dice 0")
    images_false_alarm: int = Field(description="images with the class predicted, but not in truth: Dice 0")


class ImageScore(Config):
    """One image; Dice and IoU in the order of the classes, None where a class is absent from it."""

    name: str
    pixels: int = Field(description="pixels that were counted, so without ignored ones")
    accuracy: float | None = Field(description="share of them that are right; None if there are none")
    dice: tuple[float | None, ...]
    iou: tuple[float | None, ...]
    mean_dice: float | None = Field(description="mean over the classes that are present")


class Scores(Config):
    """An evaluation. Numbers are 0 to 1, more is better, None where there is nothing to score."""

    subset: str = Field(description="which images: train, val, test, all")
    policy: str = Field(description="how empty classes and ignored pixels were treated, in words")
    classes: tuple[ClassScore, ...]
    mean_dice: float | None = Field(description="mean of the classes' Dice over all pixels")
    mean_iou: float | None = Field(description="mean of the classes' IoU over all pixels")
    accuracy: float | None = Field(description="share of pixels whose class is right")
    confusion: tuple[tuple[int, ...], ...] = Field(description="pixels; rows truth, columns prediction")
    images: tuple[ImageScore, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their indices."""
        return tuple(score.name for score in self.classes)

    @property
    def median_dice(self) -> float | None:
        """The middle one of the images' mean Dice; None if no image has one."""
        known = [image.mean_dice for image in self.images if image.mean_dice is not None]
        return median(known) if known else None

    def to_json(self, path: str | Path) -> None:
        """Write all of it as JSON; None becomes null."""
        write_json(Path(path), self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, path: str | Path) -> "Scores":
        """The scores that `to_json` wrote; RunError if the file holds none."""
        try:
            return build(cls, json.loads(Path(path).read_text(encoding="utf-8")), where=str(path))
        except (OSError, ValueError, TypeError, ConfigError) as error:
            raise RunError(
                found=f"{path}, which cannot be read as scores ({type(error).__name__})",
                expected="the JSON file that an evaluation writes",
                fix="evaluate again",
            ) from error


def write_csv(scores: Scores, path: str | Path) -> None:
    """Write a row per image: name, pixels, accuracy, mean_dice, Dice and IoU per class; empty for None."""
    per_class = [f"{score}_{name}" for score in ("dice", "iou") for name in scores.class_names]
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["name", "pixels", "accuracy", "mean_dice", *per_class])
    for image in scores.images:
        rows.writerow([image.name, image.pixels, image.accuracy, image.mean_dice, *image.dice, *image.iou])
    write_text(Path(path), stream.getvalue())


def table(scores: Scores) -> str:
    """The scores of each class, their means and what was taken for what, as plain text in columns.

    How empty images were counted is in it wherever there are any.
    """
    images = f"{len(scores.images)} image{'s' if len(scores.images) != 1 else ''}"
    lines = [f"{scores.subset}: {images}, pixel accuracy {_number(scores.accuracy)}", ""]
    lines += _aligned([*zip(*_columns(scores), strict=True)])
    if len(scores.classes) <= MOST_CONFUSED:
        lines += ["", "of the true pixels of each class (row), the share predicted as", ""]
        lines += _aligned([("", *scores.class_names), *_shares(scores)])
    if any(
        score.images_absent or score.images_missed or score.images_false_alarm for score in scores.classes
    ):
        lines += ["", scores.policy]
    return "\n".join(lines)


def verdict(scores: Scores) -> tuple[str, ...]:
    """Sentences about results that are rarely what they seem, the gravest first; () if none stands out."""
    confusion = np.array(scores.confusion, np.int64)
    if not confusion.any():
        return ("No pixel was counted: the masks mark every pixel of these images as ignored.",)
    names = scores.class_names
    return (
        *_one_sided(confusion, names),
        *_exchanged(confusion, names),
        *_constant(scores),
    )


def _columns(scores: Scores) -> Iterator[tuple[str, ...]]:
    """Head, a cell per class, and the mean; what can only be empty or zero is not shown."""
    classes = scores.classes
    yield "class", *scores.class_names, "mean"
    yield "Dice", *(_number(score.dice) for score in classes), _number(scores.mean_dice)
    yield "IoU", *(_number(score.iou) for score in classes), _number(scores.mean_iou)
    yield "precision", *(_number(score.precision) for score in classes), ""
    yield "recall", *(_number(score.recall) for score in classes), ""
    yield "image Dice", *(_number(score.image_dice) for score in classes), ""
    if any(score.images_absent for score in classes):
        yield "absent as 1", *(_number(score.image_dice_absent_as_one) for score in classes), ""
    yield "images", *(str(score.images_present) for score in classes), ""
    counts = {
        "absent": [score.images_absent for score in classes],
        "missed": [score.images_missed for score in classes],
        "false alarms": [score.images_false_alarm for score in classes],
    }
    for head, count in counts.items():
        if any(count):
            yield head, *map(str, count), ""


def _shares(scores: Scores) -> Iterator[tuple[str, ...]]:
    for name, row in zip(scores.class_names, scores.confusion, strict=True):
        total = sum(row)
        yield name, *(f"{100 * pixels / total:.1f}%" if total else "-" for pixels in row)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns two spaces apart: the first one flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def _one_sided(confusion: NDArray[np.int64], names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the classes that occur at all, in truth and in prediction."""
    share = confusion.sum(axis=1) / confusion.sum()
    true, predicted = (np.flatnonzero(confusion.any(axis=axis)).tolist() for axis in (1, 0))
    if len(true) == 1:
        yield (
            f"The masks of these images hold only '{names[true[0]]}': they cannot show whether anything else "
            "is found."
        )
    if len(predicted) == 1 and len(true) > 1:
        yield (
            f"The model predicts '{names[predicted[0]]}' for every pixel of every image, although "
            f"{1 - share[predicted[0]]:.1%} of the pixels are something else: it has not learnt to tell the "
            "classes apart. Train longer, and look at the masks with `uvala check`."
        )
        return
    for index in sorted(set(true) - set(predicted)):
        yield f"'{names[index]}' is never predicted, although it is {share[index]:.2%} of the pixels."
    for index in sorted(set(predicted) - set(true)):
        yield f"'{names[index]}' is predicted, although no mask of these images holds it."


def _exchanged(confusion: NDArray[np.int64], names: Sequence[str]) -> Iterator[str]:
    """Two classes that would both score better under each other's name."""
    if len(names) == 2 and confusion[0, 1] > confusion[0, 0] and confusion[1, 0] > confusion[1, 1]:
        yield (
            f"'{names[0]}' and '{names[1]}' seem to be exchanged: most pixels of each are predicted as the "
            "other. Compare the encoding of these masks with that of the training data."
        )


def _constant(scores: Scores) -> Iterator[str]:
    """The same Dice on each of several images."""
    known = [image.mean_dice for image in scores.images if image.mean_dice is not None]
    if len(known) < 3 or max(known) - min(known) > ALIKE:
        return
    if min(known) > 1 - ALIKE:
        yield (
            f"All {len(known)} images score a perfect Dice of 1: make sure that they are not among the "
            "training images and that their masks are not empty."
        )
    else:
        yield (
            f"All {len(known)} images score the same Dice of {known[0]:.3f}: the prediction does not seem to "
            "depend on the image. Look at a few overlays, and at the masks with `uvala check`."
        )
