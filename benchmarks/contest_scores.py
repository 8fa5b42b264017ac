"""The scores of a contest. What is chosen (thresholds, smallest objects) is chosen on validation images.

A prediction is a pair (probabilities float [K, H, W], objects int [H, W] or None): None where a contestant
says what is nucleus or cell and not which one, so that its objects are what hangs together, with the
threshold and the smallest object and hole that do best on the validation images.
"""

from collections.abc import Callable, Sequence

import numpy as np
from contest_data import Case

from uvala.evaluation.cells import THRESHOLDS
from uvala.instances import Maps, ObjectConfig, find_objects, tune
from uvala.metrics import (
    confusion_matrix,
    dice,
    iou,
    object_counts,
    overlaps,
    partition_curve,
    pooled,
    v_rand,
    v_rand_and_info,
)

__all__ = ["COLUMNS", "scores"]

DICE_THRESHOLDS = np.arange(0.05, 0.96, 0.05)
TUNING_SECONDS = 120.0  # more than the search needs

COLUMNS = {
    "membranes": (
        "dice_membrane",
        "v_rand",
        "v_info",
        "v_rand_thinned",
        "v_info_thinned",
        "v_rand_cells",
        "v_info_cells",
    ),
    "nuclei": ("dice_nuclei", "ap50", "ap75", "mean_ap"),
    "street": ("miou",),
}


def scores(task: str, validation: Sequence[Case], test: Sequence[Case], predict: Callable) -> dict:
    """The scores on `test` by name, which may be `validation` itself. predict: a case -> its prediction."""
    scored = [(case, predict(case)) for case in test]
    if task == "street":
        return street(scored)
    judged = scored if validation is test else [(case, predict(case)) for case in validation]
    return {"membranes": membranes, "nuclei": nuclei}[task](judged, scored)


def membranes(judged, scored) -> dict:
    membrane = [(prediction[0][0], case.truth == 0) for case, prediction in scored]
    threshold = dice_threshold([(prediction[0][0], case.truth == 0) for case, prediction in judged])
    found = {
        "dice_membrane": mean_dice(membrane, threshold),
        "dice_membrane_at_half": mean_dice(membrane, 0.5),
    }
    for thinned in (False, True):
        on_validation, on_test = (mean_curves(side, thinned) for side in (judged, scored))
        for name, curve in on_validation.items():
            best = int(curve.argmax())
            key = f"{name}{'_thinned' if thinned else ''}"
            found[key] = float(on_test[name][best])
            found[f"{key}_threshold"] = THRESHOLDS[best]
    cells, settings = objects(judged, scored, mean_v_rand)
    pairs = [v_rand_and_info(*pair) for pair in zip(cells, (case.objects for case, _ in scored), strict=True)]
    means = dict(zip(("v_rand_cells", "v_info_cells"), np.mean(pairs, axis=0).tolist(), strict=True))
    return found | means | settings


def mean_curves(side, thinned: bool) -> dict[str, np.ndarray]:
    """V_rand and V_info of each of THRESHOLDS, means over the images."""
    curves = [
        partition_curve(np.clip(probabilities[1], 0, 1), case.objects, thresholds=THRESHOLDS, thinned=thinned)
        for case, (probabilities, _) in side
    ]
    return {
        name: np.mean([[float(each) for each in getattr(curve, name)] for curve in curves], axis=0)
        for name in ("v_rand", "v_info")
    }


def nuclei(judged, scored) -> dict:
    threshold = dice_threshold([(prediction[0][1], case.truth == 1) for case, prediction in judged])
    found = {
        "dice_nuclei": mean_dice(
            [(prediction[0][1], case.truth == 1) for case, prediction in scored], threshold
        )
    }
    nuclei, settings = objects(judged, scored, mean_ap)
    counts = counted(nuclei, [case.objects for case, _ in scored])
    aps = {"ap50": float(counts.ap[0]), "ap75": float(counts.ap[5]), "mean_ap": counts.mean_ap}
    return found | aps | settings


def objects(judged, scored, score: Callable) -> tuple[list, dict]:
    """The objects of each scored image: the contestant's own, or what hangs together, with its settings."""
    own = [prediction[1] for _, prediction in scored]
    if own[0] is not None:
        return own, {}
    cases = [(Maps(prediction[0][1]), case.objects) for case, prediction in judged]
    base = ObjectConfig(method="components")
    config = tune(cases, score, base, seconds=TUNING_SECONDS, methods=("components",)).config
    found = [find_objects(prediction[0][1], config) for _, prediction in scored]
    return found, {"threshold": config.threshold, "min_size": config.min_size, "max_hole": config.max_hole}


def counted(found, truths):
    return pooled([object_counts(overlaps(*pair)) for pair in zip(found, truths, strict=True)])


def mean_ap(found, truths) -> float:
    return counted(found, truths).mean_ap


def mean_v_rand(found, truths) -> float:
    return float(np.mean([v_rand(*pair) for pair in zip(found, truths, strict=True)]))


def street(scored) -> dict:
    classes = scored[0][1][0].shape[0]
    counts = sum(
        confusion_matrix(prediction[0].argmax(axis=0).astype(np.uint8), case.truth, classes)
        for case, prediction in scored
    )
    each = iou(counts)
    return {"miou": float(np.nanmean(each)), "iou": [round(float(value), 4) for value in each]}


def dice_threshold(pairs) -> float:
    return float(max(DICE_THRESHOLDS, key=lambda threshold: mean_dice(pairs, threshold)))


def mean_dice(pairs, threshold: float) -> float:
    """Mean over the images of the Dice of what is above the threshold."""
    return float(np.nanmean([binary_dice(probability > threshold, truth) for probability, truth in pairs]))


def binary_dice(found, truth) -> float:
    return float(dice(confusion_matrix(found.astype(np.uint8), truth.astype(np.uint8), 2))[1])
