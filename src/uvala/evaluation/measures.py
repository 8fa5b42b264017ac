"""The measures of an image by name, and how those of many images are summed up.

A name is what is measured and, after a slash, of which class: "ap", "dice/cell". A measure that means
something for the whole image only has no slash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uvala.evaluation.resampling import Resampling
from uvala.evaluation.scores import Measure

__all__ = ["KINDS", "MOST_CLASSES", "Image", "Kind", "State", "Whole", "kind_of", "known", "summed_up"]

MOST_CLASSES = 40
"""With more classes than this, a class has no intervals: one takes 10 ms, and nobody reads them all."""

State = Literal["present", "absent", "missed", "spurious"]
"""Where a structure is: in truth and prediction, in neither, only in truth, only in the prediction."""

Whole = Literal["objects", "cells", "pixels"]
"""What else than a class can be absent from an image; pixels are if none of them counts."""


@dataclass(frozen=True)
class Kind:
    """What a measure is. of: what can be absent, missed or spurious; counts are kept, not averaged."""

    words: str
    of: Literal["class"] | Whole = "class"
    higher_is_better: bool = True
    distance: bool = False
    perfect: float = 1.0
    is_count: bool = False


def _error(words: str, of: Literal["class"] | Whole = "class") -> Kind:
    return Kind(words, of, higher_is_better=False, perfect=0.0)


def _distance(words: str) -> Kind:
    return Kind(words, higher_is_better=False, distance=True, perfect=0.0)


def _count(words: str) -> Kind:
    return Kind(words, "objects", is_count=True)


KINDS: Mapping[str, Kind] = {
    "accuracy": Kind("share of the pixels whose class is right", "pixels"),
    "dice": Kind("Dice, 2 TP / (2 TP + FP + FN); without a class: mean over those present"),
    "iou": Kind("IoU, TP / (TP + FP + FN); without a class: mean over those present"),
    "precision": Kind("TP / (TP + FP)"),
    "recall": Kind("TP / (TP + FN)"),
    "specificity": Kind("TN / (TN + FP)"),
    "matthews": Kind("Matthews correlation of the class against the rest"),
    "hd95": _distance("95th percentile of the distance between outlines"),
    "hd": _distance("largest distance between outlines (Hausdorff)"),
    "assd": _distance("average symmetric distance between outlines"),
    "nsd": Kind("share of the outlines within the tolerance (normalised surface Dice)"),
    "boundary_iou": Kind("IoU of the bands along the outlines, 2% of the diagonal wide"),
    "cl_dice": Kind("centre-line Dice"),
    "betti0": _error("error in the number of connected pieces"),
    "betti1": _error("error in the number of holes"),
    "ap": Kind("AP = TP / (TP + FP + FN) of objects, mean over IoU 0.50 to 0.95", "objects"),
    "ap50": Kind("AP of objects at IoU 0.50", "objects"),
    "ap75": Kind("AP of objects at IoU 0.75", "objects"),
    "f1": Kind("F1 of objects at IoU 0.50", "objects"),
    "pq": Kind("panoptic quality, SQ x RQ", "objects"),
    "sq": Kind("mean IoU of the matched objects", "objects"),
    "rq": Kind("F1 of objects at IoU above 0.50", "objects"),
    "aji": Kind("aggregated Jaccard index", "objects"),
    "true_objects": _count("objects in the truth"),
    "predicted_objects": _count("objects in the prediction"),
    "missed_objects": _count("true objects that nothing matches"),
    "spurious_objects": _count("predicted objects that match nothing"),
    "split_objects": _count("true objects cut into several"),
    "merged_objects": _count("predicted objects that join several"),
    "v_rand": Kind("Rand F-score of the cells, foreground-restricted", "cells"),
    "v_rand_split": Kind("its split part: low where cells are cut", "cells"),
    "v_rand_merge": Kind("its merge part: low where cells are joined", "cells"),
    "v_info": Kind("information F-score of the cells, foreground-restricted", "cells"),
    "v_info_split": Kind("its split part", "cells"),
    "v_info_merge": Kind("its merge part", "cells"),
    "v_rand_best": Kind("V_rand at the best threshold of all images", "cells"),
    "v_info_best": Kind("V_info at the best threshold of all images", "cells"),
    "v_rand_best_thinned": Kind("V_rand at the best threshold, borders thinned", "cells"),
    "v_info_best_thinned": Kind("V_info at the best threshold, borders thinned", "cells"),
    "adapted_rand_error": _error("adapted Rand error", "cells"),
    "variation_of_information": _error("variation of information, bits", "cells"),
    "ece": _error("expected calibration error", "pixels"),
    "brier": _error("Brier score, summed over the classes", "pixels"),
    "log_loss": _error("negative log-likelihood of the true class, nats", "pixels"),
}


@dataclass(frozen=True, eq=False)
class Image:
    """What is kept of an image: its numbers.

    measures: by name, NaN where the structure is absent or the score undefined. classes: where each class is,
    by its name. wholes: where objects, cells and counted pixels are. confusion: int64 [K, K].
    """

    name: str
    group: str
    content: str
    confusion: NDArray[np.int64]
    measures: dict[str, float]
    classes: dict[str, State]
    wholes: dict[Whole, State]


def kind_of(name: str) -> Kind:
    """What the measure of that name is."""
    return KINDS[name.partition("/")[0]]


def known(value: float) -> float | None:
    """A float, None for NaN: JSON has no NaN, and nobody averages None by accident."""
    return None if np.isnan(value) else float(value)


def summed_up(images: Sequence[Image], resampling: Resampling, unit: str) -> tuple[Measure, ...]:
    """Each measure of the images but the counts, with its mean, its interval and its empty cases.

    unit: of distances.
    """
    names = dict.fromkeys(name for image in images for name in image.measures)
    return tuple(_measure(name, images, resampling, unit) for name in names if not kind_of(name).is_count)


def _measure(name: str, images: Sequence[Image], resampling: Resampling, unit: str) -> Measure:
    kind, of_class = kind_of(name), "/" in name
    values = np.array([image.measures.get(name, np.nan) for image in images])
    without, states = np.isnan(values), np.array([_state(image, name) for image in images])
    present, absent = values[~without], int((without & (states == "absent")).sum())
    either = np.append(present, [kind.perfect] * absent)
    of_many = of_class and len(images[0].confusion) > MOST_CLASSES
    return Measure(
        name=name,
        words=kind.words,
        mean=float(present.mean()) if present.size else None,
        interval=None if of_many else resampling.of_mean(values),
        mean_absent_as_perfect=float(either.mean()) if either.size else None,
        higher_is_better=kind.higher_is_better,
        unit=unit if kind.distance else "",
        images=present.size,
        absent=absent,
        missed=int((~without & (states == "missed")).sum()),
        # the formulas of cells give no value without a true cell: those drawn there are counted all the same
        spurious=int(((~without | (kind.of == "cells")) & (states == "spurious")).sum()),
        undefined=values.size - present.size - absent,
    )


def _state(image: Image, name: str) -> State:
    """Where the structure is that a measure is of; of a mean over the classes, the counted pixels."""
    of, _, class_name = name.partition("/")
    if class_name:
        return image.classes[class_name]
    whole = KINDS[of].of
    return image.wholes["pixels" if whole == "class" else whole]
