"""The sum of losses that a plan names."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import cross_entropy
from uvala.losses.dice import dice_loss

__all__ = ["over_outputs", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]


def segmentation_loss(config: LossConfig, device: torch.device) -> Loss:
    """A function of logits [B, K, H, W] and target int64 [B, H, W] (0 to K-1 or IGNORE) to a scalar."""
    class_weights = torch.tensor(config.class_weights, device=device) if config.class_weights else None

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        total = logits.new_zeros((), dtype=torch.float32)
        if config.cross_entropy:
            total = total + config.cross_entropy * cross_entropy(
                logits, target, class_weights=class_weights, label_smoothing=config.label_smoothing
            )
        if config.dice:
            total = total + config.dice * dice_loss(logits, target)
        return total

    return loss


def over_outputs(
    loss: Loss, outputs: Tensor | Sequence[Tensor], target: Tensor, weights: Sequence[float] | None
) -> Tensor:
    """The weighted sum of `loss` over the outputs of deep supervision; of one tensor, its loss.

    outputs: logits [B, K, H, W], or several [B, K, h, w] of which each is compared with the target, int64
    [B, H, W] (0 to K-1 or IGNORE), at its own size: with the middle pixel of each square of ceil(H / h) by
    ceil(W / w) that it stands for. A middle beyond the border counts as ignored. weights: one for each output
    of several.
    """
    if isinstance(outputs, Tensor):
        return loss(outputs, target)
    assert weights is not None, "a network with several outputs says how much each counts"
    terms = [
        weight * loss(logits, _resized(target, logits))
        for logits, weight in zip(outputs, weights, strict=True)
        if weight
    ]
    return torch.stack(terms).sum()


def _resized(target: Tensor, logits: Tensor) -> Tensor:
    """The middle pixels of the squares that the logits stand for: int64 [B, H, W] -> [B, h, w]."""
    # not by interpolation: to the nearest takes the upper left pixel, and divides H evenly where the logits'
    # squares hang over the border
    (height, width), (rows, columns) = target.shape[-2:], logits.shape[-2:]
    down, right = -(-height // rows), -(-width // columns)
    padded = F.pad(target, (0, right * columns - width, 0, down * rows - height), value=IGNORE)
    return padded[..., down // 2 :: down, right // 2 :: right]
