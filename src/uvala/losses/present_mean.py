"""The mean of a loss of classes over those that the truth holds, of the batch or of each sample."""

from typing import Literal

import torch
from torch import Tensor

from uvala.losses.comparison import Comparison, Sums

__all__ = ["Over", "present_mean", "sums_over"]

Over = Literal["batch", "sample"]
"""Whether areas are summed over the whole batch, of all ranks, or over each sample of it."""


def sums_over(compared: Comparison, over: Over) -> Sums:
    """Overlap, predicted and true area: of the batch [K], or of each sample [B, K]."""
    if over == "sample":
        return compared.sums
    return Sums(*compared.over_ranks(torch.stack([each.sum(dim=0) for each in compared.sums])))


def present_mean(compared: Comparison, losses: Tensor, present: Tensor) -> Tensor:
    """Mean of losses over the classes that are present; of samples, the mean over those that hold any.

    losses: [K] of a batch, the same on every rank, or [B, K] of samples. present: bool, as losses. 0 if no
    class is present anywhere. An absent class has no overlap to speak of; the cross-entropy teaches absence.
    """
    mean = losses.where(present, 0).sum(dim=-1) / present.sum(dim=-1).clamp_min(1)
    if losses.ndim == 1:
        return mean
    return compared.quotient(mean.sum(), present.any(dim=-1).sum().to(mean.dtype))
