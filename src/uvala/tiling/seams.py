"""What blending costs: how far blended tiles are from the numbers of the whole image."""

from dataclasses import dataclass

from torch import Tensor, nn

from uvala.tiling.config import TileConfig
from uvala.tiling.logits import logits_in_tiles, predict_logits

__all__ = ["SeamError", "difference", "seam_error"]


@dataclass(frozen=True)
class SeamError:
    """largest: difference of a logit, in standard deviations of the whole image's logits. mean: of all.
    changed: part of the pixels that change their class, 0 to 1.
    """

    largest: float
    mean: float
    changed: float


def seam_error(model: nn.Module, image: Tensor, tiles: TileConfig) -> SeamError:
    """How far the logits of blended tiles are from those of the image in one piece.

    image: [C, H, W], as `predict_logits` takes it, and small enough to be predicted in one piece. tiles:
    their size, overlap and window; they are blended whatever its mode.
    """
    blended = tiles.model_copy(update={"mode": "blended", "whole_below": 0})
    return difference(logits_in_tiles(model, image, blended), predict_logits(model, image))


def difference(found: Tensor, expected: Tensor) -> SeamError:
    """Of logits [K, H, W] from those that they should be."""
    apart = (found - expected).abs() / expected.std()
    changed = (found.argmax(dim=0) != expected.argmax(dim=0)).double().mean()
    return SeamError(float(apart.max()), float(apart.mean()), float(changed))
