"""The mean of a loss over pixels: which of them count, and how much."""

from dataclasses import dataclass

from torch import Tensor

from uvala.errors import ShapeError
from uvala.losses.comparison import Comparison
from uvala.losses.hard_pixels import hardest

__all__ = ["EVEN", "Weighing", "pixel_mean"]


@dataclass(frozen=True)
class Weighing:
    """How much a pixel counts in a mean over pixels; they all count alike by default."""

    classes: Tensor | None = None
    """float [K]: a pixel counts as much as its class; of one logit, two: background, foreground"""
    pixels: Tensor | None = None
    """float [B, H, W], 0 or more: the weight map of Ronneberger et al. (2015), arXiv:1505.04597, eq. 2"""
    hard_share: float = 1.0
    """share of each image's known pixels, those with the largest loss, that count at all"""
    hard_least: int = 1
    """how many of an image's pixels count in any case"""


EVEN = Weighing()


def pixel_mean(compared: Comparison, losses: Tensor, weighing: Weighing = EVEN) -> Tensor:
    """Weighted mean of losses [B, 1 or K, H, W] over known pixels (and classes); 0 if none is known.

    The weighted sum is divided by the sum of the weights, each over the batch of all ranks. Raises ShapeError
    for another number of class weights than there are classes.
    """
    weights = compared.known
    if weighing.pixels is not None:
        weights = weights * weighing.pixels.unsqueeze(1).to(losses.dtype)
    if weighing.classes is not None:
        weights = weights * _of_classes(compared, weighing.classes.to(losses.dtype))
    if weighing.hard_share < 1:
        cost = (losses * weights).sum(dim=1, keepdim=True)
        weights = weights * hardest(cost, compared.known, weighing.hard_share, weighing.hard_least)
    return compared.quotient((losses * weights).sum(), weights.expand_as(losses).sum())


def _of_classes(compared: Comparison, weights: Tensor) -> Tensor:
    """What each pixel counts for its class, [B, 1, H, W]; what each class counts, [K, 1, 1], without one."""
    logits = compared.logits.shape[1]
    background_too = logits == 1 and len(weights) == 2
    if len(weights) != logits and not background_too:
        raise ShapeError(
            found=f"{_number(len(weights), 'class weight')} for {_number(logits, 'logit')}",
            expected="2, background and foreground" if logits == 1 else f"{logits}, one for each class",
            fix="give each class a weight, or none",
        )
    one_class = not compared.target.is_floating_point()  # a pixel has one, also where each has a sigmoid
    if one_class or background_too:
        return weights[compared.target.long()]
    return weights[:, None, None]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
