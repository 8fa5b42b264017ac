"""How well the cells between membranes are told apart: by the model's own objects, and over thresholds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.evaluation.scores import Bounds, Measure, PartitionCurve, PartitionScores
from uvala.metrics.partition_curves import partition_curve
from uvala.metrics.partitions import adapted_rand_error, v_info, v_rand, variation_of_information

__all__ = ["THRESHOLDS", "Curves", "Interval", "cell_measures", "partition_scores"]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""As the ISBI 2012 challenge, but for 0 and 1, where everything or nothing is cell, and one more near 1."""

Interval = Callable[[NDArray[np.float64]], Bounds]
"""From a number per image (NaN: none) to the interval of their mean."""

Counted = NDArray[np.bool_] | None
_SCORES = ("v_rand", "v_info")


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


@dataclass
class Curves:
    """V_rand and V_info of each image over the thresholds.

    images: float64 [2 scores, thresholds, 3 parts] each: the score, its split and its merge part; NaN for an
    image without true cells or without probabilities.
    """

    thinned: bool
    images: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, probability: NDArray[np.float32] | None, true_cells: LabelMap, counted: Counted) -> None:
        """Score an image's cells at each threshold. probability: of being cell, float [H, W]."""
        if probability is None:
            self.images.append(np.full((len(_SCORES), len(THRESHOLDS), 3), np.nan))
            return
        curve = partition_curve(
            probability, true_cells, thresholds=THRESHOLDS, thinned=self.thinned, counted=counted
        )
        scores = (curve.v_rand, curve.v_info)
        self.images.append(np.array([[(s, s.split, s.merge) for s in each] for each in scores], np.float64))

    @property
    def best(self) -> dict[str, NDArray[np.float64]]:
        """Each image's scores at the threshold whose mean over the images is best, by the measures' names."""
        ending = "_best_thinned" if self.thinned else "_best"
        return {
            f"{score}{ending}": np.array([image[row, self._at(row), 0] for image in self.images])
            for row, score in enumerate(_SCORES)
            if self._known
        }

    def summed_up(self, interval: Interval) -> PartitionCurve:
        """Means over the images; without any threshold if no image has probabilities and cells."""
        names = [f"{score}{part}" for score in _SCORES for part in ("", "_split", "_merge")]
        columns = np.moveaxis(self._mean, 1, 2).reshape(len(names), -1).tolist() if self._known else [()] * 6
        found: dict[str, float | Bounds] = {}
        for row, (score, values) in enumerate(zip(_SCORES, self.best.values(), strict=False)):
            found[f"best_{score}"] = float(self._mean[row, self._at(row), 0])
            found[f"best_{score}_threshold"] = THRESHOLDS[self._at(row)]
            found[f"best_{score}_interval"] = interval(values)
        return PartitionCurve.model_validate(
            {"thinned": self.thinned, "thresholds": THRESHOLDS if self._known else ()}
            | {"best_v_rand": None, "best_v_info": None}
            | dict(zip(names, columns, strict=True))
            | found
        )

    @property
    def _known(self) -> bool:
        return bool(self.images) and not all(np.isnan(image).all() for image in self.images)

    @property
    def _mean(self) -> NDArray[np.float64]:
        return np.nanmean(self.images, axis=0)

    def _at(self, row: int) -> int:
        return int(self._mean[row, :, 0].argmax())


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
        images_absent=by_name["v_rand"].absent,
    )
