"""Predictions against truth, one image at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ClassMap
from uvala.errors import DataError, ShapeError
from uvala.evaluation.scores import POLICY, ClassScore, ImageScore, Scores
from uvala.metrics.pixels import confusion_matrix, dice, iou, pixel_accuracy, precision, recall

__all__ = ["evaluate"]


def evaluate(
    cases: Iterable[tuple[str, ClassMap, ClassMap]], class_names: Sequence[str], subset: str
) -> Scores:
    """The scores of `cases`: (name, prediction, truth) of each image, taken one by one and not kept.

    prediction, truth: class indices [H, W] in the order of `class_names`, uint8; pixels that truth marks with
    IGNORE do not count. What happens to classes that an image does not hold is written in `Scores.policy`.
    Raises DataError if there are no cases, ShapeError with the image's name for arrays that do not fit.
    """
    images: list[ImageScore] = []
    pooled = np.zeros((len(class_names), len(class_names)), np.int64)
    missed, false_alarms = np.zeros((2, len(class_names)), np.int64)
    for name, prediction, truth in cases:
        confusion = _confusion_of(name, prediction, truth, len(class_names))
        in_truth, predicted = confusion.any(axis=1), confusion.any(axis=0)
        missed += in_truth & ~predicted
        false_alarms += predicted & ~in_truth
        pooled += confusion
        images.append(_image_score(name, confusion))
    if not images:
        raise DataError(
            found=f"no images in '{subset}' to evaluate",
            expected="at least one image with its mask",
            fix="choose another subset or split",
        )
    return Scores(
        subset=subset,
        policy=POLICY,
        classes=_class_scores(class_names, pooled, images, missed, false_alarms),
        mean_dice=_mean(_known(dice(pooled))),
        mean_iou=_mean(_known(iou(pooled))),
        accuracy=_known([pixel_accuracy(pooled)])[0],
        confusion=tuple(map(tuple, pooled.tolist())),
        images=tuple(images),
    )


def _confusion_of(name: str, prediction: ClassMap, truth: ClassMap, num_classes: int) -> NDArray[np.int64]:
    try:
        return confusion_matrix(prediction, truth, num_classes)
    except ShapeError as error:
        raise ShapeError(found=f"{name}: {error.found}", expected=error.expected, fix=error.fix) from error


def _image_score(name: str, confusion: NDArray[np.int64]) -> ImageScore:
    per_class = _known(dice(confusion))
    return ImageScore(
        name=name,
        pixels=int(confusion.sum()),
        accuracy=_known([pixel_accuracy(confusion)])[0],
        dice=per_class,
        iou=_known(iou(confusion)),
        mean_dice=_mean(per_class),
    )


def _class_scores(
    class_names: Sequence[str],
    pooled: NDArray[np.int64],
    images: Sequence[ImageScore],
    missed: NDArray[np.int64],
    false_alarms: NDArray[np.int64],
) -> tuple[ClassScore, ...]:
    pooled_scores = [_known(score(pooled)) for score in (dice, iou, precision, recall)]
    classes = []
    for index, name in enumerate(class_names):
        of_images = [image.dice[index] for image in images]
        absent = of_images.count(None)
        classes.append(
            ClassScore(
                name=name,
                dice=pooled_scores[0][index],
                iou=pooled_scores[1][index],
                precision=pooled_scores[2][index],
                recall=pooled_scores[3][index],
                image_dice=_mean(of_images),
                image_dice_absent_as_one=float(np.mean([1.0 if d is None else d for d in of_images])),
                images_present=len(images) - absent,
                images_absent=absent,
                images_missed=int(missed[index]),
                images_false_alarm=int(false_alarms[index]),
            )
        )
    return tuple(classes)


def _known(scores: Iterable[Any]) -> tuple[float | None, ...]:
    """Floats, with None for NaN: JSON has no NaN, and nobody averages None by accident."""
    return tuple(None if np.isnan(score) else float(score) for score in scores)


def _mean(scores: Iterable[float | None]) -> float | None:
    """The mean of those that are not None; None if all are."""
    present = [score for score in scores if score is not None]
    return sum(present) / len(present) if present else None
