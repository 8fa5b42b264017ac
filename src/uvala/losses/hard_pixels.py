"""Online hard pixels, after Shrivastava et al. (2016), arXiv:1604.03540, and Wu et al. (2016), 1604.04339.

Where most pixels are easy, their many small losses drown the few that are still wrong. Only those with the
largest loss are learnt from, chosen anew at each step.
"""

import torch
from torch import Tensor

__all__ = ["hardest"]


def hardest(losses: Tensor, known: Tensor, share: float, least: int) -> Tensor:
    """1 at those of an image's known pixels that cost most, 0 elsewhere: as losses, [B, 1, H, W].

    losses: float [B, 1, H, W]. known: 0 or 1, [B, 1, H, W]. share: of the known pixels of an image, 0 to 1,
    rounded. least: so many of them in any case, or all if they are fewer. Without a gradient.
    """
    cost = losses.detach().masked_fill(known == 0, -torch.inf).flatten(1)  # [B, H W]
    count = (known.flatten(1).sum(dim=1) * share).round().clamp_min(least)  # [B]
    # as many as any image can want: a number that is known without asking the device
    most = min(cost.shape[1], max(least, round(share * cost.shape[1])))
    order = cost.topk(most, dim=1).indices  # [B, most], largest first
    chosen = torch.arange(most, device=cost.device) < count.unsqueeze(1)
    mask = torch.zeros_like(cost).scatter_(1, order, chosen.to(cost.dtype))
    return mask.view_as(losses) * known
