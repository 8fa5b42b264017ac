"""The Channel U-Net: beside each skip and what comes up stands a third map, the global attention upsample.

It is `myChannelUnet` of https://github.com/Andy-zhujunwen/UNET-ZOO, a U-Net (arXiv:1505.04597) with the
attention of the Pyramid Attention Network (Li et al. 2018, arXiv:1805.10180, figure 4). The third maps are a
way up of their own: each is made of the skip and of the third map below, the first of the deepest features.
"""

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolution, convolutions, crop, head, pad_to_multiple, transposed_up
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing

__all__ = ["ChannelUNet", "ChannelUNetConfig", "GlobalAttentionUp", "channel_unet"]

LEVELS = 5


class ChannelUNetConfig(Config):
    """The options of `channel_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=1, description="channels of the first level; each level below doubles them")


class GlobalAttentionUp(nn.Module):
    """The skip, its channels weighed by the mean of the level below, added to that level upsampled.

    Figure 4 of the paper, without its norm of the weights, which are one number per channel and image.
    """

    def __init__(self, skip_channels: int, below_channels: int) -> None:
        super().__init__()
        self.of_skip = convolution(
            skip_channels, skip_channels, kernel_size=3, norm="batch", activation=None, bias=False
        )
        self.weigh = nn.Conv2d(below_channels, skip_channels, kernel_size=1, bias=False)
        self.up = nn.ConvTranspose2d(
            below_channels, skip_channels, kernel_size=4, stride=2, padding=1, bias=False
        )
        self.norm = nn.BatchNorm2d(skip_channels)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """[B, s, h, w], [B, b, h/2, w/2] -> [B, s, h, w]."""
        weights = self.weigh(F.adaptive_avg_pool2d(below, 1)).relu()  # [B, s, 1, 1]
        return torch.relu(self.norm(self.up(below)) + self.of_skip(skip) * weights)  # [B, s, h, w]


class ChannelUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of 16 are padded and cropped inside.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: ChannelUNetConfig) -> None:
        super().__init__()
        self.multiple = 2 ** (LEVELS - 1)
        block = partial(convolutions, bias=True)
        widths = [config.width * 2**level for level in range(LEVELS)]  # 64, 128, 256, 512, 1024
        levels = zip([config.in_channels, *widths[:-1]], widths, strict=True)
        self.encoders = nn.ModuleList(block(before, width) for before, width in levels)
        # the way up is listed in the order in which it is walked: deepest first
        rising = widths[-2::-1]
        self.ups = nn.ModuleList(transposed_up(2 * width, width) for width in rising)
        self.attentions = nn.ModuleList(GlobalAttentionUp(width, 2 * width) for width in rising)
        self.decoders = nn.ModuleList(block(3 * width, width) for width in rising)
        self.head = head(config.width, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        x, size = pad_to_multiple(image, self.multiple)  # [B, in, H', W'], multiples of 16
        skips: list[Tensor] = []
        for encode in self.encoders:
            x = run(self, partial(_descend, encode), skips[-1]) if skips else run(self, encode, x)
            # [B, w * 2^i, H'/2^i, W'/2^i]
            skips.append(x)
        skips.pop()  # the deepest is no skip
        attended = x
        for up, attend, decode in zip(self.ups, self.attentions, self.decoders, strict=True):
            skip = skips.pop()
            attended = run(self, attend, skip, attended)  # [B, w * 2^i, H'/2^i, W'/2^i]
            x = run(self, partial(_rise, up, decode), skip, x, attended)  # [B, w * 2^i, H'/2^i, W'/2^i]
        return crop(self.head(x), size)  # [B, num_classes, H, W]


def _rise(up: nn.Module, decode: nn.Module, skip: Tensor, below: Tensor, attended: Tensor) -> Tensor:
    """One step of the way up: [B, s, h, w], [B, 2s, h/2, w/2], [B, s, h, w] -> [B, s, h, w]."""
    return decode(torch.cat([skip, up(below), attended], dim=1))


def _descend(encode: nn.Module, above: Tensor) -> Tensor:
    """One step of the way down: [B, s, 2h, 2w] -> [B, 2s, h, w]."""
    return encode(F.max_pool2d(above, 2))


@register_model(paper="arXiv:1805.10180", origin="Andy-zhujunwen/UNET-ZOO")
def channel_unet(config: ChannelUNetConfig) -> ChannelUNet:
    """Channel U-Net: a global attention upsample joins each skip; 49.2 M parameters."""
    return ChannelUNet(config)
