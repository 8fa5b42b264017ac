"""How sure a number is: its interval over images, or over groups of images that are alike."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.evaluation.config import EvaluationConfig
from uvala.evaluation.scores import Bounds
from uvala.metrics.intervals import FEW_GROUPS, Interval, bootstrap_interval, bootstrap_pooled

__all__ = ["Resampling"]


class Resampling:
    """Bootstrap intervals of numbers of these images; None for fewer groups than have an honest one."""

    def __init__(self, groups: Sequence[str], config: EvaluationConfig) -> None:
        self.groups = groups
        self.config = config

    def of_mean(self, values: NDArray[np.float64]) -> Bounds:
        """Interval of the mean of a number per image, float [N]; NaN counts nowhere."""
        known = {group for group, value in zip(self.groups, values, strict=True) if not np.isnan(value)}
        if len(known) < FEW_GROUPS:
            return None
        config = self.config
        interval = bootstrap_interval(
            values,
            groups=self.groups,
            confidence=config.confidence,
            resamples=config.resamples,
            seed=config.seed,
        )
        return _bounds(interval)

    def of_sum(self, table: NDArray[Any], score: Callable[[NDArray[Any]], float]) -> Bounds:
        """Interval of a score of summed counts. table: numbers [N, ...]; score: of a sum [...]."""
        counting = {group for group, counts in zip(self.groups, table, strict=True) if counts.any()}
        if len(counting) < FEW_GROUPS:
            return None
        config = self.config
        interval = bootstrap_pooled(
            table,
            score,
            groups=self.groups,
            confidence=config.confidence,
            resamples=config.resamples,
            seed=config.seed,
        )
        return _bounds(interval)


def _bounds(interval: Interval) -> Bounds:
    return None if np.isnan(interval.low) or np.isnan(interval.high) else (interval.low, interval.high)
