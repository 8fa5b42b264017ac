"""Pocket U-Net: two levels, 0.1 M parameters, for tests and for a first run on a laptop.

Ours, in the shape of Ronneberger et al. (2015), arXiv:1505.04597, figure 1. Two departures: same-padding, so
the output is as large as the input; BatchNorm after each convolution. Written out where `unet` loops: read
this one first.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolutions, crop, head, max_pool, pad_to_multiple, transposed_up
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing

__all__ = ["PocketUNet", "PocketUNetConfig", "pocket_unet"]

MULTIPLE = 4  # two poolings


class PocketUNetConfig(Config):
    """The options of `pocket_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits")
    width: int = Field(16, ge=1, description="channels of the first level; each level below doubles them")


class PocketUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W]; any H, W."""

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: PocketUNetConfig) -> None:
        super().__init__()
        w = config.width
        self.multiple = MULTIPLE
        self.enter = double_conv(config.in_channels, w)
        self.pool0 = max_pool(w)
        self.down1 = double_conv(w, 2 * w)
        self.pool1 = max_pool(2 * w)
        self.down2 = double_conv(2 * w, 4 * w)
        self.up1 = transposed_up(4 * w, 2 * w)
        self.merge1 = double_conv(4 * w, 2 * w)
        self.up0 = transposed_up(2 * w, w)
        self.merge0 = double_conv(2 * w, w)
        self.head = head(w, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        x, size = pad_to_multiple(image, MULTIPLE)  # [B, in, H', W'], multiples of 4
        skip0 = run(self, self.enter, x)  # [B,  w, H',   W']
        skip1 = run(self, self.down1, self.pool0(skip0))  # [B, 2w, H'/2, W'/2]
        x = run(self, self.down2, self.pool1(skip1))  # [B, 4w, H'/4, W'/4]
        x = torch.cat([skip1, self.up1(x)], dim=1)  # [B, 4w, H'/2, W'/2]
        x = run(self, self.merge1, x)  # [B, 2w, H'/2, W'/2]
        x = torch.cat([skip0, self.up0(x)], dim=1)  # [B, 2w, H',   W']
        x = run(self, self.merge0, x)  # [B,  w, H',   W']
        return crop(self.head(x), size)  # [B, num_classes, H, W]


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with norm and ReLU: [B, in, H, W] -> [B, out, H, W]."""
    # BatchNorm, not GroupNorm: in eval mode it looks at one pixel at a time, so a tile that starts at a
    # multiple of 4 and has enough context (halo) gives the numbers of the whole image
    return convolutions(in_channels, out_channels, count=2, kernel_size=3, norm="batch", activation="relu")


@register_model(paper="arXiv:1505.04597", planned=True)
def pocket_unet(config: PocketUNetConfig) -> PocketUNet:
    """Two levels, for tests and first runs."""
    return PocketUNet(config)
