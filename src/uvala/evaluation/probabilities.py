"""What probabilities are worth: of an image as measures, of all images together as curves and errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ClassMap
from uvala.evaluation.measures import known
from uvala.evaluation.scores import CurvePoint, ProbabilityScores, ReliabilityBin
from uvala.metrics.probabilities import ProbabilityCounts, count_probabilities

__all__ = ["ProbabilityTally"]

_POINTS = 100  # of the curve over thresholds: as many as a chart can show


@dataclass
class ProbabilityTally:
    """Counts of the probabilities of the images so far."""

    total: ProbabilityCounts | None = None

    def add(
        self, probabilities: NDArray[np.float32], truth: ClassMap, counted: NDArray[np.bool_] | None
    ) -> dict[str, float]:
        """Count an image, and return its measures; NaN if none of its pixels counts."""
        counts = count_probabilities(probabilities, truth, counted=counted)
        self.total = counts if self.total is None else self.total + counts
        return {"ece": counts.ece, "brier": counts.brier, "log_loss": counts.nll}

    def scores(self, interest: int, temperature: float) -> ProbabilityScores | None:
        """What the probabilities of all images are worth; None without any. interest: class of the curve."""
        total = self.total
        if total is None or not total.pixels:
            return None
        curve = total.threshold_curve(interest, _POINTS)
        columns = (curve.thresholds, curve.precision, curve.recall, curve.f1)
        return ProbabilityScores(
            calibration_error=known(total.ece),
            largest_calibration_error=known(total.mce),
            brier=known(total.brier),
            log_loss=known(total.nll),
            temperature=temperature,
            reliability=tuple(
                ReliabilityBin(confidence=row.confidence, accuracy=row.accuracy, pixels=row.pixels)
                for row in total.reliability
            ),
            curve_class=interest,
            curve=tuple(
                CurvePoint(threshold=float(at), precision=known(right), recall=known(found), f1=known(f1))
                for at, right, found, f1 in zip(*columns, strict=True)
            ),
            pixels=total.pixels,
        )
