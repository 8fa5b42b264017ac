"""Soft Dice loss per class, after Milletari et al. (2016), arXiv:1606.04797."""

from torch import Tensor

from uvala.losses.comparison import TINY, Comparison
from uvala.losses.present_mean import Over, present_mean, sums_over

__all__ = ["dice_loss"]


def dice_loss(compared: Comparison, *, over: Over, background: bool = True) -> Tensor:
    """1 - mean soft Dice of the classes that the truth holds; 0 if nothing is known.

    2 sum(p t) / (sum(p) + sum(t)), p the probability and t the truth of a class: plain sums in the
    denominator, not the paper's squares, so that the loss falls for as long as p approaches t.
    over: the sums are those of the batch, or of each sample, whose losses are averaged. background: whether
    class 0 counts, where classes exclude each other.
    """
    overlap, predicted, area = sums_over(compared, over)
    dice = 2 * overlap / (predicted + area).clamp_min(TINY)
    present = area > 0
    if compared.exclusive and not background:
        present[..., 0] = False
    return present_mean(compared, 1 - dice, present)
