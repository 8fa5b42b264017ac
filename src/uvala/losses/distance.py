"""How wrong a predicted distance to an object's outline is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.losses.comparison import TINY, OverRanks, identity

__all__ = ["distance_loss"]


def distance_loss(
    logits: Tensor, distance: Tensor, target: Tensor, *, over_ranks: OverRanks = identity
) -> Tensor:
    """Cross-entropy of sigmoid(logits) against a distance of 0 to 1, less that of a perfect prediction.

    logits, distance: float [B, H, W]; distance is 0 outside objects and 1 in the middle of one. target: int64
    [B, H, W], IGNORE where nothing counts. The mean over the other pixels; 0 for a perfect prediction, and
    if all are ignored. A cross-entropy, not a squared error: its gradient does not vanish where the sigmoid
    is sure and wrong.
    """
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    wanted = distance.to(logits.dtype).clamp(0, 1)
    known = (target != IGNORE).to(logits.dtype)
    entropy = -(torch.xlogy(wanted, wanted) + torch.xlogy(1 - wanted, 1 - wanted))
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    over, under = over_ranks(torch.stack([((losses - entropy) * known).sum(), known.sum()]))
    return over / under.clamp_min(TINY)
