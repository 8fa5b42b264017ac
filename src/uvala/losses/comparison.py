"""Logits beside their truth: what the losses read, each part computed when a loss first asks for it.

Everything that all losses share is settled here: what is ignored, whether classes exclude each other, in
which precision is calculated, and over which batch is summed. A loss is left with its formula.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.losses.softmax_sums import softmax_sums

__all__ = ["TINY", "Comparison", "OverRanks", "Sums", "compare", "identity"]

TINY = 1e-6
"""Below any sum of pixels; keeps the quotient of two sums of nothing at 0, and its gradient finite."""

OverRanks = Callable[[Tensor], Tensor]
"""The sum of a tensor over all ranks, differentiable: its backward sums gradients over the ranks."""


def identity(tensor: Tensor) -> Tensor:
    """The sum over the ranks where there is one."""
    return tensor


class Sums(NamedTuple):
    """Sums over the known pixels of each sample, [B, K], of probabilities p and truth t."""

    overlap: Tensor  # sum of p t
    predicted: Tensor  # sum of p
    area: Tensor  # sum of t


@dataclass(frozen=True)
class Comparison:
    """Logits and truth of a batch. `compare` makes one; `losses/*.py` are functions of it."""

    logits: Tensor
    """float32 or float64 [B, K, H, W]"""
    target: Tensor
    """int64 [B, 1, H, W], the class of each pixel, or float [B, K, H, W]; 0 where nothing is known"""
    known: Tensor
    """1 where a pixel counts, 0 where it is ignored: as the logits, [B, 1, H, W]"""
    exclusive: bool
    """a pixel has one class (softmax), or any number of them (a sigmoid for each)"""
    over_ranks: OverRanks = identity

    @cached_property
    def truth(self) -> Tensor:
        """1 where a pixel has a class, [B, K, H, W]; 0 where nothing is known."""
        if self.target.is_floating_point():
            return self.target
        return torch.zeros_like(self.logits).scatter_(1, self.target, self.known)

    @cached_property
    def probabilities(self) -> Tensor:
        """[B, K, H, W], also where nothing is known."""
        return self.logits.softmax(dim=1) if self.exclusive else self.logits.sigmoid()

    @cached_property
    def surprisal(self) -> Tensor:
        """-log of the probability of the truth, nats: [B, 1, H, W]; [B, K, H, W] where not exclusive."""
        if self.exclusive:
            return -self._softmax[0]
        return F.binary_cross_entropy_with_logits(self.logits, self.truth, reduction="none")

    @cached_property
    def sums(self) -> Sums:
        """What Dice and its relatives are made of."""
        if self.exclusive:
            return Sums(*self._softmax[1:], self.truth.sum(dim=(2, 3)))
        p, t, pixels = self.probabilities, self.truth, (2, 3)
        return Sums((p * t).sum(pixels), (p * self.known).sum(pixels), t.sum(pixels))

    @cached_property
    def _softmax(self) -> tuple[Tensor, Tensor, Tensor]:
        return softmax_sums(self.logits, self.truth, self.known)

    def quotient(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        """The quotient of two scalars, each summed over the ranks first; 0 if nothing was counted."""
        over, under = self.over_ranks(torch.stack([numerator, denominator]))
        return over / under.clamp_min(TINY)


def compare(
    logits: Tensor,
    target: Tensor,
    *,
    exclusive: bool | None = None,
    known: Tensor | None = None,
    over_ranks: OverRanks = identity,
) -> Comparison:
    """What the losses are functions of.

    logits: float [B, K, H, W], of any precision; half precision is calculated with in float32.
    target: integers [B, H, W], 0 to K-1 or IGNORE: one class a pixel; with K = 1 they are 0 and 1, and the
    logit is that of 1. Or any type [B, K, H, W], 0 or 1: any number of classes a pixel, which is ignored
    where one of its values is IGNORE.
    exclusive: softmax over the classes, or a sigmoid for each; none: softmax for a class a pixel of several.
    known: bool [B, H, W]; pixels that do not count are ignored too.
    over_ranks: sums over the ranks where each holds a part of the batch, and every rank gets the loss of all.
    Raises ShapeError where target or known do not fit the logits, or are to be exclusive and cannot be.
    """
    _require_fitting(logits, target, known)
    multi_label = target.ndim == 4
    separable = logits.shape[1] > 1 and not multi_label
    if exclusive and not separable:
        raise ShapeError(
            found=f"logits {list(logits.shape)} and target {list(target.shape)} as exclusive classes",
            expected="two classes or more, of which each pixel has one",
            fix="leave `exclusive` out, or set it to False",
        )
    # half precision has too few digits for a log-sum-exp, and sums over a batch overflow it
    logits = logits if logits.dtype == torch.float64 else logits.float()
    labels = target if multi_label else target.unsqueeze(1)
    seen = (labels != IGNORE).all(dim=1, keepdim=True) if multi_label else labels != IGNORE  # [B, 1, H, W]
    if known is not None:
        seen = seen & known.bool().unsqueeze(1)
    labels = labels.where(seen, 0)
    return Comparison(
        logits=logits,
        target=labels.long() if separable else labels.to(logits.dtype),
        known=seen.to(logits.dtype),
        exclusive=separable if exclusive is None else exclusive,
        over_ranks=over_ranks,
    )


def _require_fitting(logits: Tensor, target: Tensor, known: Tensor | None) -> None:
    pixels = logits.shape[:1] + logits.shape[2:]
    fits = logits.ndim == 4 and target.shape in (logits.shape, pixels)
    if not fits or (known is not None and known.shape != pixels):
        masked = "" if known is None else f", known {list(known.shape)}"
        raise ShapeError(
            found=f"logits {list(logits.shape)}, target {list(target.shape)}{masked}",
            expected="logits [B, K, H, W], target [B, H, W] or [B, K, H, W], known [B, H, W]",
            fix="give one class for each pixel, or one value for each class of each pixel",
        )
