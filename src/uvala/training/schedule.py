"""The learning rate as a function of progress, whether progress is counted in steps or in seconds."""

import math

from uvala.plan.schema import OptimiserConfig

__all__ = ["learning_rate"]


def learning_rate(progress: float, config: OptimiserConfig) -> float:
    """Learning rate at `progress` (0 to 1): linear warm-up, then half a cosine down to 0.

    The cosine: Loshchilov and Hutter (2017), arXiv:1608.03983, without restarts.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warmup:
        # never 0: the first step would be lost
        return config.learning_rate * max(progress / config.warmup, 0.01)
    rest = (progress - config.warmup) / (1 - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * rest))
