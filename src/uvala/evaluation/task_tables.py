"""Tables of what a task asks for beyond pixels: cells between membranes, and objects."""

from collections.abc import Iterator, Mapping
from textwrap import wrap

from uvala.evaluation.columns import WIDTH, Row, aligned, interval_title, measures_of, number, span
from uvala.evaluation.scores import Measure, ObjectScores, PartitionCurve, PartitionScores, Scores, SizeRecall

__all__ = ["object_tables", "partition_tables"]

_PARTS = [f"{score}{part}" for score in ("v_rand", "v_info") for part in ("", "_split", "_merge")]


def partition_tables(scores: Scores, partition: PartitionScores) -> Iterator[list[str]]:
    """V_rand and V_info of the cells as they were predicted, of plain thresholding, then over thresholds."""
    by_name = measures_of(scores)
    first, *others = (number(by_name[name].mean) for name in _PARTS)
    sure = span(by_name["v_rand"].interval)
    error, variation = partition.adapted_rand_error, partition.variation_of_information
    rows: list[Row] = [
        ("cells", "V_rand", interval_title(scores), "split", "merge", "V_info", "split", "merge"),
        (_own_cells(scores, partition), first, sure, *others),
    ]
    curves = {"": partition.plain, "thinned": partition.thinned}
    known = {words: curve for words, curve in curves.items() if curve.thresholds}
    rows += [_best(curve, words) for words, curve in known.items()]
    yield [
        *aligned(rows),
        *(wrap(_curve_words(known), WIDTH) if known else ()),
        f"adapted Rand error {number(error)}, variation of information {number(variation)} bits",
        *wrap(_standing(by_name["v_rand"]), WIDTH),
    ]
    if partition.plain.thresholds:
        rows = [("threshold", *(f"{at:.2f}" for at in partition.plain.thresholds))]
        for words, curve in curves.items():
            ending = words and f", {words}"
            rows.append((f"V_rand{ending}", *map(number, curve.v_rand)))
            rows.append((f"V_info{ending}", *map(number, curve.v_info)))
        yield aligned(rows)


def _own_cells(scores: Scores, partition: PartitionScores) -> str:
    """Whose cells the main score is of: without probabilities, of masks that were made elsewhere."""
    if scores.probabilities is None:
        return "cells of the masks"
    method = scores.objects.method if scores.objects else ""
    if not method:
        return "own cells"
    cut = "necks cut, " if "cut at its necks" in method else ""
    return f"own cells ({cut}above {partition.chosen_threshold:.2f})"


def _curve_words(curves: Mapping[str, PartitionCurve]) -> str:
    """What thresholding is compared for, and where V_info is best, which need not be where V_rand is."""
    informed = " and ".join(
        f"{number(curve.best_v_info)} at {curve.best_v_info_threshold:.2f}{words and f', {words}'}"
        for words, curve in curves.items()
    )
    return (
        "Own cells: as the model finds them. Threshold alone: what hangs together above it, nothing cut; it "
        "is the one of the best V_rand, chosen on these very images. V_info by itself is best with "
        f"{informed}."
    )


def _standing(measure: Measure) -> str:
    """On how many images V_rand stands, and what the others hold."""
    images = measure.images + measure.absent + measure.undefined
    if not images - measure.images:
        words = f"V_rand {number(measure.mean)} on {_images(images)}"
    else:
        drawn = (
            f", in {measure.spurious:,} of them cells are predicted (spurious)" if measure.spurious else ""
        )
        words = (
            f"V_rand {number(measure.mean)} on {measure.images:,} of {_images(images)}; "
            f"the others hold no true cell{drawn}"
        )
    missed = f"; in {measure.missed:,} with true cells none is predicted (missed)" if measure.missed else ""
    return f"{words}{missed}."


def _images(count: int) -> str:
    return f"{count:,} image{'s' if count != 1 else ''}"


def _best(curve: PartitionCurve, words: str) -> Row:
    """What the threshold of the best mean V_rand would bring."""
    assert curve.best_v_rand_threshold is not None
    at = curve.thresholds.index(curve.best_v_rand_threshold)
    first, *others = (number(getattr(curve, name)[at]) for name in _PARTS)
    title = f"threshold alone, {words or 'best'}{', ' if words else ' '}at {curve.thresholds[at]:.2f}"
    return title, first, span(curve.best_v_rand_interval), *others


def object_tables(scores: Scores, objects: ObjectScores) -> Iterator[list[str]]:
    """How many objects are found and how well they fit, what went wrong, and by overlap and size."""
    yield [*aligned(_object_rows(scores, objects)), *_object_lines(scores, objects)]
    yield _found_and_lost(objects)
    if scores.task == "instances":
        yield _by_overlap(objects)
        if objects.sizes:
            yield _by_size(objects)


def _object_rows(scores: Scores, objects: ObjectScores) -> Iterator[Row]:
    """A row per measure: of all objects together, and as mean of the images."""
    by_name, interval, absent = measures_of(scores), interval_title(scores), objects.images_absent > 0
    yield "objects", "all together", interval, "mean of images", interval, *["absent as 1"] * absent
    together = (
        ("ap", "AP, IoU 0.50 to 0.95", objects.mean_ap, objects.mean_ap_interval),
        ("ap50", "AP at IoU 0.50", objects.ap[0], objects.ap50_interval),
        ("ap75", "AP at IoU 0.75", objects.ap[objects.thresholds.index(0.75)], objects.ap75_interval),
        ("f1", "F1 at IoU 0.50", objects.f1[0], objects.f1_interval),
        ("pq", "PQ, SQ x RQ", objects.panoptic_quality, objects.panoptic_quality_interval),
        ("sq", "SQ, mean IoU of pairs", objects.segmentation_quality, objects.segmentation_quality_interval),
        ("rq", "RQ", objects.recognition_quality, objects.recognition_quality_interval),
        ("aji", "AJI", objects.aggregated_jaccard, objects.aggregated_jaccard_interval),
    )
    for name, words, value, bounds in together:
        measure = by_name[name]
        other = [number(measure.mean_absent_as_perfect)] * absent
        yield words, number(value), span(bounds), number(measure.mean), span(measure.interval), *other


def _object_lines(scores: Scores, objects: ObjectScores) -> Iterator[str]:
    if objects.coco_ap is not None:
        yield (
            f"COCO's AP, objects ranked by their probability: {number(objects.coco_ap)}; at IoU 0.50 "
            f"{number(objects.coco_ap50)}, at 0.75 {number(objects.coco_ap75)}"
        )
    yield _empty_cases(measures_of(scores)["ap"], "objects")


def _found_and_lost(objects: ObjectScores) -> list[str]:
    numbers = {
        "true": objects.true_objects,
        "predicted": objects.predicted_objects,
        "matched": objects.true_positives[0],
        "missed": objects.missed,
        "spurious": objects.spurious,
        "split": objects.split,
        "merged": objects.merged,
    }
    lines = aligned([("objects", *numbers), ("at IoU 0.50", *(f"{each:,}" for each in numbers.values()))])
    if objects.from_components:
        lines.append(objects.components_words)
    if objects.method:
        lines += wrap(f"Predicted objects: {objects.method}.", WIDTH)
    return lines


def _by_overlap(objects: ObjectScores) -> list[str]:
    counts = {
        "matched (TP)": objects.true_positives,
        "too many (FP)": objects.false_positives,
        "not found (FN)": objects.false_negatives,
    }
    return aligned(
        [
            ("IoU", *(f"{at:.2f}" for at in objects.thresholds)),
            ("AP", *(_short(value) for value in objects.ap)),
            ("F1", *(_short(value) for value in objects.f1)),
            *((words, *(f"{count:,}" for count in row)) for words, row in counts.items()),
        ]
    )


def _by_size(objects: ObjectScores) -> list[str]:
    return aligned(
        [
            ("area in pixels", *map(_area, objects.sizes)),
            ("true objects", *(f"{size.objects:,}" for size in objects.sizes)),
            ("found, IoU 0.50", *(f"{size.found / size.objects:.1%}" for size in objects.sizes)),
        ]
    )


def _area(size: SizeRecall) -> str:
    ends = dict.fromkeys((size.smallest, size.largest))
    return "-".join(f"{end:,}" for end in ends)


def _empty_cases(measure: Measure, structures: str) -> str:
    """How many images a mean stands on, and how many are empty, in words."""
    undefined = f", {measure.undefined:,} undefined" if measure.undefined else ""
    return (
        f"images: {measure.images:,} with {structures}, {measure.absent:,} with none (absent){undefined}; "
        f"{measure.missed:,} only in truth (missed), {measure.spurious:,} only predicted (spurious)"
    )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
