"""Plain U-Nets as they come along with collections of other networks, to compare those with.

- `vgg_block_unet`: UNet of https://github.com/4uiiurz1/pytorch-nested-unet.
- `upconv_unet`, `unet_dict`: U_Net and Unet_dict of
  https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets.

All have the shape of Ronneberger et al. (2015), arXiv:1505.04597, padded and with norms; they differ in how
they go up and in the order in which a skip is joined.
"""

from functools import partial

from pydantic import Field
from torch import nn

from uvala.config import Config
from uvala.models.blocks import (
    Concatenate,
    convolution,
    convolutions,
    nearest_up,
    stretched_up,
)
from uvala.models.catalog import register_model
from uvala.models.unet import UNet, five_level_unet

__all__ = [
    "UNetDictConfig",
    "UpconvUNetConfig",
    "VGGBlockUNetConfig",
    "unet_dict",
    "upconv_unet",
    "vgg_block_unet",
]


class VGGBlockUNetConfig(Config):
    """The options of `vgg_block_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(32, ge=1, description="channels of the first level; each level below doubles them")


@register_model(paper="arXiv:1505.04597", origin="4uiiurz1/pytorch-nested-unet")
def vgg_block_unet(config: VGGBlockUNetConfig) -> UNet:
    """The U-Net that pytorch-nested-unet has: bilinear upsampling without weights; 7.9 M parameters."""
    block = partial(convolutions, bias=True)
    # 32, 64, 128, 256, 512 channels
    return five_level_unet(config, block=block, up=stretched_up)


class UpconvUNetConfig(Config):
    """The options of `upconv_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=1, description="channels of the first level; each level below doubles them")


@register_model(paper="arXiv:1505.04597", origin="bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets")
def upconv_unet(config: UpconvUNetConfig) -> UNet:
    """A U-Net that goes up by nearest neighbours and a 3x3 convolution; 34.5 M parameters."""
    block = partial(convolutions, bias=True)
    # 64, 128, 256, 512, 1024 channels
    return five_level_unet(config, block=block, up=nearest_up)


class UNetDictConfig(Config):
    """The options of `unet_dict`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits")
    width: int = Field(32, ge=1, description="channels of the first level; each level below doubles them")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="share of values dropped between the convolutions of each level"
    )


@register_model(paper="arXiv:1505.04597", origin="bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets")
def unet_dict(config: UNetDictConfig) -> UNet:
    """A narrow U-Net with transposed convolutions and dropout in each block; 8.6 M parameters."""

    def block(in_channels: int, out_channels: int) -> nn.Sequential:
        make = partial(convolution, kernel_size=3, norm="batch", activation="relu", bias=True)
        return nn.Sequential(
            make(in_channels, out_channels), nn.Dropout(config.dropout), make(out_channels, out_channels)
        )

    # 3x3 with a stride of 2, padded so that height and width just double
    up = partial(nn.ConvTranspose2d, kernel_size=3, stride=2, padding=1, output_padding=1)
    return five_level_unet(
        config, block=block, up=up, merge=partial(Concatenate, up_first=True)
    )  # 32, 64, 128, 256, 512
