"""The mean of a loss over pixels: which of them count, and how much."""

from dataclasses import dataclass

from torch import Tensor

from uvala.losses.comparison import Comparison
from uvala.losses.hard_pixels import hardest

__all__ = ["EVEN", "Weighing", "pixel_mean"]


@dataclass(frozen=True)
class Weighing:
    """How much a pixel counts in a mean over pixels; they all count alike by default."""

    classes: Tensor | None = None
    """float [K]: a pixel counts as much as its class"""
    pixels: Tensor | None = None
    """float [B, H, W], 0 or more: the weight map of Ronneberger et al. (2015), arXiv:1505.04597, eq. 2"""
    hard_share: float = 1.0
    """share of each image's known pixels, those with the largest loss, that count at all"""
    hard_least: int = 1
    """how many of an image's pixels count in any case"""


EVEN = Weighing()


def pixel_mean(compared: Comparison, losses: Tensor, weighing: Weighing = EVEN) -> Tensor:
    """Weighted mean of losses [B, 1 or K, H, W] over known pixels (and classes); 0 if none is known.

    The weighted sum is divided by the sum of the weights, each over the batch of all ranks.
    """
    weights = compared.known
    if weighing.pixels is not None:
        weights = weights * weighing.pixels.unsqueeze(1).to(losses.dtype)
    if weighing.classes is not None:
        by_class = weighing.classes.to(losses.dtype)
        weights = weights * (by_class[compared.target] if compared.exclusive else by_class[:, None, None])
    if weighing.hard_share < 1:
        cost = (losses * weights).sum(dim=1, keepdim=True)
        weights = weights * hardest(cost, compared.known, weighing.hard_share, weighing.hard_least)
    return compared.quotient((losses * weights).sum(), weights.expand_as(losses).sum())
