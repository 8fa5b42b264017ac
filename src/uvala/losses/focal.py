"""Focal loss: Lin et al. (2017), arXiv:1708.02002."""

from torch import Tensor

from uvala.losses.comparison import TINY, Comparison
from uvala.losses.pixel_mean import EVEN, Weighing, pixel_mean

__all__ = ["focal_loss"]


def focal_loss(compared: Comparison, *, gamma: float, weighing: Weighing = EVEN) -> Tensor:
    """Mean of -(1 - p)^gamma log p over the known pixels, p the probability of the truth; 0 if none is known.

    gamma: 0 is the cross-entropy, 2 the paper's; the larger, the less is learnt from what is right already.
    weighing.classes is the paper's alpha. Two departures: a softmax where classes are exclusive, and a mean
    over pixels, not over the positive ones alone.
    """
    log_p = -compared.surprisal  # [B, 1 or K, H, W]
    # below gamma = 1 the slope of a power is infinite at 0
    wrong = (-log_p.expm1()).clamp_min(TINY)
    return pixel_mean(compared, -(wrong**gamma) * log_p, weighing)
