"""The fully convolutional networks of the paper, as its authors published them for Caffe.

Long, Shelhamer, Darrell (2015), arXiv:1411.4038; voc-fcn32s, voc-fcn16s, voc-fcn8s and voc-fcn8s-atonce of
https://github.com/shelhamer/fcn.berkeleyvision.org, layer by layer. VGG16's classifier sees 7x7 pixels of
pool5 without padding; so that it has that many at the border, and for the smallest image, the image is padded
by 100. Steps up are bilinear and not learned. Crops align the maps again.

The published weights take blue, green, red from 0 to 255, less (104.00699, 116.66877, 122.67892).
"""

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.models.blocks import convolution, head
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.fcn import FCNConfig
from uvala.models.vgg import VGG16

__all__ = ["CaffeFCN", "CaffeFCN8Config", "fcn8s_caffe", "fcn16s_caffe", "fcn32s_caffe"]

MULTIPLE = 32  # five poolings
PADDING = 99  # of the image; the first convolution adds its own 1, which makes Caffe's "pad: 100" of conv1_1
FIELD = 7  # side of fc6
SMALL = {"width": 8, "fc_width": 16}

# "offset" of their Crop layers: how many rows of the larger map lie above the first of the smaller. The
# squares that a map pools begin at -99 in the image; fc6 takes away 3 pixels, of 32, on each side; a step up
# by f, with a kernel as wide as 2f, adds f/2 on each side.
OFFSET_POOL4 = 5  # 3 * 32 / 16 - 1
OFFSET_POOL3 = 9  # 5 * 16 / 8 - 1
OFFSET_IMAGE = (19, 27, 31)  # by skips: 99 - 3 * 32 + 32 / 2; 99 - 5 * 16 + 16 / 2; 99 - 9 * 8 + 8 / 2

AT_ONCE = (0.01, 0.0001)  # factors of pool4 and pool3 that voc-fcn8s-atonce was trained with


class CaffeFCN8Config(FCNConfig):
    """The options of `fcn8s_caffe`."""

    at_once: bool = Field(
        False,
        description="pool4 times 0.01 and pool3 times 0.0001 are scored, for training without stages",
    )


class CaffeFCN(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: the padding leaves a pixel of scores for the smallest image. Odd sizes
    round up when they are pooled.

    skips: how many finer maps than pool5 are scored too: 0 (FCN-32s), 1 (pool4, FCN-16s) or 2 (and pool3,
    FCN-8s). scales: factors of those maps.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: FCNConfig, *, skips: int, scales: tuple[float, ...] = (1.0, 1.0)) -> None:
        super().__init__()
        self.multiple = MULTIPLE
        self.padded_to = 1
        self.trunk = VGG16(config.in_channels, config.width, pooled=True, ceil_mode=True)
        fine = self.trunk.channels[2:4][::-1][:skips]  # of pool4, of pool3
        classes = config.num_classes
        self.classify = valid_classifier(self.trunk.channels[-1], config.fc_width, classes)
        self.ups = nn.ModuleList(BilinearUp(classes, 2) for _ in fine)
        self.scores = nn.ModuleList(head(channels, classes) for channels in fine)
        self.enlarge = BilinearUp(classes, MULTIPLE // 2**skips)
        self.offsets = (OFFSET_POOL4, OFFSET_POOL3)[:skips]
        self.scales = scales[:skips]
        self.offset = OFFSET_IMAGE[skips]

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        x = F.pad(image, (PADDING,) * 4)  # [B, in, H + 198, W + 198]; h and w stand for these
        pool5, *finer = reversed(self.trunk(x, partial(run, self)))  # [B, 8w, h/32, w/32] and so on
        x = run(self, self.classify, pool5)  # [B, num_classes, h/32 - 6, w/32 - 6]
        steps = zip(self.ups, self.scores, self.scales, self.offsets, finer[: len(self.ups)], strict=True)
        for up, score, scale, offset, pool in steps:
            x = up(x)  # 2n + 2 pixels of n
            x = x + cut(score(scale * pool), offset, x)
        return cut(self.enlarge(x), self.offset, image)  # [B, num_classes, H, W]


class BilinearUp(nn.Module):
    """A bilinear step up that is not learned: [B, C, n, m] -> [B, C, f * (n + 1), f * (m + 1)].

    A transposed convolution whose kernel is twice as wide as its stride f. The outermost f pixels on each
    side have only one neighbour of two, and fall off towards 0. The kernel is a buffer: it gets no gradient,
    but is saved, and a checkpoint may bring another.
    """

    weight: Tensor

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("weight", bilinear_kernel(channels, factor))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, n, m] -> [B, C, f * (n + 1), f * (m + 1)]."""
        return F.conv_transpose2d(x, self.weight, stride=self.factor)


def bilinear_kernel(channels: int, factor: int) -> Tensor:
    """Each channel to itself, falling linearly from the middle: [channels, channels, 2 * factor, 2 * factor].

    Long et al., section 3.3. The weight at distance d from the middle, in pixels of the result, is 1 - d / f
    in each direction.
    """
    distance = (torch.arange(2 * factor) - (factor - 0.5)).abs()  # half-integers: the width is even
    ramp = 1 - distance / factor  # [2f]
    return torch.eye(channels)[:, :, None, None] * torch.outer(ramp, ramp)  # [C, C, 2f, 2f]


def valid_classifier(in_channels: int, width: int, num_classes: int) -> nn.Sequential:
    """fc6, fc7 and score_fr as convolutions: [B, in, n, m] -> [B, num_classes, n - 6, m - 6]."""
    fc6 = nn.Conv2d(in_channels, width, kernel_size=FIELD)
    nn.init.kaiming_normal_(fc6.weight, nonlinearity="relu")  # as `convolution` does, which would pad
    return nn.Sequential(
        fc6,
        nn.ReLU(inplace=True),
        nn.Dropout(),
        convolution(width, width, kernel_size=1, norm="none", activation="relu"),
        nn.Dropout(),
        head(width, num_classes),
    )


def cut(x: Tensor, offset: int, like: Tensor) -> Tensor:
    """The part of `x` that begins at that row and column and is as large as `like`."""
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


@register_model(paper="arXiv:1411.4038", origin="shelhamer/fcn.berkeleyvision.org", small=SMALL)
def fcn32s_caffe(config: FCNConfig) -> CaffeFCN:
    """FCN-32s as published: VGG16's classifier at each pixel, enlarged 32 times; 134 M parameters."""
    return CaffeFCN(config, skips=0)


@register_model(paper="arXiv:1411.4038", origin="shelhamer/fcn.berkeleyvision.org", small=SMALL)
def fcn16s_caffe(config: FCNConfig) -> CaffeFCN:
    """FCN-16s as published: FCN-32s joined with scores of pool4; 134 M parameters."""
    return CaffeFCN(config, skips=1)


@register_model(paper="arXiv:1411.4038", origin="shelhamer/fcn.berkeleyvision.org", small=SMALL)
def fcn8s_caffe(config: CaffeFCN8Config) -> CaffeFCN:
    """FCN-8s as published: FCN-16s joined with scores of pool3; 134 M parameters."""
    return CaffeFCN(config, skips=2, scales=AT_ONCE if config.at_once else (1.0, 1.0))
