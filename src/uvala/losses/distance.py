"""How wrong a predicted distance to an object's outline is."""

import torch
from torch import Tensor
from torch.nn import functional

from uvala.arrays import IGNORE

__all__ = ["distance_loss"]


def distance_loss(logits: Tensor, distance: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of sigmoid(logits) against a distance of 0 to 1, less that of a perfect prediction.

    logits, distance: float [B, H, W]; distance is 0 outside objects and 1 in the middle of one. target: int64
    [B, H, W], IGNORE where nothing counts. The mean over the other pixels; 0 for a perfect prediction, and
    if all are ignored. A cross-entropy, not a squared error: its gradient does not vanish where the sigmoid
    is sure and wrong.
    """
    with torch.autocast(logits.device.type, enabled=False):
        wanted = distance.float().clamp(0, 1)
        known = (target != IGNORE).float()
        entropy = -(torch.xlogy(wanted, wanted) + torch.xlogy(1 - wanted, 1 - wanted))
        losses = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        return ((losses - entropy) * known).sum() / known.sum().clamp_min(1)
