"""Batch norm over the batches of all ranks: N ranks normalise as one with the whole batch would.

torch has a SyncBatchNorm for GPUs alone, and under another class than BatchNorm2d; this one runs on CPUs too.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.errors import ConfigError

__all__ = ["SynchronisedBatchNorm2d", "synchronise"]

_HALVES = (torch.float16, torch.bfloat16)


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """The batch norm `norm`, its parameters and buffers included, with statistics over all ranks.

    [B, C, H, W] -> [B, C, H, W], where B may differ between ranks. Mean and variance in training mode are
    those of all ranks' batches together, in float32 for half precision; the running variance is the unbiased
    one over the global count. In eval mode it is `norm`.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        # the very tensors: an optimiser may hold them already
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        # timm's norms end in an activation, BatchNormAct2d
        for name, part in norm.named_children():
            self.add_module(name, part)
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        if self.training or self.running_mean is None:
            x: Tensor = _Normalise.apply(input, self.weight, self.bias, self)
        else:
            x = super().forward(input)
        for part in self.children():
            x = part(x)
        return x

    def take_in(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Let the running statistics follow. mean, variance (biased): [C]; count: values of a channel [1]."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the mean over all batches so far
            assert self.num_batches_tracked is not None
            momentum = 1.0 / float(self.num_batches_tracked)
        unbiased = variance * (count / (count - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)


def synchronise(model: nn.Module) -> None:
    """Replace the batch norms inside `model` by synchronised ones; its state dict keeps names and values.

    ConfigError for a kind of batch norm that this cannot do.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SynchronisedBatchNorm2d) or not _is_batch_norm(child):
                continue
            # of norms that do more, those of timm do `drop`, then `act`, in the order of their parts
            if not isinstance(child, nn.BatchNorm2d) or set(dict(child.named_children())) - {"drop", "act"}:
                raise ConfigError(
                    found=f"a network with {type(child).__name__}",
                    expected="BatchNorm2d, or norms that do not depend on the batch, in a training by "
                    "several processes",
                    fix="train it in one process, or choose another network",
                )
            setattr(parent, name, SynchronisedBatchNorm2d(child))


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias; Ioffe and Szegedy (2015), arXiv:1502.03167."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, norm: SynchronisedBatchNorm2d
    ) -> Tensor:
        x = input.float() if input.dtype in _HALVES else input
        mean, variance, count = _moments(x)
        norm.take_in(mean, variance, count)
        inverse = (variance + norm.eps).rsqrt().to(x.dtype)
        mean, variance = mean.to(x.dtype), variance.to(x.dtype)
        ctx.save_for_backward(input, weight, mean, inverse, count)
        return F.batch_norm(input, mean, variance, weight, bias, training=False, eps=norm.eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, inverse, count = ctx.saved_tensors
        half = input.dtype in _HALVES
        x, dy = (input.float(), gradients[0].float()) if half else (input, gradients[0])
        centred = x - _wide(mean)  # [B, C, H, W]
        own = torch.stack([_sum(dy), _sum(dy * centred)])  # [2, C]
        over_ranks = own.clone()
        dist.all_reduce(over_ranks)
        # d loss / d x of the paper, section 3, with the sums of all ranks; what weight and bias get is this
        # rank's part, as of every other parameter
        shift, slope = over_ranks / count
        slope = slope * inverse.double() ** 2
        dx = (dy - _wide(shift.to(x.dtype))).sub_(centred.mul_(_wide(slope.to(x.dtype))))
        dx *= _wide(inverse if weight is None else inverse * weight)
        for_weight = (own[1] * inverse).to(x.dtype) if ctx.needs_input_grad[1] else None
        for_bias = own[0].to(x.dtype) if ctx.needs_input_grad[2] else None
        return dx.to(input.dtype), for_weight, for_bias, None


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance [C] of all ranks' values of x [B, C, H, W], float64, and how many they are."""
    variances, means = torch.var_mean(x, dim=(2, 3), correction=0)  # [B, C], [B, C]
    pixels = torch.full_like(means[:, :1], x[0, 0].numel(), dtype=torch.float64)
    own = torch.cat(_joined(pixels, means.double(), variances.double()))
    all_ranks = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(all_ranks, own)
    channels = x.shape[1]
    count, mean, variance = _joined(*torch.stack(all_ranks).split([1, channels, channels], dim=1))
    return mean, variance, count


def _joined(counts: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count [1], mean and biased variance [C] of N parts, from theirs: [N, 1], [N, C] and [N, C].

    Chan et al. (1979): sums of squares would cancel where the mean is large. The parts are images, then
    ranks, in float64: the result hardly depends on which rank has which image.
    """
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count
    variance = (counts * (variances + (means - mean) ** 2)).sum(0) / count
    return count, mean, variance


def _sum(values: Tensor) -> Tensor:
    """[B, C, H, W] -> [C], float64: over each image in its own precision, then over the images."""
    return values.sum((2, 3)).double().sum(0)


def _wide(values: Tensor) -> Tensor:
    """[C] -> [1, C, 1, 1]."""
    return values[None, :, None, None]
