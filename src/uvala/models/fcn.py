"""Fully convolutional networks on VGG16: FCN-32s, -16s and -8s with learned 2x2 steps.

Long, Shelhamer, Darrell (2015), arXiv:1411.4038, figure 3: the classifier of VGG16 becomes convolutions, and
its coarse scores are joined with those of pool4 and of pool3. In a form that circulates among users of
torchvision's VGG16, with these departures from the paper: the 7x7 convolution is padded by 3 in place of the
image by 100; a step up is a learned 2x2 convolution; the last one, to the size of the image, is a bilinear
interpolation of corners onto corners. For the paper's own see `fcn_caffe`.
"""

from functools import partial

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolution, crop, head, transposed_up
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.vgg import VGG16, pad_uneven

__all__ = ["FCN", "FCNConfig", "fcn8s", "fcn16s", "fcn32s"]

MULTIPLE = 32  # five poolings
SMALL = {"width": 8, "fc_width": 16}


class FCNConfig(Config):
    """The options of the fully convolutional networks on VGG16."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(
        64, ge=1, description="channels of the first stage; the last ones have eight times more"
    )
    fc_width: int = Field(4096, ge=1, description="channels of fc6 and fc7, VGG16's fully connected layers")


class FCN(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1; what is below 32 is padded inside. Other sizes run as they are, and each
    pooling drops the last of an odd number of rows.

    skips: how many finer maps than pool5 are scored too: 0 (FCN-32s), 1 (pool4, FCN-16s) or 2 (and pool3,
    FCN-8s). step: rows of that stride may not be dropped by a pooling, the image is padded if they would;
    32 for none.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: FCNConfig, *, skips: int, step: int = MULTIPLE) -> None:
        super().__init__()
        self.multiple = MULTIPLE
        self.padded_to = 1  # but for what `step` says
        self.step = step
        self.trunk = VGG16(config.in_channels, config.width, pooled=True)
        fine = self.trunk.channels[2:4][::-1][:skips]  # of pool4, of pool3
        classes = config.num_classes
        self.classify = fully_convolutional(self.trunk.channels[-1], config.fc_width, classes)
        self.ups = nn.ModuleList(transposed_up(classes, classes) for _ in fine)
        self.scores = nn.ModuleList(head(channels, classes) for channels in fine)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        padded, size = pad_uneven(image, self.step, MULTIPLE)  # [B, in, H', W']
        pool5, *finer = reversed(self.trunk(padded, partial(run, self)))  # [B, 8w, H'/32, W'/32] and so on
        x = run(self, self.classify, pool5)  # [B, num_classes, H'/32, W'/32]
        for up, score, pool in zip(self.ups, self.scores, finer[: len(self.ups)], strict=True):
            x = add_up(up(x), score(pool))  # [B, num_classes, H'/16, W'/16], then H'/8, W'/8
        x = F.interpolate(x, size=padded.shape[-2:], mode="bilinear", align_corners=True)
        return crop(x, size)  # [B, num_classes, H, W]


def fully_convolutional(in_channels: int, width: int, num_classes: int) -> nn.Sequential:
    """VGG16's classifier as convolutions, the 7x7 padded: [B, in, h, w] -> [B, num_classes, h, w]."""
    return nn.Sequential(
        convolution(in_channels, width, kernel_size=7, norm="none", activation="relu"),
        nn.Dropout(),
        convolution(width, width, kernel_size=1, norm="none", activation="relu"),
        nn.Dropout(),
        head(width, num_classes),
    )


def add_up(coarse: Tensor, fine: Tensor) -> Tensor:
    """Their sum, where `coarse` may lack last rows or columns, which count as 0: [B, C, h, w], twice."""
    down, right = fine.shape[-2] - coarse.shape[-2], fine.shape[-1] - coarse.shape[-1]
    if down or right:
        coarse = F.pad(coarse, (0, right, 0, down))
    return coarse + fine


@register_model(paper="arXiv:1411.4038", origin="tutorial", small=SMALL)
def fcn32s(config: FCNConfig) -> FCN:
    """FCN-32s on VGG16: scores of 1/32 of the size, enlarged at once; 134 M parameters."""
    return FCN(config, skips=0)


@register_model(paper="arXiv:1411.4038", origin="tutorial", small=SMALL)
def fcn16s(config: FCNConfig) -> FCN:
    """FCN-16s on VGG16: FCN-32s joined with scores of pool4; 134 M parameters."""
    # the origin has no room for an odd row of pool4, and refuses such an image
    return FCN(config, skips=1, step=16)


@register_model(paper="arXiv:1411.4038", origin="tutorial", small=SMALL)
def fcn8s(config: FCNConfig) -> FCN:
    """FCN-8s on VGG16: FCN-16s joined with scores of pool3; 134 M parameters."""
    return FCN(config, skips=2)
