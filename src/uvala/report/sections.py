"""The sections about objects, cells and probabilities: their charts and their tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from uvala.evaluation.scores import (
    Bounds,
    ObjectScores,
    PartitionScores,
    ProbabilityScores,
    Scores,
)
from uvala.report.charts import (
    Bar,
    Bin,
    Chart,
    Line,
    LineKey,
    Mark,
    bar_chart,
    line_chart,
    reliability_chart,
)
from uvala.report.sentences import UNSCORED, interval, plural, quantity, score

__all__ = ["object_section", "partition_section", "probability_section"]

Points = list[tuple[float, float]]
Row = dict[str, str]


def object_section(scores: Scores) -> dict[str, Any] | None:
    """Objects against objects; None if none were compared."""
    objects = scores.objects
    if objects is None:
        return None
    charts = [_ap_chart(objects)]
    if objects.sizes:
        charts.append(_size_chart(objects))
    counts = (
        ("true", objects.true_objects),
        ("predicted", objects.predicted_objects),
        ("missed", objects.missed),
        ("spurious", objects.spurious),
        ("split", objects.split),
        ("merged", objects.merged),
    )
    return {
        "method": f"Predicted objects: {objects.method.rstrip('.')}." if objects.method else "",
        "from_components": objects.components_words,
        "absent": _absent(objects.images_absent, "instances"),
        "counts": [{"name": name, "value": f"{number:,}"} for name, number in counts],
        "rows": [*_object_rows(objects)],
        "charts": charts,
    }


def partition_section(scores: Scores) -> dict[str, Any] | None:
    """How well cells are told apart; None if that was not measured."""
    partition = scores.partition
    if partition is None:
        return None
    return {
        "absent": _absent(partition.images_absent, "membranes"),
        "threshold": f"{partition.chosen_threshold:.2f}",
        "own": _own_cells(scores),
        "rows": [*_partition_rows(partition)],
        # masks alone have no threshold
        "charts": [_partition_chart(partition, name) for name in ("v_rand", "v_info")]
        if partition.plain.thresholds
        else [],
    }


def _own_cells(scores: Scores) -> str:
    """What parts the model's own cells from those of the curves, where that is not the threshold alone."""
    method = scores.objects.method if scores.objects else ""
    if not method or method.startswith("what hangs together where"):
        return ""
    return f"The curves are of thresholds alone; the model's own cells are {method.partition(';')[0]}."


def probability_section(scores: Scores) -> dict[str, Any] | None:
    """What the probabilities are worth; None if there were none."""
    found = scores.probabilities
    if found is None:
        return None
    names = scores.class_names
    name = names[found.curve_class] if found.curve_class < len(names) else ""
    charts = [_reliability(found), _threshold_chart(found, scores, name)]
    scaled = abs(found.temperature - 1.0) > 1e-9
    return {
        "temperature": f"{found.temperature:.3g}" if scaled else "",
        "rows": [
            _row("Expected calibration error", score(found.calibration_error), None, "ECE: 0 is best"),
            _row(
                "Largest calibration error", score(found.largest_calibration_error), None, "MCE, of one bin"
            ),
            _row("Brier score", score(found.brier), None, "0 is best, 2 is worst"),
            _row("Log loss", quantity(found.log_loss), None, "NLL in nats: 0 is best"),
        ],
        "pixels": f"{found.pixels:,}",
        "charts": [chart for chart in charts if chart.svg],
    }


def _row(name: str, value: str, bounds: Bounds = None, words: str = "") -> Row:
    return {"name": name, "value": value, "interval": interval(bounds), "words": words}


def _absent(images: int, task: str) -> str:
    return f"{plural(images, 'image')} without {UNSCORED[task]}: left out of means." if images else ""


def _object_rows(objects: ObjectScores) -> Iterator[Row]:
    at = {round(threshold, 2): value for threshold, value in zip(objects.thresholds, objects.ap, strict=True)}
    yield _row("AP, mean of IoU 0.5 to 0.95", score(objects.mean_ap), objects.mean_ap_interval)
    for threshold, bounds in ((0.5, objects.ap50_interval), (0.75, objects.ap75_interval)):
        if threshold in at:
            yield _row(f"AP at IoU {threshold}", score(at[threshold]), bounds, "TP / (TP + FP + FN)")
    pq, sq, rq = objects.panoptic_quality, objects.segmentation_quality, objects.recognition_quality
    others = (
        ("AP, mean over images", objects.image_mean_ap, None, "each image counts alike"),
        ("PQ", pq, objects.panoptic_quality_interval, "panoptic quality, SQ times RQ"),
        ("SQ", sq, objects.segmentation_quality_interval, "mean IoU of the matched"),
        ("RQ", rq, objects.recognition_quality_interval, "F1 at IoU above 0.5"),
        ("AJI", objects.aggregated_jaccard, objects.aggregated_jaccard_interval, "aggregated Jaccard index"),
        ("COCO AP", objects.coco_ap, None, "IoU 0.5 to 0.95"),
        ("COCO AP50", objects.coco_ap50, None, ""),
        ("COCO AP75", objects.coco_ap75, None, ""),
    )
    for name, value, bounds, words in others:
        if value is not None:
            yield _row(name, score(value), bounds, words)


def _ap_chart(objects: ObjectScores) -> Chart:
    lines = [
        Line(_points(objects.thresholds, objects.ap), "smooth", dots=True),
        Line(_points(objects.thresholds, objects.f1), "class", dots=True),
    ]
    keys = [LineKey("smooth", "AP = TP / (TP + FP + FN)"), LineKey("class", "F1")]
    drawn = [index for index, line in enumerate(lines) if line.points]
    svg = line_chart(
        [lines[index] for index in drawn],
        label="AP over the IoU from which objects match",
        x_label="IoU from which two objects match",
        low=0.0,
        high=1.0,
        x_range=(min(objects.thresholds), max(objects.thresholds)) if objects.thresholds else None,
    )
    return Chart("How exactly objects are found", svg, [keys[index] for index in drawn])


def _size_chart(objects: ObjectScores) -> Chart:
    bars = [
        Bar(
            size.found / size.objects,
            f"to {_area(size.largest)}\nn = {size.objects:,}",
            f"{size.smallest:,} to {size.largest:,} pixels: {size.found:,} of {size.objects:,} found",
        )
        for size in objects.sizes
        if size.objects
    ]
    svg = bar_chart(bars, label="Objects found by size", x_label="area of the true object, up to ... pixels")
    return Chart("Objects found, by size", svg, [])


def _area(pixels: int) -> str:
    return f"{pixels / 1000:.3g}k" if pixels >= 10_000 else f"{pixels:,}"


def _partition_rows(partition: PartitionScores) -> Iterator[Row]:
    known = bool(partition.plain.thresholds)
    own = "objects of the model, as it stores them" if known else "the cells as they were predicted"
    if partition.v_rand is not None:
        yield _row("V_rand", score(partition.v_rand), None, own)
    if partition.v_info is not None:
        yield _row("V_info", score(partition.v_info), None, own)
    for curve in (partition.plain, partition.thinned):
        how = "borders thinned" if curve.thinned else "borders as they are"
        for name, best, bounds, at in (
            ("V_rand", curve.best_v_rand, curve.best_v_rand_interval, curve.best_v_rand_threshold),
            ("V_info", curve.best_v_info, curve.best_v_info_interval, curve.best_v_info_threshold),
        ):
            if best is not None:
                where = f", threshold {at:.2f}" if at is not None else ""
                yield _row(f"{name}, best threshold", score(best), bounds, f"{how}{where}")
    if partition.adapted_rand_error is not None:
        yield _row("Adapted Rand error", score(partition.adapted_rand_error), None, "0 is best")
    if partition.variation_of_information is not None:
        yield _row(
            "Variation of information",
            quantity(partition.variation_of_information, "bits"),
            None,
            "0 is best",
        )


def _partition_chart(partition: PartitionScores, name: str) -> Chart:
    title = {"v_rand": "V_rand", "v_info": "V_info"}[name]
    plain, thinned = partition.plain, partition.thinned
    whole = _points(plain.thresholds, getattr(plain, name))
    thin = _points(thinned.thresholds, getattr(thinned, name))
    best = max(range(len(whole)), key=lambda at: whole[at][1]) if whole else None
    lines = [
        Line(_points(plain.thresholds, getattr(plain, f"{name}_split")), "first"),
        Line(_points(plain.thresholds, getattr(plain, f"{name}_merge")), "second"),
        Line(thin, "other"),
        Line(whole, "mean", best=best),
    ]
    svg = line_chart(
        lines,
        label=f"{title} over the threshold",
        x_label="threshold of the probability of cells",
        high=1.0,
        x_range=(0.0, 1.0),
        marks=[Mark(partition.chosen_threshold, f"the model's own, {partition.chosen_threshold:.2f}")],
    )
    keys = [
        LineKey("mean", title),
        LineKey("first", "split part: low where cells are cut"),
        LineKey("second", "merge part: low where cells are joined"),
        LineKey("other", f"{title}, borders thinned"),
    ]
    return Chart(f"{title} over the threshold", svg, keys)


def _reliability(found: ProbabilityScores) -> Chart:
    total = sum(each.pixels for each in found.reliability) or 1
    bins = [
        Bin(each.confidence, each.accuracy, each.pixels / total)
        for each in found.reliability
        if each.confidence is not None and each.accuracy is not None
    ]
    svg = reliability_chart(bins, label="Reliability: how often it is right, by how sure it is")
    keys = [
        LineKey("smooth", "share that is right"),
        LineKey("diagonal", "where the two agree"),
        LineKey("amount", "how many pixels"),
    ]
    return Chart("Is it as sure as it should be?", svg, keys)


def _threshold_chart(found: ProbabilityScores, scores: Scores, name: str) -> Chart:
    curve = found.curve
    thresholds = [point.threshold for point in curve]
    f1 = _points(thresholds, [point.f1 for point in curve])
    best = max(range(len(f1)), key=lambda at: f1[at][1]) if f1 else None
    lines = [
        Line(_points(thresholds, [point.precision for point in curve]), "first"),
        Line(_points(thresholds, [point.recall for point in curve]), "second"),
        Line(f1, "mean", best=best),
    ]
    # of two classes the likelier one is chosen: a threshold of one half
    marks = [Mark(0.5, "as masks are made, 0.5")] if len(scores.classes) == 2 else []
    svg = line_chart(
        [line for line in lines if line.points],
        label=f"Precision and recall over the threshold of {name}",
        x_label=f"threshold of the probability of {name}",
        high=1.0,
        x_range=(0.0, 1.0),
        marks=marks if curve else [],
    )
    keys = [
        LineKey("mean", "F1 (Dice of all pixels)"),
        LineKey("first", "precision"),
        LineKey("second", "recall"),
    ]
    return Chart(f"Were another threshold better for {name}?", svg, keys)


def _points(x: Sequence[float], y: Sequence[float | None]) -> Points:
    """(x, y) wherever y has a value; nothing if the two do not fit together."""
    return [(place, value) for place, value in zip(x, y, strict=False) if value is not None]
