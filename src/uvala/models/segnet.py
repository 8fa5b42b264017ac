"""SegNet: VGG16 down and its mirror image up, joined by nothing but the places of the maxima.

Badrinarayanan, Kendall, Cipolla (2015), arXiv:1511.00561, figures 2 and 3. The norm follows each convolution,
on the way up too. UNET-ZOO, https://github.com/Andy-zhujunwen/UNET-ZOO, has it with a pooling that moves one
pixel at a time: nothing becomes smaller, and it costs what full resolution costs. Here that is an option.

The places are kept as the corner of each square that holds the maximum, and a value goes back by comparing
corners. torch's max_unpool2d scatters by index; where squares overlap, several values go to one pixel, and
which of them stays is up to chance on a GPU. Here it is always the last in reading order, as on one thread
of a CPU.
"""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolutions, crop, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.pretrained import load_imagenet, require_published

__all__ = ["SegNet", "SegNetConfig", "pool_with_corners", "segnet", "unpool"]

COUNTS = (2, 2, 3, 3, 3)  # convolutions of each level, those of VGG16
FACTORS = (1, 2, 4, 8, 8)  # channels of each level, in widths
SMALLEST = len(COUNTS) + 1  # with stride 1 each pooling takes one row and one column

Stride = Literal[1, 2]


class SegNetConfig(Config):
    """The options of `segnet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(
        64, ge=1, description="channels of the first level; those below have 2, 4, 8 and 8 times as many"
    )
    pool_stride: Stride = Field(
        2,
        description="2: pooling halves, as in the paper; 1: it keeps the resolution, at 48 times the cost",
    )
    pretrained: bool = Field(
        False, description="start with timm's ImageNet weights of the encoder, which may be downloaded"
    )

    @field_validator("pretrained")
    @classmethod
    def _is_published(cls, pretrained: bool, info: ValidationInfo) -> bool:
        return require_published(pretrained, info.data)


class SegNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1. With pool_stride 2 sizes between multiples of 32 are padded and cropped
    inside; with 1 every size from 6 is computed as it is.

    context: pixels on each side that an output depends on, counted, since a place has no gradient to follow.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: SegNetConfig) -> None:
        super().__init__()
        self.stride = config.pool_stride
        self.multiple = self.stride ** len(COUNTS)
        self.at_least = max(SMALLEST, self.multiple)
        self.context = _context(self.stride)
        widths = [config.width * factor for factor in FACTORS]
        levels = list(zip(pairwise([config.in_channels, *widths]), COUNTS, strict=True))
        # as the origin has them: with a bias, which the norm makes idle
        block = partial(convolutions, bias=True)
        self.encoders = nn.ModuleList(block(before, after, count=count) for (before, after), count in levels)
        # the last convolution of a level has the channels of the next; deepest level first
        self.decoders = nn.ModuleList(
            block(below, above, count=count, between=below) for (above, below), count in reversed(levels[1:])
        )
        self.decoders.append(block(config.width, config.width, count=COUNTS[0] - 1))
        self.head = nn.Conv2d(config.width, config.num_classes, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        # the shapes are those of stride 2, H' and W' multiples of 32; with 1 a level is one row smaller
        x, size = pad_to_multiple(image, self.multiple, at_least=self.at_least)  # [B, in, H', W']
        places = []
        for encode in self.encoders:
            x, corners = pool_with_corners(run(self, encode, x), self.stride)
            places.append(corners)  # [B, w, H'/2, W'/2] ... [B, 8w, H'/32, W'/32]
        for decode in self.decoders:
            x = run(self, partial(_rise, decode, self.stride), x, places.pop())
            # [B, 8w, H'/16, W'/16] ... [B, w, H', W']
        return crop(run(self, self.head, x), size)  # [B, num_classes, H, W]


def pool_with_corners(x: Tensor, stride: Stride) -> tuple[Tensor, Tensor]:
    """The maximum of each 2x2 square and the corner that holds it: float and uint8 [B, C, h, w].

    Corners: 0 upper left, 1 upper right, 2 lower left, 3 lower right; of equals the first. h and w are half
    of H and W with stride 2 (multiples of 2), one less with stride 1 (from 2).
    """
    maximum = F.max_pool2d(x, kernel_size=2, stride=stride)
    seen, top = x.detach(), maximum.detach()  # a place has no gradient
    rows, columns = x.shape[-2] - 1, x.shape[-1] - 1
    first, second, third = (
        (seen[..., row : row + rows : stride, column : column + columns : stride] != top).to(torch.uint8)
        for row, column in [(0, 0), (0, 1), (1, 0)]
    )
    return maximum, first * (1 + second * (1 + third))


def unpool(x: Tensor, corners: Tensor, stride: Stride) -> Tensor:
    """Each value at the corner of its square, zeros elsewhere: [B, C, h, w] -> [B, C, H, W].

    Where several squares send a value to one pixel, that of the last square in reading order stays.
    """
    if stride == 2:
        sent = torch.stack([torch.where(corners == corner, x, 0) for corner in range(4)], dim=2)
        return F.pixel_shuffle(sent.flatten(1, 2), 2)  # [B, C * 4, h, w] -> [B, C, 2h, 2w]
    # a pixel is the lower right corner of the first square that holds it, and the upper left of the last
    result = torch.where(_place(corners == 3, 3), _place(x, 3), 0)
    for corner in (2, 1, 0):
        result = torch.where(_place(corners == corner, corner), _place(x, corner), result)
    return result


def _place(x: Tensor, corner: int) -> Tensor:
    """What a pixel finds in the square whose corner it is: [B, C, h, w] -> [B, C, h + 1, w + 1]."""
    down, right = divmod(corner, 2)
    return F.pad(x, (right, 1 - right, down, 1 - down))


def _rise(decode: nn.Module, stride: Stride, x: Tensor, corners: Tensor) -> Tensor:
    """One level up: [B, C, h, w] -> [B, out, H, W]."""
    return decode(unpool(x, corners, stride))


def _context(stride: Stride) -> int:
    """Pixels on each side that an output depends on, beyond the square of `multiple` in which it lies."""
    # A 3x3 convolution reaches one pixel further on each side. From the logits down: with stride 2 a square
    # of the map below is there as a whole; with stride 1 unpooling looks at the square before, and pooling,
    # on the way on to the image, at the pixel behind, so that both sides come to the same.
    reach = 0
    for count in COUNTS:
        reach = reach + count + 1 if stride == 1 else -(-(reach + count) // 2)
    for count in reversed(COUNTS):
        reach = stride * reach + count
    return reach


@register_model(paper="arXiv:1511.00561", origin="Andy-zhujunwen/UNET-ZOO", small={"width": 2})
def segnet(config: SegNetConfig) -> SegNet:
    """SegNet: VGG16 and its mirror image, which puts values back where the maxima were; 29.4 M parameters."""
    model = SegNet(config)
    if config.pretrained:
        # the thirteen convolutions of VGG16, as in section 3, with the norms that came later
        load_imagenet(model.encoders, "vgg16_bn", config.in_channels)
    return model
