"""The sum of losses that a plan names."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import cross_entropy
from uvala.losses.dice import dice_loss
from uvala.losses.distance import distance_loss

__all__ = ["Loss", "over_outputs", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits [B, L, H, W], target int64 [B, H, W], maps float [B, M, H, W] or None) -> scalar"""


def segmentation_loss(config: LossConfig, device: torch.device, *, objects: str = "classes") -> Loss:
    """A function of logits [B, L, H, W], target int64 [B, H, W] and maps [B, M, H, W] to a scalar.

    target: 0 to K-1 or IGNORE. objects: what is learnt besides the classes, as in `TargetConfig.objects`.
    "weights": maps[:, 0] are the weights of the pixels in the cross-entropy. "distance": maps[:, 0] is the
    distance to the outline, 0 to 1, which the last of the L = K + 1 logits predicts. Without maps, the
    classes alone are compared.
    """
    class_weights = torch.tensor(config.class_weights, device=device) if config.class_weights else None

    def loss(logits: Tensor, target: Tensor, maps: Tensor | None = None) -> Tensor:
        total = logits.new_zeros((), dtype=torch.float32)
        pixel_weights = maps[:, 0] if maps is not None and objects == "weights" else None
        if objects == "distance":
            if maps is not None:
                total = total + config.distance * distance_loss(logits[:, -1], maps[:, 0], target)
            logits = logits[:, :-1]
        if config.cross_entropy:
            weights = class_weights
            if weights is not None and len(weights) < logits.shape[1]:
                weights = torch.cat([weights, weights[-1:]])  # the border of an object weighs like the object
            total = total + config.cross_entropy * cross_entropy(
                logits,
                target,
                class_weights=weights,
                label_smoothing=config.label_smoothing,
                pixel_weights=pixel_weights,
            )
        if config.dice:
            total = total + config.dice * dice_loss(logits, target)
        return total

    return loss


def over_outputs(
    loss: Loss,
    outputs: Tensor | Sequence[Tensor],
    target: Tensor,
    weights: Sequence[float] | None,
    maps: Tensor | None = None,
) -> Tensor:
    """The weighted sum of `loss` over the outputs of deep supervision; of one tensor, its loss.

    outputs: logits [B, L, H, W], or several [B, L, h, w] of which each is compared with the target, int64
    [B, H, W] (0 to K-1 or IGNORE), and the maps, float [B, M, H, W], at its own size: with the middle pixel
    of each square of ceil(H / h) by ceil(W / w) that it stands for. A middle beyond the border counts as
    ignored. weights: one for each output of several.
    """
    if isinstance(outputs, Tensor):
        return loss(outputs, target, maps)
    assert weights is not None, "a network with several outputs says how much each counts"
    terms = [
        weight * loss(logits, _resized(target, logits), None if maps is None else _resized(maps, logits))
        for logits, weight in zip(outputs, weights, strict=True)
        if weight
    ]
    return torch.stack(terms).sum()


def _resized(target: Tensor, logits: Tensor) -> Tensor:
    """The middle pixels of the squares that the logits stand for: [..., H, W] -> [..., h, w]."""
    # not by interpolation: to the nearest takes the upper left pixel, and divides H evenly where the logits'
    # squares hang over the border
    (height, width), (rows, columns) = target.shape[-2:], logits.shape[-2:]
    down, right = -(-height // rows), -(-width // columns)
    # of a map, what lies beyond the border does not matter: the target is ignored there
    padded = F.pad(target, (0, right * columns - width, 0, down * rows - height), value=IGNORE)
    return padded[..., down // 2 :: down, right // 2 :: right]
