"""Cross-entropy that leaves ignored pixels out."""

import torch
from torch import Tensor
from torch.nn import functional

from uvala.arrays import IGNORE

__all__ = ["cross_entropy"]


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy in nats over the pixels that are not ignored; 0 if all of them are.

    logits: float [B, K, H, W]. target: int64 [B, H, W], 0 to K-1 or IGNORE. class_weights: float [K].
    pixel_weights: float [B, H, W], 0 or more: the mean is weighted by them (Ronneberger et al. 2015, eq. 1).
    """
    if not bool((target != IGNORE).any()):
        return logits.sum() * 0.0  # torch's mean over nothing is NaN
    # half precision has too few digits for a log-sum-exp
    with torch.autocast(logits.device.type, enabled=False):
        if pixel_weights is None:
            return functional.cross_entropy(
                logits.float(),
                target,
                weight=class_weights,
                ignore_index=IGNORE,
                label_smoothing=label_smoothing,
            )
        losses = functional.cross_entropy(
            logits.float(),
            target,
            weight=class_weights,
            ignore_index=IGNORE,
            label_smoothing=label_smoothing,
            reduction="none",
        )  # [B, H, W], 0 where ignored
        counted = pixel_weights.float() * (target != IGNORE)
        return (losses * counted).sum() / counted.sum().clamp_min(1e-6)
