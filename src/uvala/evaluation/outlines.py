"""How far the outlines of classes are apart in an image, and whether thin classes hang together."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ClassMap
from uvala.evaluation.config import EvaluationConfig
from uvala.metrics.surfaces import boundary_iou, surface_distances
from uvala.metrics.topology import betti_errors, cl_dice

__all__ = ["outline_measures", "topology_measures"]

Counted = NDArray[np.bool_] | None


def outline_measures(
    prediction: ClassMap,
    truth: ClassMap,
    classes: Iterable[int],
    class_names: Sequence[str],
    config: EvaluationConfig,
    counted: Counted,
) -> dict[str, float]:
    """Distances between the outlines of some classes, in the unit of the spacing; NaN where one is absent.

    prediction, truth: uint8 [H, W]. A class that only one of the two holds has no distance: the image's
    diagonal stands for it, the largest there can be, so that a miss is never better than a bad hit. A class
    that both hold, but one without an outline, because it borders only on pixels that do not count, is NaN:
    nobody knows where its outline is.
    """
    worst = float(np.hypot(truth.shape[0] * config.spacing[0], truth.shape[1] * config.spacing[1]))
    found: dict[str, float] = {}
    for index in classes:
        ours, theirs = prediction == index, truth == index
        distances = surface_distances(ours, theirs, spacing=config.spacing, counted=counted)
        values = {
            "hd95": distances.hausdorff(95.0),
            "hd": distances.hausdorff(),
            "assd": distances.average(),
            "nsd": distances.normalised_dice(config.tolerated),
        }
        if np.isinf(values["hd"]):
            if _held(ours, counted) and _held(theirs, counted):
                values = dict.fromkeys(values, np.nan)
            else:
                values |= dict.fromkeys(("hd95", "hd", "assd"), worst)
        values["boundary_iou"] = boundary_iou(ours, theirs, counted=counted)
        found |= {f"{name}/{class_names[index]}": value for name, value in values.items()}
    return found


def _held(mask: NDArray[np.bool_], counted: Counted) -> bool:
    return bool((mask if counted is None else mask & counted).any())


def topology_measures(
    prediction: ClassMap,
    truth: ClassMap,
    classes: Iterable[int],
    class_names: Sequence[str],
    counted: Counted,
) -> dict[str, float]:
    """Centre-line Dice and errors of the Betti numbers of some classes; all NaN where a class is absent.

    prediction, truth: uint8 [H, W]. Numbers of pieces and holes of an image without the class do agree, but
    a mean over many of these would say that it is found.
    """
    found: dict[str, float] = {}
    for index in classes:
        ours, theirs, name = prediction == index, truth == index, class_names[index]
        line = cl_dice(ours, theirs, counted=counted)
        pieces, holes = (np.nan, np.nan) if np.isnan(line) else betti_errors(ours, theirs, counted=counted)
        found |= {f"cl_dice/{name}": line, f"betti0/{name}": float(pieces), f"betti1/{name}": float(holes)}
    return found
