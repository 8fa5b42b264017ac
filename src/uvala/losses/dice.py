"""Soft Dice loss over the batch, after Milletari et al. (2016), arXiv:1606.04797, per class."""

import torch
from torch import Tensor

from uvala.arrays import IGNORE

__all__ = ["dice_loss"]


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - mean soft Dice of the classes that the target holds; 0 if everything is ignored.

    logits: float [B, K, H, W]. target: int64 [B, H, W], 0 to K-1 or IGNORE. The sums run over all pixels of
    the batch that are not ignored, with plain sums in the denominator: 2 |p t| / (|p| + |t|).
    A class that is absent from the whole batch has no Dice; the cross-entropy teaches its absence.
    """
    # in half precision the sum over a batch of patches overflows
    with torch.autocast(logits.device.type, enabled=False):
        known = (target != IGNORE).unsqueeze(1)  # [B, 1, H, W]
        probabilities = logits.float().softmax(dim=1) * known  # [B, K, H, W]
        classes = target.unsqueeze(1).where(known, 0)  # [B, 1, H, W]
        truth = torch.zeros_like(probabilities).scatter_(1, classes, known.to(probabilities.dtype))
        overlap = (probabilities * truth).sum(dim=(0, 2, 3))  # [K]
        area = truth.sum(dim=(0, 2, 3))  # [K]
        dice = 2 * overlap / (probabilities.sum(dim=(0, 2, 3)) + area).clamp_min(1e-6)
        present = area > 0
        return ((1 - dice) * present).sum() / present.sum().clamp_min(1)
