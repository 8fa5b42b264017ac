"""The sum of losses that a plan names."""

from collections.abc import Callable

import torch
from torch import Tensor

from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import cross_entropy
from uvala.losses.dice import dice_loss

__all__ = ["segmentation_loss"]


def segmentation_loss(config: LossConfig, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
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
