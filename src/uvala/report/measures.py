"""The measures of an evaluation as the page prints them: which one counts first, all of them, all images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uvala.evaluation.scores import Bounds, ImageScore, Measure, Scores
from uvala.report.sentences import MISSING, interval, quantity, score

__all__ = ["Main", "image_table", "image_values", "main_measure", "measure_named", "measure_rows", "title_of"]

TITLES = {
    "accuracy": "Pixel accuracy",
    "dice": "Dice",
    "foreground_dice": "Mean foreground Dice",
    "iou": "IoU",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "matthews": "MCC",
    "hd95": "HD95",
    "hd": "Hausdorff distance",
    "assd": "ASSD",
    "nsd": "NSD",
    "boundary_iou": "Boundary IoU",
    "cl_dice": "clDice",
    "betti0": "Betti-0 error",
    "betti1": "Betti-1 error",
    "ap": "Mean AP",
    "ap50": "AP 0.5",
    "ap75": "AP 0.75",
    "f1": "F1",
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "aji": "AJI",
    "v_rand": "V_rand",
    "v_rand_split": "V_rand split",
    "v_rand_merge": "V_rand merge",
    "v_rand_best": "V_rand, best threshold",
    "v_rand_best_thinned": "V_rand, thinned, best threshold",
    "v_info": "V_info",
    "v_info_split": "V_info split",
    "v_info_merge": "V_info merge",
    "v_info_best": "V_info, best threshold",
    "v_info_best_thinned": "V_info, thinned, best threshold",
    "adapted_rand_error": "Adapted Rand error",
    "variation_of_information": "Variation of information",
    "true_objects": "True",
    "predicted_objects": "Predicted",
    "missed_objects": "Missed",
    "spurious_objects": "Spurious",
    "split_objects": "Split",
    "merged_objects": "Merged",
    "ece": "ECE",
    "brier": "Brier",
    "log_loss": "Log loss",
}
MEANS = {"dice": "Mean Dice", "iou": "Mean IoU"}  # without a class they are means over the classes

# What a table of all images shows beside the main measure, as far as it was measured.
COLUMNS = {
    "semantic": ("dice", "iou", "hd95", "nsd", "accuracy"),
    "instances": (
        *("ap", "ap50", "f1", "true_objects", "predicted_objects", "missed_objects", "spurious_objects"),
        *("split_objects", "merged_objects", "dice"),
    ),
    "membranes": ("v_rand", "v_rand_split", "v_rand_merge", "v_info", "adapted_rand_error", "dice"),
}
MOST_COLUMNS = 10
MOST_CLASSES = 4  # of more classes, no column each
MOST_LISTED = 20  # of more classes, no row each for every measure: scores.json has them
COUNTS = tuple(name for name in TITLES if name.endswith("_objects"))
DISTANCES = ("hd95", "hd", "assd")


@dataclass(frozen=True)
class Main:
    """The measure that counts first for the task of the data.

    title: its name in words. value: over all images, None if there is none. sure: what its interval is
    called, such as "95% interval". images: (name, value) of each image that has one.
    """

    name: str
    title: str
    value: float | None
    interval: Bounds
    sure: str
    images: list[tuple[str, float]]


def main_measure(scores: Scores) -> Main:
    """The main measure of `scores`; the mean Dice where an older evaluation knows no other."""
    value = scores.mean_dice if scores.main_value is None and scores.main == "dice" else scores.main_value
    bounds = scores.main_interval or (scores.mean_dice_interval if scores.main == "dice" else None)
    sure = f"{scores.confidence:.0%} interval"
    return Main(scores.main, title_of(scores.main), value, bounds, sure, image_values(scores))


def image_values(scores: Scores) -> list[tuple[str, float]]:
    """(name, value of the main measure) of each image that has one."""
    found = [(image.name, _value(image, scores.main)) for image in scores.images]
    return [(name, value) for name, value in found if value is not None]


def title_of(name: str) -> str:
    """A measure's name as people write it: "hd95/cell" as "HD95 of cell", "dice" as "Mean Dice"."""
    kind, _, of_class = name.partition("/")
    title = TITLES.get(kind, kind.replace("_", " "))
    return f"{title} of {of_class}" if of_class else MEANS.get(kind, title)


def measure_rows(scores: Scores) -> list[dict[str, Any]]:
    """A row for each measure: mean over the images, interval, and how often its structure was missing.

    Of very many classes, measures of a single class are left out.
    """
    few = len(scores.classes) <= MOST_LISTED
    return [
        {
            "title": title_of(measure.name),
            "words": measure.words,
            "main": measure.name == scores.main,
            "mean": quantity(measure.mean, measure.unit),
            "interval": interval(measure.interval, measure.unit),
            "absent_as_perfect": quantity(measure.mean_absent_as_perfect, measure.unit)
            if measure.absent
            else "",
            "better": "" if measure.higher_is_better else "less is better",
            "images": f"{measure.images:,}",
            "counts": list(_counts(measure)),
        }
        for measure in scores.measures
        if few or "/" not in measure.name
    ]


def _counts(measure: Measure) -> Iterator[str]:
    for number, word in (
        (measure.absent, "absent"),
        (measure.missed, "missed"),
        (measure.spurious, "spurious"),
        (measure.undefined, "undefined"),
    ):
        if number:
            yield f"{number:,} {word}"


def image_table(scores: Scores, anchors: Mapping[str, str]) -> dict[str, Any]:
    """Every image with its main numbers, the worst first. anchors: image name -> its place in the page."""
    columns = list(_columns(scores))
    grouped = len({image.group for image in scores.images if image.group}) > 1
    ordered = sorted(scores.images, key=lambda image: _rank(_value(image, scores.main)))
    return {
        "titles": [title_of(name) for name in columns],
        "grouped": grouped,
        "rows": [
            {
                "name": image.name,
                "group": image.group,
                "anchor": anchors.get(image.name),
                "cells": [_cell(name, _value(image, name), scores.unit) for name in columns],
            }
            for image in ordered
        ],
    }


def _columns(scores: Scores) -> Iterator[str]:
    """The main measure and those of its task that any image has; per class where there are few."""
    wanted = [scores.main]
    of_interest = scores.class_names[1:] if len(scores.class_names) > 1 else scores.class_names
    for name in COLUMNS[scores.task]:
        wanted.append(name)
        if scores.task == "semantic" and len(of_interest) <= MOST_CLASSES and name in ("dice", "hd95"):
            wanted += [f"{name}/{each}" for each in of_interest]
    known = [
        name
        for name in dict.fromkeys(wanted)
        if any(_value(image, name) is not None for image in scores.images)
    ]
    yield from known[:MOST_COLUMNS]


def _value(image: ImageScore, name: str) -> float | None:
    """A measure of an image; an older evaluation has but Dice and accuracy, beside the other measures."""
    if name in image.measures:
        return image.measures[name]
    return {"dice": image.mean_dice, "accuracy": image.accuracy}.get(name)


def _rank(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


def _cell(name: str, value: float | None, unit: str) -> str:
    kind = name.partition("/")[0]
    if value is None:
        return MISSING
    if kind in COUNTS:
        return f"{value:,.0f}"
    return quantity(value, unit) if kind in DISTANCES else score(value)


def measure_named(scores: Scores, name: str) -> Measure | None:
    """The measure of that name, if it was measured."""
    return next((each for each in scores.measures if each.name == name), None)
