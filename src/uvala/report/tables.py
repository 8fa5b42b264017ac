"""The scores as tables: by class, by image, and what is taken for what."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from uvala.evaluation.scores import ClassScore, Scores
from uvala.report import sentences
from uvala.report.measures import Main, image_table, main_measure, measure_named, measure_rows
from uvala.report.pictures import Colour, class_key, css
from uvala.report.spreads import Dot, Spread, spread_chart

__all__ = ["score_tables"]

MOST_MATRIX = (
    20  # classes; a larger confusion matrix is a wall of numbers, so the costliest pairs stand alone
)
MOST_PAIRS = 15
FAINT = 0.005  # shares of the matrix below this are printed without a colour,
STRONG = 0.6  # and above this in white, which then has more contrast than black
MOST_ROWS = 8  # classes of which each has a row in the chart of images

# columns of the table of classes between IoU and the means over images
_COLUMNS = (
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("specificity", "Specificity"),
    ("matthews", "MCC"),
    ("roc_auc", "ROC AUC"),
    ("average_precision", "Average precision"),
    ("best_f1", "Best F1"),
)


def score_tables(
    scores: Scores, names: Sequence[str], colours: Colour, anchors: Mapping[str, str]
) -> dict[str, Any]:
    """What the section of scores prints. anchors: image name -> the place in the page that shows it."""
    confusion = np.array(scores.confusion, dtype=np.float64)
    matrix = len(names) <= MOST_MATRIX and bool(confusion.sum())
    main = main_measure(scores)
    rows = [_class_row(scored, css(colour)) for scored, colour in zip(scores.classes, colours, strict=True)]
    return {
        "absent": _absent(scores),
        "classes": rows,
        # a column that no class has a value for is left out
        "columns": [
            (key, title) for key, title in _COLUMNS if any(row[key] != sentences.MISSING for row in rows)
        ],
        "mean_dice": sentences.score(scores.mean_dice),
        "mean_share": scores.mean_dice,
        "mean_interval": sentences.interval(scores.mean_dice_interval),
        "mean_iou": sentences.score(scores.mean_iou),
        "means": list(_means(scores)),
        "accuracy": f"Pixel accuracy {sentences.percent(scores.accuracy)}.",
        "baseline": sentences.accuracy_baseline(confusion, names),
        "policy": re.split(r"(?<=\.)\s(?=[A-Z'])", scores.policy),
        "main": main.title,
        "dots": _image_chart(scores, main, anchors),
        "class_dots": _class_chart(scores, names, colours) if len(names) <= MOST_ROWS else "",
        "spread": _spread(scores, main),
        "pooled": _pooled(main),
        "marked": any(name in anchors for name, _ in main.images),
        "interval": main.interval is not None,
        "measures": measure_rows(scores),
        "images": image_table(scores, anchors),
        "confusion_words": sentences.confusion_words(confusion, names),
        "confusion": _matrix(confusion, names, colours) if matrix else [],
        "confused": [] if matrix else list(_confused(confusion, names, colours)),
    }


def _image_chart(scores: Scores, main: Main, anchors: Mapping[str, str]) -> Markup:
    # the interval of the dots' own mean, not of a value that is pooled over all images
    measure = measure_named(scores, main.name)
    bounds = measure.interval if measure is not None else main.interval
    dots = [Dot(value, name, anchors.get(name)) for name, value in main.images]
    label = f"{main.title} of each image"
    return spread_chart([Spread(dots, bounds)], label=label, x_label=f"{main.title} of an image")


def _pooled(main: Main) -> str:
    """That the mean of the dots is another number than the one of the heading, where it is."""
    if len(main.images) < 2:
        return ""
    if main.name == "ap":
        return (
            "The heading's AP counts all objects of all images together; the diamond is the mean of the"
            " images' own APs."
        )
    if main.name == "dice":
        return (
            "The heading's Dice counts all pixels of all images together; the diamond is the mean of the"
            " images' own."
        )
    return ""


def _class_chart(scores: Scores, names: Sequence[str], colours: Colour) -> Markup:
    """A row of images for each class: how evenly each is found."""
    rows = []
    for index, (one, name) in enumerate(zip(scores.classes, names, strict=True)):
        dots = [Dot(value, image.name) for image in scores.images if (value := image.dice[index]) is not None]
        rows.append(Spread(dots, one.image_dice_interval, name, css(colours[index])))
    return spread_chart(rows, label="Dice of each image, by class", x_label="Dice of an image")


def _means(scores: Scores) -> Iterator[tuple[str, str]]:
    """Other ways to sum the classes up, as far as they were measured."""
    for name, value in (
        ("Mean without the first class", scores.foreground_dice),
        ("Micro Dice: all but the first class as one", scores.micro_dice),
        ("IoU weighted by frequency", scores.weighted_iou),
    ):
        if value is not None:
            yield name, sentences.score(value)


def _spread(scores: Scores, main: Main) -> str:
    without = len(scores.images) - len(main.images)
    words = sentences.distribution_words(main.images)
    if without:
        lacking = f"{sentences.plural(without, 'image')} without {sentences.UNSCORED[scores.task]}"
        words = f"{words} {lacking}: left out here."
    return words.strip()


def _absent(scores: Scores) -> str:
    absent = [scored.name for scored in scores.classes if scored.dice is None]
    if not absent:
        return ""
    verb = "does" if len(absent) == 1 else "do"
    return f"{sentences.listed(absent)} {verb} not occur in these images: no score, and no part in the mean."


def _class_row(scored: ClassScore, colour: str) -> dict[str, Any]:
    counts = (
        (scored.images_absent, "without"),
        (scored.images_missed, "missed"),
        (scored.images_false_alarm, "false alarm" if scored.images_false_alarm == 1 else "false alarms"),
    )
    return {
        "name": scored.name,
        "colour": colour,
        "dice": sentences.score(scored.dice),
        "dice_share": scored.dice,
        "dice_interval": sentences.interval(scored.dice_interval),
        "iou": sentences.score(scored.iou),
        "precision": sentences.score(scored.precision),
        "recall": sentences.score(scored.recall),
        "specificity": sentences.score(scored.specificity),
        "matthews": sentences.score(scored.matthews),
        "roc_auc": sentences.score(scored.roc_auc),
        "average_precision": sentences.score(scored.average_precision),
        "best_f1": sentences.score(scored.best_f1),
        "best_threshold": "" if scored.best_threshold is None else f"from {scored.best_threshold:.2f}",
        "image_dice": sentences.score(scored.image_dice),
        "image_dice_interval": sentences.interval(scored.image_dice_interval),
        "absent_as_one": sentences.score(scored.image_dice_absent_as_one) if scored.images_absent else "",
        "images": f"{scored.images_present:,}",
        "counts": [f"{number:,} {words}" for number, words in counts if number],
    }


def _matrix(confusion: NDArray[np.float64], names: Sequence[str], colours: Colour) -> list[dict[str, Any]]:
    """The confusion matrix, each row divided by the pixels of its true class; NaN for a class without any."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.full(confusion.shape, np.nan), where=totals > 0)
    return [
        {
            "name": names[row],
            "colour": css(colours[row]),
            "cells": [_cell(share, names[column], right=row == column) for column, share in enumerate(cells)],
        }
        for row, cells in enumerate(shares.tolist())
    ]


def _cell(share: float, name: str, *, right: bool) -> dict[str, Any]:
    """One number of the matrix in percent; what is next to nothing stands back, so that the rest is seen."""
    if math.isnan(share):
        return {
            "name": name,
            "words": sentences.MISSING,
            "exact": "no such pixel",
            "heat": 0,
            "style": "nothing",
        }
    faint = share < FAINT and not right
    styles = (("hit", right), ("strong", share > STRONG), ("nothing", faint))
    return {
        "name": name,
        "words": "0" if share == 0.0 else f"{100.0 * share:.1f}",
        "exact": sentences.percent(share),
        # errors are small shares: their root tells 1% from 10% where the share itself would not
        "heat": round(share if right else math.sqrt(share), 3),
        "style": " ".join(word for word, holds in styles if holds),
    }


def _confused(
    confusion: NDArray[np.float64], names: Sequence[str], colours: Colour
) -> Iterator[dict[str, Any]]:
    for truth, taken, share, of_errors in sentences.frequent_confusions(confusion, MOST_PAIRS):
        yield {
            "truth": class_key(truth, names, colours),
            "taken": class_key(taken, names, colours),
            "share": sentences.percent(share),
            "of_errors": sentences.percent(of_errors),
        }
