"""The scores as tables: by class, by image, and what is taken for what."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.evaluation.scores import ClassScore, Scores
from uvala.report import sentences
from uvala.report.charts import Dot, dot_chart
from uvala.report.pictures import Colour, class_key, css

__all__ = ["image_scores", "score_tables"]

MOST_MATRIX = (
    20  # classes; a larger confusion matrix is a wall of numbers, so the costliest pairs stand alone
)
MOST_PAIRS = 15
FAINT = 0.005  # shares of the matrix below this are printed without a colour,
STRONG = 0.6  # and above this in white, which then has more contrast than black


def score_tables(
    scores: Scores, names: Sequence[str], colours: Colour, anchors: Mapping[str, str]
) -> dict[str, Any]:
    """What the section of scores prints. anchors: image name -> the place in the page that shows it."""
    confusion = np.array(scores.confusion, dtype=np.float64)
    matrix = len(names) <= MOST_MATRIX and bool(confusion.sum())
    dots = [Dot(value, name, anchors.get(name)) for name, value in image_scores(scores)]
    return {
        "absent": _absent(scores),
        "classes": [
            _class_row(scored, css(colour)) for scored, colour in zip(scores.classes, colours, strict=True)
        ],
        "mean_dice": sentences.score(scores.mean_dice),
        "mean_share": scores.mean_dice,
        "mean_iou": sentences.score(scores.mean_iou),
        "accuracy": f"Pixel accuracy {sentences.percent(scores.accuracy)}.",
        "baseline": sentences.accuracy_baseline(confusion, names),
        "policy": scores.policy,
        "dots": dot_chart(dots, label="Mean Dice of each image", x_label="mean Dice of an image"),
        "spread": _spread(scores),
        "marked": any(dot.target for dot in dots),
        "confusion_words": sentences.confusion_words(confusion, names),
        "confusion": _matrix(confusion, names, colours) if matrix else [],
        "confused": [] if matrix else list(_confused(confusion, names, colours)),
    }


def image_scores(scores: Scores) -> list[tuple[str, float]]:
    """(name, mean Dice) of each image that has one."""
    return [(image.name, image.mean_dice) for image in scores.images if image.mean_dice is not None]


def _spread(scores: Scores) -> str:
    scored = image_scores(scores)
    without = len(scores.images) - len(scored)
    words = sentences.distribution_words(scored)
    if without:
        words = f"{words} {sentences.plural(without, 'image')} without any class to score: left out here."
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
        "iou": sentences.score(scored.iou),
        "precision": sentences.score(scored.precision),
        "recall": sentences.score(scored.recall),
        "image_dice": sentences.score(scored.image_dice),
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
