"""Checks of scores of pixels, outlines and connections, for metrics_verified.py."""

from collections.abc import Iterator
from typing import Any

import metrics_definitions as definitions
import numpy as np
import skimage.measure
import sklearn.metrics
import surface_distance
import torch
import torchmetrics.functional.classification as torch_classes
from numpy.typing import NDArray

from label_pairs import label_pairs
from mask_pairs import mask_pairs
from uvala import metrics

vars(np).setdefault("Inf", np.inf)  # surface-distance was written for numpy 1

K = 4
CLASSES = range(K)
SPACINGS = [(1.0, 1.0), (0.5, 2.0), (0.7, 1.3), (3.0, 1.0)]

Check = Iterator[tuple[Any, Any] | None]


def class_maps(cases: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]]:
    """(prediction, truth, confusion) of 4 classes: objects, and every class at times nowhere."""
    for prediction, truth in label_pairs(cases, seed=1):
        p, t = (prediction % K).astype(np.uint8), (truth % K).astype(np.uint8)
        yield p, t, metrics.confusion_matrix(p, t, K)


def overlap_of_masks(cases: int) -> Check:
    for prediction, truth in mask_pairs(cases):
        confusion = metrics.confusion_matrix(prediction, truth, 2)
        found = metrics.dice(confusion)[1], metrics.iou(confusion)[1]
        yield found, definitions.dice_and_iou(prediction, truth)


def scores_of_classes(cases: int) -> Check:
    """Dice, IoU, precision, recall; scikit-learn's 0 for a class that is nowhere is NaN here."""
    for p, t, confusion in class_maps(cases):
        options = {"labels": CLASSES, "zero_division": 0, "average": None}
        flat = t.ravel(), p.ravel()
        right, found, f1, _ = sklearn.metrics.precision_recall_fscore_support(*flat, **options)
        theirs = np.array([f1, sklearn.metrics.jaccard_score(*flat, **options), right, found])
        theirs[:, nowhere(confusion)] = np.nan
        yield (
            [score(confusion) for score in (metrics.dice, metrics.iou, metrics.precision, metrics.recall)],
            theirs,
        )


def nowhere(confusion: NDArray[np.int64]) -> NDArray[np.bool_]:
    return confusion.sum(axis=0) + confusion.sum(axis=1) == 0


def specificities(cases: int) -> Check:
    """The recall of "any other class"."""
    for p, t, confusion in class_maps(cases):
        theirs = [
            sklearn.metrics.recall_score(*(m.ravel() != c for m in (t, p)), zero_division=np.nan)
            for c in CLASSES
        ]
        yield metrics.specificity(confusion), np.where(nowhere(confusion), np.nan, theirs)


def correlations(cases: int) -> Check:
    for p, t, confusion in class_maps(cases):
        theirs = [sklearn.metrics.matthews_corrcoef(*(m.ravel() == c for m in (t, p))) for c in CLASSES]
        yield metrics.matthews(confusion), np.where(nowhere(confusion), np.nan, theirs)


def sums_over_classes(cases: int) -> Check:
    """Accuracy; Dice macro, micro over classes 1 to 3; IoU macro, frequency weighted."""
    for p, t, confusion in class_maps(cases):
        flat = t.ravel(), p.ravel()
        f1, jaccard = sklearn.metrics.f1_score, sklearn.metrics.jaccard_score
        there = np.flatnonzero(~nowhere(confusion))
        yield (
            [
                metrics.pixel_accuracy(confusion),
                metrics.macro(metrics.dice(confusion)),
                metrics.micro(confusion, metrics.dice),
                metrics.macro(metrics.iou(confusion)),
                metrics.frequency_weighted(metrics.iou(confusion), confusion),
            ],
            [
                sklearn.metrics.accuracy_score(*flat),
                f1(*flat, average="macro", labels=CLASSES, zero_division=np.nan),
                f1(*flat, average="micro", labels=CLASSES[1:], zero_division=np.nan),
                jaccard(*flat, average="macro", labels=there, zero_division=0),
                jaccard(*flat, average="weighted", zero_division=0),
            ],
        )


def micro_of_torchmetrics(cases: int) -> Check:
    """Dice, precision, recall of classes 1 to 3, each a label that a pixel has or has not."""
    for p, t, confusion in class_maps(cases):
        maps = [torch.as_tensor(np.stack([m.ravel() == c for c in CLASSES[1:]], 1)).int() for m in (p, t)]
        theirs = [
            float(score(*maps, num_labels=K - 1, average="micro"))
            for score in (
                torch_classes.multilabel_f1_score,
                torch_classes.multilabel_precision,
                torch_classes.multilabel_recall,
            )
        ]
        ours = [
            metrics.micro(confusion, score) for score in (metrics.dice, metrics.precision, metrics.recall)
        ]
        yield ours, theirs if p.any() or t.any() else [np.nan] * 3


# outlines and connections


def surfaces_of_the_package(cases: int) -> Check:
    """HD, HD95, ASSD, NSD; it has no mean and no infinity for an empty mask."""
    for number, (prediction, truth) in enumerate(mask_pairs(cases)):
        if not (prediction.any() and truth.any()):
            yield None
            continue
        theirs = surface_distance.compute_surface_distances(truth, prediction, SPACINGS[number % 4])
        weights = [theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()]
        yield (
            our_surfaces(prediction, truth, number, 1.1),
            [
                surface_distance.compute_robust_hausdorff(theirs, 100),
                surface_distance.compute_robust_hausdorff(theirs, 95),
                np.average(surface_distance.compute_average_surface_distance(theirs), weights=weights),
                surface_distance.compute_surface_dice_at_tolerance(theirs, 1.1),
            ],
        )


def surfaces_by_definition(cases: int) -> Check:
    for number, (prediction, truth) in enumerate(mask_pairs(cases, seed=1)):
        theirs = definitions.surface_scores(prediction, truth, SPACINGS[number % 4], 1.1)
        yield our_surfaces(prediction, truth, number, 1.1), theirs


def our_surfaces(prediction: Any, truth: Any, number: int, tolerance: float) -> list[float]:
    ours = metrics.surface_distances(prediction, truth, spacing=SPACINGS[number % 4])
    return [ours.hausdorff(), ours.hausdorff(95), ours.average(), ours.normalised_dice(tolerance)]


def boundary_ious(cases: int) -> Check:
    for number, pair in enumerate(mask_pairs(cases, seed=2)):
        width = 1 + number % 4
        yield metrics.boundary_iou(*pair, width=width), definitions.boundary_iou(*pair, width)


def cl_dices(cases: int) -> Check:
    for pair in mask_pairs(cases, seed=3):
        yield metrics.cl_dice(*pair), definitions.cl_dice(*pair)


def betti(cases: int) -> Check:
    """Components, and components less holes; errors are differences of both."""
    for pair in mask_pairs(cases, seed=4):
        counts = [
            (skimage.measure.label(m, connectivity=2).max(initial=0), skimage.measure.euler_number(m, 2))
            for m in pair
        ]
        theirs = np.array([(pieces, pieces - euler) for pieces, euler in counts])
        ours = [*map(metrics.betti_numbers, pair), metrics.betti_errors(*pair)]
        yield ours, [*theirs, np.abs(theirs[0] - theirs[1])]
