"""CE-Net: a ResNet-34 U-Net with added skips and, at its bottom, context of several ranges.

Gu et al. (2019), "CE-Net: Context encoder network for 2D medical image segmentation", arXiv:1903.02740: the
dense atrous convolution block (figure 3) and the residual multi-kernel pooling (figure 4). In the form of
UNET-ZOO, https://github.com/Andy-zhujunwen/UNET-ZOO, which is that of the authors,
https://github.com/Guzaiwang/CE-Net.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.models.catalog import register_model
from uvala.models.pretrained import RESNETS, load_imagenet
from uvala.models.resnet import ResNet
from uvala.models.resnet_unet import MULTIPLE, AdditiveUNet, AdditiveUNetConfig

__all__ = ["cenet"]

DILATIONS = (1, 3, 5)
POOLS = (2, 3, 5, 6)  # sides of the squares, in pixels of the map


class DenseAtrous(nn.Module):
    """Four branches with receptive fields of 3, 7, 9 and 19, added to the input; they share their weights.

    [B, C, H, W] -> [B, C, H, W].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.atrous = nn.ModuleList(
            nn.Conv2d(channels, channels, kernel_size=3, padding=dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.mix = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        narrow, middle, wide = self.atrous
        first = narrow(x)  # [B, C, H, W], as all below: receptive field 3
        second = self.mix(middle(x))  # 7
        third = middle(first)  # 9
        fourth = self.mix(wide(third))  # 19
        return x + F.relu(first) + F.relu(second) + F.relu(self.mix(third)) + F.relu(fourth)


class MultiKernelPooling(nn.Module):
    """What stands out in squares of several sizes, as one channel each before the input's own.

    [B, C, H, W] -> [B, 4 + C, H, W], H and W from 6. One convolution serves all sizes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = len(POOLS) + channels
        self.reduce = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 4 + C, H, W]."""
        size = x.shape[-2:]
        pooled = [self.reduce(F.max_pool2d(x, side)) for side in POOLS]  # [B, 1, H / side, W / side]
        spread = [F.interpolate(each, size, mode="bilinear", align_corners=False) for each in pooled]
        return torch.cat([*spread, x], dim=1)  # [B, 4 + C, H, W]


@register_model(
    paper="arXiv:1903.02740", origin="Andy-zhujunwen/UNET-ZOO", small={"width": 4, "layers": (1, 1, 1, 1)}
)
def cenet(config: AdditiveUNetConfig) -> AdditiveUNet:
    """CE-Net: ResNet-34, dilated convolutions and pooling of four sizes at the bottom; 29.0 M parameters."""
    encoder = ResNet(config.in_channels, block="basic", layers=config.layers, width=config.width)
    if config.pretrained:
        load_imagenet(encoder, RESNETS["basic"][config.layers], config.in_channels)
    deepest = encoder.channels[-1]
    pooling = MultiKernelPooling(deepest)
    return AdditiveUNet(
        encoder,
        num_classes=config.num_classes,
        bottom=nn.Sequential(DenseAtrous(deepest), pooling),
        bottom_channels=pooling.out_channels,
        # the largest square must fit into the deepest map
        at_least=max(POOLS) * MULTIPLE,
    )
