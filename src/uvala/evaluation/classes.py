"""The pixel scores of each class: of an image as measures, of all images together as `ClassScore`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvala.evaluation.measures import MOST_CLASSES, Image, State, known
from uvala.evaluation.resampling import Resampling
from uvala.evaluation.scores import Bounds, ClassScore, Measure
from uvala.metrics.pixels import (
    dice,
    iou,
    macro,
    matthews,
    pixel_accuracy,
    precision,
    recall,
    specificity,
)
from uvala.metrics.probabilities import ProbabilityCounts

__all__ = ["class_scores", "class_states", "pixel_measures", "pooled_intervals"]

_PER_CLASS = {
    "dice": dice,
    "iou": iou,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "matthews": matthews,
}
_STATES: dict[tuple[bool, bool], State] = {
    (True, True): "present",
    (True, False): "missed",
    (False, True): "spurious",
    (False, False): "absent",
}


def pixel_measures(confusion: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, float]:
    """The measures that an image's confusion matrix [K, K] holds, by name; NaN where a class is absent."""
    found = {
        "accuracy": pixel_accuracy(confusion),
        "dice": macro(dice(confusion)),
        "iou": macro(iou(confusion)),
    }
    for name, score in _PER_CLASS.items():
        values = zip(class_names, score(confusion).tolist(), strict=True)
        found |= {f"{name}/{class_name}": value for class_name, value in values}
    return found


def class_states(confusion: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, State]:
    """Whether each class is in truth, in the prediction, in both or in neither, by its name."""
    in_truth, predicted = confusion.sum(axis=1) > 0, confusion.sum(axis=0) > 0
    pairs = zip(in_truth.tolist(), predicted.tolist(), strict=True)
    return {name: _STATES[pair] for name, pair in zip(class_names, pairs, strict=True)}


def pooled_intervals(images: Sequence[Image], resampling: Resampling) -> tuple[Bounds, Bounds]:
    """Intervals of the mean Dice and of the mean IoU of the classes over all pixels together.

    A resample in which one of the classes is nowhere is left out: a mean over fewer classes is another score.
    """
    table = np.stack([image.confusion for image in images])
    held = ~np.isnan(dice(table.sum(axis=0)))
    mean_dice = resampling.of_sum(table, lambda counts: float(dice(counts)[held].mean()))
    return mean_dice, resampling.of_sum(table, lambda counts: float(iou(counts)[held].mean()))


def class_scores(
    images: Sequence[Image],
    class_names: Sequence[str],
    measures: Sequence[Measure],
    resampling: Resampling,
    probabilities: ProbabilityCounts | None,
) -> tuple[ClassScore, ...]:
    """The scores of each class over all images. measures: summed up."""
    pooled = np.sum([image.confusion for image in images], axis=0)
    scores = {name: [known(value) for value in score(pooled)] for name, score in _PER_CLASS.items()}
    by_name = {measure.name: measure for measure in measures}
    ranking = _ranking(probabilities, len(class_names))
    found = []
    for index, name in enumerate(class_names):
        of_images = by_name[f"dice/{name}"]
        assert of_images.mean_absent_as_perfect is not None
        found.append(
            ClassScore(
                name=name,
                **{score: values[index] for score, values in scores.items()},
                dice_interval=_dice_interval(images, index, resampling),
                image_dice=of_images.mean,
                image_dice_interval=of_images.interval,
                image_dice_absent_as_one=of_images.mean_absent_as_perfect,
                images_present=of_images.images,
                images_absent=of_images.absent,
                images_missed=of_images.missed,
                images_false_alarm=of_images.spurious,
                **ranking[index],
            )
        )
    return tuple(found)


def _dice_interval(images: Sequence[Image], index: int, resampling: Resampling) -> Bounds:
    """Of a class's Dice over all pixels together."""
    if len(images[0].confusion) > MOST_CLASSES:
        return None
    table = np.stack([_against_rest(image.confusion, index) for image in images])
    return resampling.of_sum(table, lambda counts: float(dice(counts)[1]))


def _against_rest(confusion: NDArray[np.int64], index: int) -> NDArray[np.int64]:
    """[2, 2]: the class and all others as one; true negatives are 0, so that all is 0 without the class."""
    hits, true, predicted = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
    return np.array([[0, predicted - hits], [true - hits, hits]], np.int64)


def _ranking(counts: ProbabilityCounts | None, num_classes: int) -> list[dict[str, float | None]]:
    """What the probabilities of each class are worth for telling it from the rest."""
    if counts is None:
        return [{}] * num_classes
    best = [counts.best_f1(index) for index in range(num_classes)]
    return [
        {
            "roc_auc": known(area),
            "average_precision": known(precision),
            "best_f1": known(f1),
            "best_threshold": known(threshold),
        }
        for area, precision, (f1, threshold) in zip(
            counts.roc_auc, counts.average_precision, best, strict=True
        )
    ]
