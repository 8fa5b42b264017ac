"""How far the logits of one runtime are from those of another."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Agreement", "compare", "noise", "trial_side"]


@dataclass(frozen=True)
class Agreement:
    """difference: the largest, in standard deviations of the logits. same_class: share of the pixels."""

    difference: float
    same_class: float


def compare(expected: Tensor, actual: Tensor) -> Agreement:
    """How far logits [B, K, H, W] are from those that they should be; infinitely far in another shape."""
    if actual.shape != expected.shape or not bool(actual.isfinite().all()):
        return Agreement(float("inf"), 0.0)
    expected, actual = (each.detach().to("cpu", torch.float32) for each in (expected, actual))
    # a network may say the same everywhere
    spread = max(float(expected.std(correction=0)), 1e-6 * float(expected.abs().max()), 1e-12)
    difference = float((actual - expected).abs().max()) / spread
    return Agreement(difference, float((_classes(actual) == _classes(expected)).float().mean()))


def noise(batch: int, channels: int, height: int, width: int) -> Tensor:
    """A normalised image for trials, the same at each call: [batch, channels, height, width]."""
    # a generator of its own, to leave the global one alone
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))


def trial_side(network: nn.Module) -> int:
    """Pixels of a small image that the network takes as it is: a multiple of its own, two or more."""
    multiple = int(getattr(network, "multiple", 1))
    # the names under which networks keep what they pad to at least, or take at least
    least = max(int(getattr(network, name, 1)) for name in ("at_least", "least", "smallest"))
    return max(2, -(-least // multiple)) * multiple


def _classes(logits: Tensor) -> Tensor:
    return logits > 0 if logits.shape[1] == 1 else logits.argmax(dim=1, keepdim=True)
