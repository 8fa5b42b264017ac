"""The Attention U-Net: a gate on each skip, which lets through what the coarser level asks for.

Oktay et al. (2018), arXiv:1804.03999, in the form of https://github.com/Andy-zhujunwen/UNET-ZOO and
https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets, which are one network: upsampling by
nearest neighbours and a convolution, the gate at the resolution of the skip.
"""

from functools import partial

from pydantic import Field

from uvala.config import Config
from uvala.models.blocks import convolutions, nearest_up
from uvala.models.catalog import register_model
from uvala.models.skips import GatedMerge
from uvala.models.unet import UNet, five_level_unet

__all__ = ["AttentionUNetConfig", "attention_unet"]


class AttentionUNetConfig(Config):
    """The options of `attention_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=1, description="channels of the first level; each level below doubles them")


@register_model(paper="arXiv:1804.03999", origin="Andy-zhujunwen/UNET-ZOO")
def attention_unet(config: AttentionUNetConfig) -> UNet:
    """Attention U-Net: what comes up from below gates each skip; 34.9 M parameters."""
    block = partial(convolutions, bias=True)
    # 64, 128, 256, 512, 1024 channels
    return five_level_unet(config, block=block, up=nearest_up, merge=GatedMerge)
