"""What cross-entropy and Dice read from a softmax, and its gradient, in few passes over the pixels.

Left to autograd, the two make about twice as many passes over all classes, each with its intermediate
result in memory (docs/losses.md).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["softmax_sums"]


def softmax_sums(logits: Tensor, truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p of the true class, [B, 1, H, W], 0 where nothing is known; sum(p t) and sum(p), each [B, K].

    p = softmax(logits). logits: float32 or float64 [B, K, H, W]. truth: t, one-hot, 0 where nothing is known,
    as the logits. known: 0 or 1, as the logits, [B, 1, H, W]: the sums are over these pixels.
    Differentiable once, by the logits.
    """
    return _SoftmaxSums.apply(logits, truth, known)


class _SoftmaxSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_p = logits.log_softmax(dim=1)
        # in place where possible: on a CPU, new memory costs more than the arithmetic
        of_true = log_p * truth
        log_true = of_true.sum(dim=1, keepdim=True)
        p = log_p.exp_().mul_(known)
        overlap = torch.mul(p, truth, out=of_true).sum(dim=(2, 3))
        ctx.save_for_backward(p, truth)
        return log_true, overlap, p.sum(dim=(2, 3))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, by_log: Tensor, by_overlap: Tensor, by_predicted: Tensor
    ) -> tuple[Tensor, None, None]:
        # With g = d loss / d p, d loss / d logits = p (g - sum over classes of p g); the log of p of the
        # true class adds by_log (t - p). Here g = by_overlap t + by_predicted; p and t are 0 where nothing
        # is known.
        p, truth = ctx.saved_tensors
        by_logits = truth * by_overlap[..., None, None]
        by_logits.add_(by_predicted[..., None, None]).mul_(p)
        by_logits.addcmul_(p, by_logits.sum(dim=1, keepdim=True) + by_log, value=-1)
        return by_logits.addcmul_(truth, by_log), None, None
