"""The U-Net as published: convolutions without padding, which make up no pixels beyond the border.

Ronneberger, Fischer, Brox (2015), arXiv:1505.04597, figure 1, in the form of
https://github.com/jvanvugt/pytorch-unet (no dropout; optionally a norm, padding, bilinear upsampling).

Each 3x3 convolution takes a pixel from each side, so the logits are smaller than the image: 388 of 572 pixels
with five levels. The paper gets the rest by mirroring the image's border (overlap-tile strategy, figure 2).
"""

from collections.abc import Callable
from functools import partial
from itertools import count, pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.errors import ShapeError
from uvala.models.blocks import (
    Up,
    bilinear_up,
    crop,
    head,
    make_norm,
    pad_to_multiple,
    repeat_last,
    transposed_up,
)
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing

__all__ = ["PaperUNet", "PaperUNetConfig", "paper_unet"]

LOST = 4  # pixels per block and axis: two 3x3 convolutions


class PaperUNetConfig(Config):
    """The options of `paper_unet`."""

    in_channels: int = Field(1, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits")
    depth: int = Field(5, ge=1, le=8, description="levels; one pooling between each two")
    width: int = Field(64, ge=1, description="channels of the first level; each level below doubles them")
    norm: Literal["none", "batch"] = Field(
        "none", description="norm, which stands after the ReLU of each convolution here"
    )
    padding: bool = Field(False, description="convolutions padded with zeros, which lose no pixels")
    up: Up = Field("transposed", description="upsampling: learned, or bilinear with a 1x1 convolution")
    borders: Literal["valid", "mirror"] = Field(
        "valid",
        description="logits of the inner pixels alone, or of all, with the image mirrored at its border; "
        "of no effect with padding",
    )


class PaperUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H', W'].

    With borders="valid" the logits lack `crops` pixels on each side: 92 with five levels, H' = H - 184. Other
    sizes than 188, 204, 220 and so on lose up to 15 more below and on the right, since a pooling drops the
    last of an odd number of rows; `output_size` says how many come out. An image below `smallest`, which is
    188 pixels, is a ShapeError.

    With borders="mirror" H' = H and W' = W for any H and W from 1, and `crops` is 0. The numbers are those of
    "valid" wherever it has them and drops no row; with bilinear upsampling, but for its outermost 15 pixels,
    where it lacks neighbours to interpolate with.

    With padding H' = H and W' = W too. Where poolings drop rows the logits lack up to `multiple` - 1 of them,
    and their last row is repeated.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: PaperUNetConfig) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.depth)]
        block = partial(_block, norm=config.norm, padding=int(config.padding))
        up = {"transposed": transposed_up, "bilinear": bilinear_up}[config.up]
        self.multiple = 2 ** (config.depth - 1)
        self.padded_to = 1  # what sizes lack is mirrored too, not repeated
        # With padding and several poolings a skip may have two rows or more that what comes up has lost, and
        # its middle is taken: where that begins depends on the size of the whole image, which a tile does not
        # know. With one pooling only the last row can be lost.
        self.local = not (config.padding and config.depth > 2)
        self.frame = _frame(config)
        self.crops = self.frame.crops
        self.smallest = self.frame.smallest
        self.encoders = nn.ModuleList(block(*pair) for pair in pairwise([config.in_channels, *widths]))
        # the way up is listed in the order in which it is walked: deepest first
        steps = list(pairwise(reversed(widths)))
        self.ups = nn.ModuleList(up(below, width) for below, width in steps)
        self.decoders = nn.ModuleList(block(2 * width, width) for _, width in steps)
        self.head = head(config.width, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H', W']."""
        x = self.frame.extend(image)  # [B, in, h0, w0]; with valid convolutions, h1 = (h0 - 4) / 2 and so on
        skips = []
        x = run(self, self.encoders[0], x)  # [B, w, h0 - 4, w0 - 4]
        for encode in self.encoders[1:]:
            skips.append(x)
            x = run(self, partial(_descend, encode), x)  # [B, w * 2^i, h_i - 4, w_i - 4]
        for up, decode in zip(self.ups, self.decoders, strict=True):
            x = run(self, partial(_rise, up, decode), skips.pop(), x)  # [B, w * 2^i, 2h - 4, 2w - 4]
        return self.frame.fit(self.head(x), (image.shape[-2], image.shape[-1]))  # [B, num_classes, H', W']

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the logits for an image of that size; 0 where it is too small."""
        return self.frame.output_size(height), self.frame.output_size(width)


class _Frame(NamedTuple):
    """What becomes of the border: before the network, after it, and what that means for sizes."""

    extend: Callable[[Tensor], Tensor]
    fit: Callable[[Tensor, tuple[int, int]], Tensor]
    output_size: Callable[[int], int]
    crops: int = 0
    smallest: int = 1


def _frame(config: PaperUNetConfig) -> _Frame:
    multiple = 2 ** (config.depth - 1)
    if config.padding:
        return _Frame(partial(_at_least, size=multiple), repeat_last, int)
    # each level loses 4 pixels on the way down, twice what is lost below, and 4 on the way up, per axis;
    # summed up, that is 12 * multiple - 8
    crops = 6 * multiple - LOST
    if config.borders == "mirror":
        return _Frame(partial(_mirror, multiple=multiple, crops=crops), _cut, int)
    smallest = next(size for size in count(1) if _left_of(size, depth=config.depth) > 0)
    require = partial(_require, smallest=smallest, crops=crops)
    return _Frame(require, _as_it_is, partial(_left_of, depth=config.depth), crops, smallest)


def _left_of(size: int, *, depth: int) -> int:
    """Pixels that valid convolutions leave of so many along an axis."""
    for _ in range(depth - 1):
        size = (size - LOST) // 2
    size -= LOST
    for _ in range(depth - 1):
        size = 2 * size - LOST
    return max(size, 0)


def _require(image: Tensor, *, smallest: int, crops: int) -> Tensor:
    height, width = image.shape[-2:]
    if height < smallest or width < smallest:
        raise ShapeError(
            found=f"an image of {height}x{width} pixels",
            expected=f"at least {smallest}x{smallest}, of which the network crops {crops} on each side",
            fix="take a larger image, or borders='mirror', which takes any",
        )
    return image


def _as_it_is(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return logits


def _mirror(image: Tensor, *, multiple: int, crops: int) -> Tensor:
    """The image with its border mirrored, its outermost pixels not repeated: [B, C, H, W] -> [B, C, h, w].

    Above and on the left by 4 more than is lost, which is a multiple: so the poolings meet the squares that
    they meet in the image itself. Below and on the right by as many as are lost, and up to the next multiple,
    which makes all sizes even.
    """
    for axis in (2, 3):
        size = image.shape[axis]
        # an image smaller than what is lost is mirrored to and fro, at both of its ends
        period = max(2 * (size - 1), 1)
        end = size + -size % multiple + crops
        place = torch.arange(-crops - LOST, end, device=image.device) % period
        image = image.index_select(axis, torch.minimum(place, period - place))
    return image


def _cut(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return crop(logits[..., LOST:, LOST:], size)


def _at_least(image: Tensor, *, size: int) -> Tensor:
    return pad_to_multiple(image, 1, at_least=size)[0]


def _descend(encode: nn.Module, above: Tensor) -> Tensor:
    """One step of the way down: [B, s, h, w] -> [B, 2s, h / 2 - 4, w / 2 - 4]."""
    return encode(F.max_pool2d(above, 2))


def _rise(up: nn.Module, decode: nn.Module, skip: Tensor, below: Tensor) -> Tensor:
    """One step of the way up, with the middle of the skip: [B, s, H, W], [B, 2s, h, w] -> [B, s, ...]."""
    x = up(below)  # [B, s, 2h, 2w]
    height, width = x.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    skip = skip[..., top : top + height, left : left + width]  # [B, s, 2h, 2w]
    return decode(torch.cat([x, skip], dim=1))  # [B, s, 2h - 4, 2w - 4]


def _block(
    in_channels: int, out_channels: int, *, norm: Literal["none", "batch"], padding: int
) -> nn.Sequential:
    """Two times convolution, ReLU, norm: [B, in, H, W] -> [B, out, H - 4, W - 4]."""
    layers: list[nn.Module] = []
    for before in (in_channels, out_channels):
        conv = nn.Conv2d(before, out_channels, kernel_size=3, padding=padding)
        # "a standard deviation of sqrt(2/N)", section 3
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU(inplace=True), make_norm(norm, out_channels)]
    return nn.Sequential(*layers)


@register_model(
    paper="arXiv:1505.04597",
    origin="jvanvugt/pytorch-unet",
    small={"width": 4, "depth": 3, "borders": "mirror"},
)
def paper_unet(config: PaperUNetConfig) -> PaperUNet:
    """The U-Net of the paper: valid convolutions, no norm, mirrored borders if asked for; 31 M parameters."""
    return PaperUNet(config)
