"""Tversky loss: Salehi et al. (2017), arXiv:1706.05721; focal: Abraham and Khan (2018), arXiv:1810.07842."""

from torch import Tensor

from uvala.losses.comparison import TINY, Comparison
from uvala.losses.present_mean import Over, present_mean, sums_over

__all__ = ["tversky_loss"]


def tversky_loss(
    compared: Comparison, *, alpha: float, beta: float, gamma: float = 1.0, over: Over
) -> Tensor:
    """Mean of (1 - T)^(1 / gamma) over the classes that the truth holds; 0 if nothing is known.

    T = TP / (TP + alpha FP + beta FN): alpha is what a false positive costs, beta what a missed pixel costs
    (0.5 and 0.5 are Dice). gamma: 1 is the plain loss; above, the focal one, which learns more from classes
    that are nearly right (4/3 in its paper, whose alpha and beta stand the other way round).
    over: the sums are those of the batch, or of each sample, whose losses are averaged.
    """
    overlap, predicted, area = sums_over(compared, over)
    false_positive, missed = predicted - overlap, area - overlap
    tversky = overlap / (overlap + alpha * false_positive + beta * missed).clamp_min(TINY)
    losses = 1 - tversky
    if gamma != 1:
        losses = losses * losses.clamp_min(TINY) ** (1 / gamma - 1)  # a root's slope is infinite at 0
    return present_mean(compared, losses, area > 0)
