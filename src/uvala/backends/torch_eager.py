"""PyTorch itself, with what costs nothing: batch norms folded, channels last, on a GPU half precision."""

from typing import Literal

import torch
from torch import Tensor, nn

from uvala.backends.folding import fold_batch_norms
from uvala.backends.runtime import repeat_facts
from uvala.errors import BackendError

__all__ = ["HalfPrecision", "Precision", "in_precision", "prepare_torch"]

Precision = Literal["float32", "bfloat16", "float16"]


def prepare_torch(model: nn.Module, in_channels: int) -> nn.Module:
    """A copy of `model` in eval mode, with its numbers up to rounding; where its weights lie."""
    # of each layer: what `models.layout` chooses is for training
    return fold_batch_norms(model, in_channels).to(memory_format=torch.channels_last)


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network with its convolutions computed in that precision.

    With other than float32 its numbers are others, by about 1e-2 deviations of the logits. Raises
    BackendError where the device has no such precision.
    """
    device = next(network.parameters(), torch.empty(0)).device
    if precision == "float32":
        return network
    _require(device, precision)
    return HalfPrecision(network, getattr(torch, precision))


class HalfPrecision(nn.Module):
    """A network under autocast, whose logits are float32 all the same: [B, C, H, W] -> [B, K, H, W]."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype
        repeat_facts(self, network)

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, H, W]."""
        if image.device.type == "meta":  # only shapes are wanted, and autocast knows no such device
            return self.network(image)
        with torch.autocast(image.device.type, dtype=self.dtype):
            return self.network(image).to(torch.float32)


def _require(device: torch.device, precision: Precision) -> None:
    if device.type == "cuda" and (precision == "float16" or torch.cuda.is_bf16_supported()):
        return
    raise BackendError(
        found=f"precision {precision} on {device.type}",
        expected="float16 on a GPU, or bfloat16 on one from NVIDIA's Ampere on",
        fix="leave the precision at float32",
    )
