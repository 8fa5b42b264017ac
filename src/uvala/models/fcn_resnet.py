"""A fully convolutional network on a dilated ResNet: torchvision's fcn_resnet50 and fcn_resnet101.

After Long, Shelhamer, Darrell (2015), arXiv:1411.4038, on He et al. (2015), arXiv:1512.03385, in the form of
torchvision (https://github.com/pytorch/vision): the last two layers dilate instead of striding (Chen et al.
2017, arXiv:1706.05587), so that the features stay at 1/8 of the size. No skips; the scores are enlarged at
once.
"""

from functools import partial

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolution, head
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.resnet import LAYERS, Layers, ResNet

__all__ = ["ResNetFCN", "ResNetFCNConfig", "fcn_resnet50"]

STRIDE = 8
SQUEEZE = 4  # a head has a quarter of the channels that it sees
DROPOUT = 0.1
AUX_WEIGHT = 0.5  # of the auxiliary loss, next to 1: torchvision's references/segmentation/train.py


class ResNetFCNConfig(Config):
    """The options of `fcn_resnet50`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    layers: Layers = Field(
        LAYERS, description="blocks per layer: 3, 4, 6, 3 is ResNet-50; 3, 4, 23, 3 is ResNet-101"
    )
    width: int = Field(64, ge=1, description="channels of the stem; the last layer has 32 times more")
    aux: bool = Field(
        False, description="a second head on the third layer, whose loss counts half, in training"
    )


class ResNetFCN(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1. In training with `aux` it returns [logits, those of the third layer].
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: ResNetFCNConfig) -> None:
        super().__init__()
        self.multiple = STRIDE
        self.padded_to = 1
        self.trunk = ResNet(
            config.in_channels,
            block="bottleneck",
            layers=config.layers,
            width=config.width,
            dilated=True,
        )
        *_, third, last = self.trunk.channels
        self.head = fcn_head(last, config.num_classes)
        self.aux = fcn_head(third, config.num_classes) if config.aux else None
        if config.aux:
            self.loss_weights = (1 / (1 + AUX_WEIGHT), AUX_WEIGHT / (1 + AUX_WEIGHT))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """[B, in_channels, H, W] -> [B, num_classes, H, W], or two of them."""
        *_, third, last = self.trunk(image, partial(run, self))  # [B, channels[i], H/8, W/8] each
        logits = enlarge(run(self, self.head, last), image)  # [B, num_classes, H, W]
        if self.aux is None or not self.training:
            return logits
        return [logits, enlarge(run(self, self.aux, third), image)]  # [B, num_classes, H, W] each


def fcn_head(in_channels: int, num_classes: int) -> nn.Sequential:
    """3x3 to a quarter of the channels, dropout, 1x1: [B, in, h, w] -> [B, num_classes, h, w]."""
    inner = in_channels // SQUEEZE
    return nn.Sequential(
        convolution(in_channels, inner, kernel_size=3, norm="batch", activation="relu"),
        nn.Dropout(DROPOUT),
        head(inner, num_classes),
    )


def enlarge(x: Tensor, image: Tensor) -> Tensor:
    """Bilinear interpolation to the size of the image, edges on edges: [B, C, h, w] -> [B, C, H, W]."""
    # to a size, not by a factor of 8: where the size does not divide, pixels are spread over it evenly
    return F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)


@register_model(paper="arXiv:1411.4038", origin="pytorch/vision", small={"width": 4, "layers": (1, 1, 1, 1)})
def fcn_resnet50(config: ResNetFCNConfig) -> ResNetFCN:
    """FCN on a ResNet-50 (or -101) whose last two layers are dilated, as in torchvision; 33 M parameters."""
    return ResNetFCN(config)
