"""PyTorch itself, with what costs nothing: batch norms folded, channels last; or with 16 bits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from uvala.backends.agreement import compare, noise, trial_side
from uvala.backends.folding import fold_batch_norms
from uvala.backends.runtime import Wanted, repeat_facts
from uvala.errors import BackendError

__all__ = ["prepare_half", "prepare_torch"]

_ROUGH = 0.5  # standard deviations of the logits, of which 16 bits cost 0.01 to 0.2: more is an overflow


def prepare_torch(model: nn.Module, in_channels: int) -> nn.Module:
    """A copy of `model` in eval mode, with its numbers up to rounding; where its weights lie."""
    # of each layer: what `models.layout` chooses is for training
    return fold_batch_norms(model, in_channels).to(memory_format=torch.channels_last)


def prepare_half(dtype: torch.dtype) -> Callable[[nn.Module, Wanted], nn.Module]:
    """What makes a network compute its convolutions in that precision.

    Its numbers are others then, by about 1e-2 deviations of the logits. BackendError where they leave the
    range of the precision, or where the device has none such.
    """

    @torch.inference_mode()
    def prepare(network: nn.Module, wanted: Wanted) -> nn.Module:
        side, device = trial_side(network), next(network.parameters(), torch.empty(0)).device
        _require(device, dtype)
        half = _HalfPrecision(network, dtype)
        image = noise(2, wanted.in_channels, side, side).to(device)
        if (found := compare(network(image), half(image))).difference > _ROUGH:
            raise BackendError(
                found=f"logits of {type(network).__name__} that 16 bits change by {found.difference:.1e} "
                "standard deviations",
                expected=f"at most {_ROUGH:g}",
                fix="use torch, which computes with 32 bits",
            )
        return half.eval()

    return prepare


class _HalfPrecision(nn.Module):
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


def _require(device: torch.device, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise BackendError(
            found="a GPU that has no bfloat16",
            expected="one from NVIDIA's Ampere on, or a processor",
            fix="use torch-fp16",
        )
