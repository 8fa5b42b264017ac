"""What a skip may pass before it is joined to what comes up from below: gates and squeezes.

Each looks at the skip and weighs it with numbers between 0 and 1, so that what matters comes through.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.models.blocks import Concatenate, Norm, convolution

__all__ = ["CBAM", "SCSE", "AttentionGate", "GatedMerge", "WeighedMerge"]

REDUCTION = 16  # of the channels in a squeeze: both papers', and SE's before them (arXiv:1709.01507)


class AttentionGate(nn.Module):
    """Weighs each pixel of a skip by what the coarser level says of it.

    Oktay et al. (2018), arXiv:1804.03999, figure 2, in the form in which it circulates: the gate has been
    upsampled before, so that nothing is resampled here, and a norm follows each convolution.

    inner_channels: in which skip and gate are compared.
    """

    def __init__(
        self, skip_channels: int, gate_channels: int, inner_channels: int, *, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.out_channels = skip_channels
        self.of_skip = _compare(skip_channels, inner_channels, norm)
        self.of_gate = _compare(gate_channels, inner_channels, norm)
        self.weigh = _compare(inner_channels, 1, norm)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """[B, s, H, W], [B, g, H, W] -> [B, s, H, W]."""
        inner = torch.relu(self.of_skip(skip) + self.of_gate(gate))  # [B, inner, H, W], equation 1
        return skip * self.weigh(inner).sigmoid()  # [B, s, H, W]


def _compare(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    # the bias is of no use before a norm; the checkpoints have it
    return convolution(in_channels, out_channels, kernel_size=1, norm=norm, activation=None, bias=True)


class CBAM(nn.Module):
    """Weighs the channels, by their mean and maximum, and then the pixels, by theirs.

    Woo et al. (2018), arXiv:1807.06521, equations 2 and 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = _squeezed(channels, REDUCTION)
        self.out_channels = channels
        self.channel = nn.Sequential(  # shared by mean and maximum
            nn.Conv2d(channels, inner, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, kernel_size=1),
        )
        self.space = nn.Conv2d(2, 1, kernel_size=7, padding=3)  # 7: the best of theirs, table 2

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        mean, most = F.adaptive_avg_pool2d(x, 1), x.amax(dim=(2, 3), keepdim=True)  # [B, C, 1, 1] each
        x = x * (self.channel(mean) + self.channel(most)).sigmoid()  # [B, C, H, W]
        pooled = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)  # [B, 2, H, W]
        return x * self.space(pooled).sigmoid()  # [B, C, H, W]


class SCSE(nn.Module):
    """Weighs the channels by their means and the pixels by their channels, side by side, and adds the two.

    Roy et al. (2018), arXiv:1803.02579, figure 1d; the sum is the form of segmentation_models.pytorch.
    """

    def __init__(self, channels: int, reduction: int = REDUCTION) -> None:
        super().__init__()
        inner = _squeezed(channels, reduction)
        self.out_channels = channels
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, kernel_size=1),
            nn.Sigmoid(),
        )
        self.space = nn.Sequential(nn.Conv2d(channels, 1, kernel_size=1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return x * self.channel(x) + x * self.space(x)


def _squeezed(channels: int, reduction: int) -> int:
    return max(1, channels // reduction)


class GatedMerge(nn.Module):
    """Joins a skip that passed an attention gate: [B, s, H, W], [B, u, H, W] -> [B, s + u, H, W].

    up_first: the order of the channels; the skip's come first without it.
    """

    def __init__(
        self, skip_channels: int, up_channels: int, *, norm: Norm = "batch", up_first: bool = False
    ) -> None:
        super().__init__()
        # half as many channels to compare in: those of the published networks
        self.gate = AttentionGate(skip_channels, up_channels, max(1, skip_channels // 2), norm=norm)
        self.join = Concatenate(skip_channels, up_channels, up_first=up_first)
        self.out_channels = self.join.out_channels

    def forward(self, skip: Tensor, up: Tensor) -> Tensor:
        """[B, s, H, W], [B, u, H, W] -> [B, s + u, H, W]."""
        return self.join(self.gate(skip, up), up)


class WeighedMerge(nn.Module):
    """Joins a skip that was weighed by itself: [B, s, H, W], [B, u, H, W] -> [B, s + u, H, W].

    weigh: makes, of a number of channels, what the skip passes and keeps its shape in.
    """

    def __init__(self, weigh: Callable[[int], nn.Module], skip_channels: int, up_channels: int) -> None:
        super().__init__()
        self.weigh = weigh(skip_channels)
        self.join = Concatenate(skip_channels, up_channels)
        self.out_channels = self.join.out_channels

    def forward(self, skip: Tensor, up: Tensor) -> Tensor:
        """[B, s, H, W], [B, u, H, W] -> [B, s + u, H, W]."""
        return self.join(self.weigh(skip), up)
