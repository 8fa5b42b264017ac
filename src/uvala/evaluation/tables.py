"""Scores as text for a terminal of 100 columns, and as a CSV with a row per image.

What counts first for the task stands first; then every part of the evaluation has a table, and every table
says how many empty cases it stands on.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from uvala.evaluation.columns import (
    WIDTH,
    Row,
    aligned,
    class_titles,
    counts_of,
    distance,
    interval_title,
    measures_of,
    number,
    span,
)
from uvala.evaluation.scores import Scores
from uvala.evaluation.task_tables import object_tables, partition_tables
from uvala.files import write_text

__all__ = ["table", "write_csv"]

_MOST_CONFUSED = 12  # classes whose confusion matrix still fits
_MAIN = {
    "semantic": ("mean Dice", "over all pixels of these images together, mean of the classes"),
    "membranes": ("V_rand", "of the predicted cells, mean over the images that hold true ones; 1 is perfect"),
    "instances": (
        "mean AP",
        "TP / (TP + FP + FN) of all objects of these images together, mean over IoU 0.50 to 0.95",
    ),
}


def table(scores: Scores) -> str:
    """All that an evaluation found, as plain text: the score of the task first, then a table per part."""
    blocks = [
        _head(scores),
        *(partition_tables(scores, scores.partition) if scores.partition else ()),
        *(object_tables(scores, scores.objects) if scores.objects else ()),
        *_class_tables(scores),
        *_outline_table(scores),
        *_connection_table(scores),
        *_confusion_table(scores),
        *_probability_table(scores),
        *_policy(scores),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def write_csv(scores: Scores, path: str | Path) -> None:
    """Write a row per image: its name, group, pixels, and every measure; empty where a structure is absent.

    A column is called as the measure, with the class after an underscore: "dice_cell", "hd95_cell", "ap".
    """
    of_classes = [f"{score}/{name}" for score in ("dice", "iou") for name in scores.class_names]
    measured = dict.fromkeys(name for image in scores.images for name in image.measures)
    others = [name for name in measured if name not in {"accuracy", "dice", *of_classes}]
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    heads = [name.replace("/", "_", 1) for name in (*of_classes, *others)]
    rows.writerow(["name", "group", "pixels", "accuracy", "mean_dice", *heads])
    for image in scores.images:
        first = (image.name, image.group, image.pixels, image.accuracy, image.mean_dice)
        rows.writerow([*first, *image.dice, *image.iou, *(image.measures.get(name) for name in others)])
    write_text(Path(path), stream.getvalue())


def _head(scores: Scores) -> list[str]:
    """Which images, what their data ask for, and the score that counts first."""
    images = f"{len(scores.images):,} image{'s' if len(scores.images) != 1 else ''}"
    reason = f" ({scores.task_reason})" if scores.task_reason else ""
    title, words = _MAIN[scores.task]
    # evaluations of older versions know no main score
    value = scores.mean_dice if scores.main == "dice" else scores.main_value
    sure = "no interval: too few independent images"
    if scores.main_interval is not None:
        sure = f"{interval_title(scores)} {span(scores.main_interval)}"
    return [
        f"{scores.subset}: {images}, task {scores.task}{reason}",
        f"{title} {number(value)}  ({sure})",
        *wrap(words, WIDTH),
    ]


def _class_tables(scores: Scores) -> Iterator[list[str]]:
    """Pixels: of all images together, and image by image."""
    titles, interval, blank = class_titles(scores), interval_title(scores), ("",) * 4
    rows: list[Row] = [("pixels", "Dice", interval, "IoU", "precision", "recall", "specificity", "MCC")]
    for title, score in zip(titles, scores.classes, strict=True):
        others = (score.iou, score.precision, score.recall, score.specificity, score.matthews)
        rows.append((title, number(score.dice), span(score.dice_interval), *map(number, others)))
    means = number(scores.mean_dice), span(scores.mean_dice_interval), number(scores.mean_iou)
    rows.append(("mean", *means, *blank))
    if len(titles) > 2:
        rows.append(("mean without the first", number(scores.foreground_dice), "", "", *blank))
        rows.append(("all of these as one", number(scores.micro_dice), "", "", *blank))
        rows.append(("weighted by frequency", "", "", number(scores.weighted_iou), *blank))
    yield [*aligned(rows), f"pixel accuracy {number(scores.accuracy)}"]
    yield aligned(zip(*_image_columns(scores), strict=True))


def _image_columns(scores: Scores) -> Iterator[Row]:
    """Head and a cell per class, of the means over images."""
    classes = scores.classes
    yield "image by image", *class_titles(scores)
    yield "mean Dice", *(number(score.image_dice) for score in classes)
    yield interval_title(scores), *(span(score.image_dice_interval) for score in classes)
    if any(score.images_absent for score in classes):
        yield "absent as 1", *(number(score.image_dice_absent_as_one) for score in classes)
    yield "images", *(f"{score.images_present:,}" for score in classes)
    yield "absent", *(f"{score.images_absent:,}" for score in classes)
    yield "missed", *(f"{score.images_missed:,}" for score in classes)
    yield "spurious", *(f"{score.images_false_alarm:,}" for score in classes)


def _outline_table(scores: Scores) -> Iterator[list[str]]:
    """How far the outlines of the classes are apart."""
    titles = _measured(scores, "hd95")
    if titles:
        unit = scores.unit
        yield [
            f"outlines, means over images; distances in {unit}, NSD within {scores.tolerance:g} {unit}",
            *aligned(zip(*_outline_columns(scores, titles), strict=True)),
        ]


def _outline_columns(scores: Scores, titles: dict[str, str]) -> Iterator[Row]:
    by_name = measures_of(scores)
    of = {
        kind: [by_name[f"{kind}/{name}"] for name in titles]
        for kind in ("hd95", "assd", "nsd", "boundary_iou")
    }
    yield "class", *titles.values()
    yield "HD95", *(distance(each.mean) for each in of["hd95"])
    yield interval_title(scores), *(span(each.interval, 1) for each in of["hd95"])
    if any(each.absent for each in of["hd95"]):
        yield "absent as 0", *(distance(each.mean_absent_as_perfect) for each in of["hd95"])
    yield "ASSD", *(distance(each.mean) for each in of["assd"])
    yield "NSD", *(number(each.mean) for each in of["nsd"])
    yield "boundary IoU", *(number(each.mean) for each in of["boundary_iou"])
    yield from counts_of(of["hd95"])


def _connection_table(scores: Scores) -> Iterator[list[str]]:
    """Whether thin classes hang together."""
    titles, by_name = _measured(scores, "cl_dice"), measures_of(scores)
    if titles:
        lines = [by_name[f"cl_dice/{name}"] for name in titles]
        columns = [
            ("connections", *titles.values()),
            ("clDice", *(number(line.mean) for line in lines)),
            (interval_title(scores), *(span(line.interval) for line in lines)),
            ("pieces off by", *(distance(by_name[f"betti0/{name}"].mean) for name in titles)),
            ("holes off by", *(distance(by_name[f"betti1/{name}"].mean) for name in titles)),
            *counts_of(lines),
        ]
        yield aligned(zip(*columns, strict=True))


def _measured(scores: Scores, kind: str) -> dict[str, str]:
    """The classes that have a measure, with their titles."""
    by_name = measures_of(scores)
    titles = zip(scores.class_names, class_titles(scores), strict=True)
    return {name: title for name, title in titles if f"{kind}/{name}" in by_name}


def _confusion_table(scores: Scores) -> Iterator[list[str]]:
    if len(scores.classes) > _MOST_CONFUSED:
        return
    narrow = 7  # columns of "100.0" and two spaces
    titles = [title[: WIDTH - narrow * len(scores.classes)] for title in class_titles(scores)]
    room = max(narrow, (WIDTH - max(map(len, titles))) // len(titles)) - 2
    rows: list[Row] = [("", *(title[:room] for title in titles))]
    for title, row in zip(titles, scores.confusion, strict=True):
        total = sum(row)
        rows.append((title, *(f"{100 * pixels / total:.1f}" if total else "-" for pixels in row)))
    yield ["of the true pixels of each class (row), percent predicted as", *aligned(rows)]


def _probability_table(scores: Scores) -> Iterator[list[str]]:
    found = scores.probabilities
    if found is None:
        return
    divided = f"; logits divided by {found.temperature:.2f}" if found.temperature != 1 else ""
    rows: list[Row] = [("probabilities", "ROC AUC", "average precision", "best F1 (Dice)", "at threshold")]
    for title, score in zip(class_titles(scores), scores.classes, strict=True):
        values = (score.roc_auc, score.average_precision, score.best_f1)
        rows.append((title, *map(number, values), distance(score.best_threshold)))
    honest = (
        f"calibration error {number(found.calibration_error)} (largest of a bin "
        f"{number(found.largest_calibration_error)}), Brier {number(found.brier)}, log loss "
        f"{number(found.log_loss)}{divided}"
    )
    yield [*aligned(rows), *wrap(honest, WIDTH)]


def _policy(scores: Scores) -> Iterator[list[str]]:
    """How empty cases were counted, if there are any."""
    of_classes: Sequence[int] = [
        score.images_absent + score.images_missed + score.images_false_alarm for score in scores.classes
    ]
    if any(of_classes) or any(each.absent or each.missed or each.spurious for each in scores.measures):
        yield [line for part in scores.policy.splitlines() for line in wrap(part, WIDTH)]
