"""How well the cells between membranes are told apart: by the model's own objects, and over thresholds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.evaluation.measures import State
from uvala.evaluation.scores import Bounds, Measure, PartitionCurve, PartitionScores
from uvala.metrics.partition_curves import PartitionCurve as ImageCurve
from uvala.metrics.partition_curves import best_threshold, partition_curve
from uvala.metrics.partitions import adapted_rand_error, v_info, v_rand, variation_of_information

__all__ = ["THRESHOLDS", "Curves", "Interval", "cell_measures", "cell_state", "partition_scores"]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""As the ISBI 2012 challenge, but for 0 and 1, where everything or nothing is cell, and one more near 1."""

Interval = Callable[[NDArray[np.float64]], Bounds]
"""From a number per image (NaN: none) to the interval of their mean."""

Counted = NDArray[np.bool_] | None
_SCORES: tuple[Literal["v_rand", "v_info"], ...] = ("v_rand", "v_info")


def cell_measures(objects: LabelMap, true_cells: LabelMap, counted: Counted) -> dict[str, float]:
    """The partition measures of an image's cells, by name; all NaN where truth has no cell.

    objects, true_cells: integers [H, W], 0 between cells.
    """
    found: dict[str, float] = {}
    for name, score in zip(_SCORES, (v_rand, v_info), strict=True):
        value = score(objects, true_cells, counted=counted)
        found |= {name: float(value), f"{name}_split": value.split, f"{name}_merge": value.merge}
    found["adapted_rand_error"] = float(adapted_rand_error(objects, true_cells, counted=counted))
    found["variation_of_information"] = float(variation_of_information(objects, true_cells, counted=counted))
    return found


def cell_state(value: float, objects: State) -> State:
    """Where an image's cells are. value: its V_rand, NaN without a true cell. objects: where they are."""
    drawn = objects in ("present", "spurious")
    if np.isnan(value):
        return "spurious" if drawn else "absent"
    return "present" if drawn else "missed"


@dataclass
class Curves:
    """V_rand and V_info of each image over the thresholds; None of an image without probabilities."""

    thinned: bool
    images: list[ImageCurve | None] = field(default_factory=list)

    def add(self, probability: NDArray[np.float32] | None, true_cells: LabelMap, counted: Counted) -> None:
        """Score an image's cells at each threshold. probability: of being cell, float [H, W]."""
        self.images.append(
            None
            if probability is None
            else partition_curve(
                probability, true_cells, thresholds=THRESHOLDS, thinned=self.thinned, counted=counted
            )
        )

    @property
    def best(self) -> dict[str, NDArray[np.float64]]:
        """Each image's scores at the threshold whose mean over the images is best, by the measures' names.

        NaN of an image without true cells or without probabilities; {} if no image has both.
        """
        ending = "_best_thinned" if self.thinned else "_best"
        return {
            f"{name}{ending}": np.array(
                [np.nan if curve is None else getattr(curve, name)[place] for curve in self.images],
                np.float64,
            )
            for name in _SCORES
            if self._scored
            for place in [THRESHOLDS.index(best_threshold(self._scored, name).threshold)]
        }

    def summed_up(self, interval: Interval) -> PartitionCurve:
        """Means over the images; without any threshold if no image has probabilities and cells."""
        scored = self._scored
        found: dict[str, bool | float | Sequence[float] | Bounds] = {"thinned": self.thinned}
        found["thresholds"] = THRESHOLDS if scored else ()
        for name in _SCORES:
            parts = np.array([[(s, s.split, s.merge) for s in getattr(curve, name)] for curve in scored])
            means = parts.mean(axis=0).T.tolist() if scored else [()] * 3
            found |= {f"{name}{part}": row for part, row in zip(("", "_split", "_merge"), means, strict=True)}
            found[f"best_{name}"] = None
        for score, values in zip(_SCORES, self.best.values(), strict=False):
            best = best_threshold(scored, score)
            found |= {f"best_{score}": float(best.score), f"best_{score}_threshold": best.threshold}
            found[f"best_{score}_interval"] = interval(values)
        return PartitionCurve.model_validate(found)

    @property
    def _scored(self) -> list[ImageCurve]:
        return [curve for curve in self.images if curve is not None and not np.isnan(curve.v_rand[0])]


def partition_scores(
    plain: Curves, thinned: Curves, measures: Sequence[Measure], threshold: float, interval: Interval
) -> PartitionScores:
    """The partition scores of all images. measures: summed up. threshold: of the model's own cells."""
    by_name = {measure.name: measure for measure in measures}
    return PartitionScores(
        plain=plain.summed_up(interval),
        thinned=thinned.summed_up(interval),
        chosen_threshold=threshold,
        v_rand=by_name["v_rand"].mean,
        v_info=by_name["v_info"].mean,
        adapted_rand_error=by_name["adapted_rand_error"].mean,
        variation_of_information=by_name["variation_of_information"].mean,
        images_absent=by_name["v_rand"].absent + by_name["v_rand"].undefined,
    )
