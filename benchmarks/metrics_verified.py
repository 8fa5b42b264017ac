"""`benchmarks/metrics.py verify`: each metric on random cases against other libraries and its definition.

A check is a generator of pairs (ours, theirs), numbers or arrays; None where an oracle has no answer. Cases
come from the tests: alike, moved, unrelated, and every way of being empty. Where a library has its own idea
of an empty case (0, 1, an exception), ours is expected to be NaN there, or the worst, and that is compared
too, unless the table counts fewer cases.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import metrics_checks_objects as objects
import metrics_checks_pixels as pixels
import metrics_checks_probabilities as probabilities
import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

warnings.filterwarnings("ignore", category=UndefinedMetricWarning)
for says in ("A single label was found", "The y_prob values do not sum", "The number of unique classes"):
    warnings.filterwarnings("ignore", says)

EXACT, SINGLE = 1e-6, 2e-6  # SINGLE: one of the two computes in float32
BINS_AUC, BINS_AP = 1e-5, 1e-3  # not exact by design: the order within a bin is lost
ZEROS = ("pixels", "segment", "excluded")

Check = Iterator[tuple[Any, Any] | None]


class Row(NamedTuple):
    """What is compared with what; `share` of the cases, where a case is slow."""

    metric: str
    oracle: str
    check: Callable[[int], Check]
    tolerance: float = EXACT
    share: float = 1.0


def verify(cases: int) -> int:
    """Print the table; 1 if a difference is too large, else 0."""
    print("| metric | oracle | cases | largest difference |")
    print("|---|---|--:|--:|")
    failed, began = [], time.perf_counter()
    for row in ROWS:
        wanted = max(1, round(cases * row.share))
        found = [pair if pair is None else difference(*pair) for pair in row.check(wanted)]
        known = [each for each in found if each is not None]
        worst = max(known)
        of = "" if len(known) == len(found) else f" of {len(found):,}"
        limit = "" if row.tolerance == EXACT else f" (limit {row.tolerance:.0e})"
        print(f"| {row.metric} | {row.oracle} | {len(known):,}{of} | {worst:.1e}{limit} |", flush=True)
        if not worst <= row.tolerance:
            failed.append(row.metric)
    print(f"\n{time.perf_counter() - began:.0f} s. Above the limit: {', '.join(failed) or 'none'}.")
    return 1 if failed else 0


def difference(ours: Any, theirs: Any) -> float:
    """The largest; NaN beside NaN and equal infinities differ by 0, NaN beside a number infinitely."""
    a, b = np.broadcast_arrays(np.asarray(ours, float), np.asarray(theirs, float))
    apart = np.abs(np.subtract(a, b, where=np.isfinite(a) & np.isfinite(b), out=np.full(a.shape, np.inf)))
    return float(np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, apart).max(initial=0.0))


ROWS = [
    Row("Dice, IoU of a mask", "sets of pixels", pixels.overlap_of_masks),
    Row("Dice, IoU, precision, recall of 4 classes", "scikit-learn", pixels.scores_of_classes),
    Row("specificity of 4 classes", "scikit-learn", pixels.specificities),
    Row("MCC of 4 classes", "scikit-learn", pixels.correlations),
    Row("accuracy; Dice macro, micro; IoU macro, weighted", "scikit-learn", pixels.sums_over_classes),
    Row("Dice, precision, recall, micro", "torchmetrics, float32", pixels.micro_of_torchmetrics),
    Row("HD, HD95, ASSD, NSD", "surface-distance", pixels.surfaces_of_the_package),
    Row("HD, HD95, ASSD, NSD", "all pairs of outline elements", pixels.surfaces_by_definition),
    Row("boundary IoU", "repeated erosion", pixels.boundary_ious),
    Row("clDice", "definition, on scikit-image's skeletons", pixels.cl_dices),
    Row("Betti numbers and errors", "scikit-image, components and Euler number", pixels.betti),
    *(Row(f"V_rand, zeros = {z}", "all pairs of pixels", objects.partition("v_rand", z)) for z in ZEROS),
    *(Row(f"V_info, zeros = {z}", "definition", objects.partition("v_info", z)) for z in ZEROS),
    Row("V_info, zeros = segment", "scikit-learn, V-measure", objects.v_measures),
    Row("adapted Rand error, VI", "all pairs of pixels, definition", objects.errors_of_partitions),
    Row("adapted Rand error", "scikit-image, its parts exchanged", objects.adapted_rand_of_scikit_image),
    Row("object AP at 10 thresholds, AJI", "all pairs of objects", objects.ap_and_aji),
    Row("PQ, SQ, RQ", "all pairs of objects", objects.panoptic),
    Row("PQ, SQ, RQ", "torchmetrics, float32", objects.panoptic_of_torchmetrics),
    Row("COCO AP, AP50, AP75 of four images", "faster-coco-eval", objects.coco, share=0.25),
    Row("ROC AUC, average precision, best F1", "scikit-learn", probabilities.rankings_of_scikit_learn),
    Row("ROC AUC from histograms", "by sorting", probabilities.areas_from_bins, BINS_AUC, share=0.05),
    Row("AP, best F1 from histograms", "by sorting", probabilities.precision_from_bins, BINS_AP, share=0.05),
    Row("ROC AUC", "all pairs of pixels", probabilities.areas_by_pairs),
    Row("ECE, MCE, Brier, NLL", "definitions", probabilities.calibration),
    Row("ECE, MCE", "torchmetrics, float32", probabilities.calibration_of_torchmetrics, SINGLE),
    Row("NLL, Brier of two classes", "scikit-learn", probabilities.likelihood_of_scikit_learn, SINGLE),
    Row("temperature, NLL above that at T = 1", "0", probabilities.never_less_likely),
    Row("temperature, slope of the NLL by log T", "0, unless T is a bound", probabilities.slopes, 1e-4),
    Row("bootstrap interval of the mean", "scipy, BCa", probabilities.bootstraps, share=0.1),
    Row("paired difference, p", "all sign flips", probabilities.permutations),
    Row("border weight map", "the formula at each pixel, relative, float32", objects.weight_maps, SINGLE),
    Row("border classes, pixels", "each pixel's neighbourhood", objects.border_pixels),
    Row("distance map", "all pairs of pixels", objects.depths),
    Row("objects block by block, pixels", "objects of the whole image", objects.blocks),
]
