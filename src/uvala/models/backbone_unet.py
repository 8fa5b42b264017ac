"""A U-Net on VGG16 or on ResNet-50 that goes up by interpolation alone, without norms.

In the form of unet-pytorch, https://github.com/bubbliiiing/unet-pytorch. Ronneberger et al. (2015),
arXiv:1505.04597, with the way down of Simonyan & Zisserman (2014), arXiv:1409.1556, or of He et al. (2015),
arXiv:1512.03385.
"""

from functools import partial

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolutions, crop, head, pad_to_multiple, stretched_up
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.pretrained import RESNETS, load_imagenet, require_published
from uvala.models.resnet import LAYERS, Layers, ResNet
from uvala.models.vgg import VGG16

__all__ = ["BackboneUNet", "ResNet50UNetConfig", "VGG16UNetConfig", "resnet50_unet", "vgg16_unet"]

FACTORS = (1, 2, 4, 8)  # channels of each step up, finest first, in widths


class VGG16UNetConfig(Config):
    """The options of `vgg16_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(
        64, ge=1, description="channels of the first level; those below have 2, 4, 8 and 8 times as many"
    )
    pretrained: bool = Field(
        False, description="start with timm's ImageNet weights of the encoder, which may be downloaded"
    )

    @field_validator("pretrained")
    @classmethod
    def _is_published(cls, pretrained: bool, info: ValidationInfo) -> bool:
        return require_published(pretrained, info.data)


class ResNet50UNetConfig(Config):
    """The options of `resnet50_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    layers: Layers = Field(
        LAYERS, description="blocks per layer: 3, 4, 6, 3 is ResNet-50; 3, 4, 23, 3 is ResNet-101"
    )
    width: int = Field(
        64, ge=1, description="channels of the stem; the four layers have 4, 8, 16, 32 times as many"
    )
    pretrained: bool = Field(
        False, description="start with timm's ImageNet weights of the encoder, which may be downloaded"
    )

    @field_validator("pretrained")
    @classmethod
    def _is_published(cls, pretrained: bool, info: ValidationInfo) -> bool:
        return require_published(pretrained, info.data, "bottleneck")


class BackboneUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of `multiple` are padded and cropped inside.

    encoder: image -> five maps, each half as large as the one before. The way up has `width`, twice, four and
    eight times as many channels. last: what follows it, to the size of the image with as many channels.
    slack: sizes that lack so many pixels of a multiple need no padding.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(
        self,
        encoder: VGG16 | ResNet,
        *,
        num_classes: int,
        width: int,
        last: nn.Module,
        multiple: int,
        slack: int = 0,
    ) -> None:
        super().__init__()
        self.multiple = multiple
        self.slack = slack
        self.encoder = encoder
        self.decoders = nn.ModuleList()  # deepest first
        below = encoder.channels[-1]
        self.up = stretched_up(below, below)  # of every step: it has no weights
        for skip, factor in zip(reversed(encoder.channels[:-1]), reversed(FACTORS), strict=True):
            self.decoders.append(convolutions(skip + below, factor * width, norm="none"))
            below = factor * width
        self.last = last
        self.head = head(width, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        # the first map is as large as the image, or half; the comments say f for that, w for `width`
        x, size = pad_to_multiple(image, self.multiple, slack=self.slack)  # [B, in, H', W']
        *skips, x = self.encoder(x, partial(run, self))  # [B, channels[i], H'/(f * 2^i), W'/(f * 2^i)]
        for decode, skip in zip(self.decoders, reversed(skips), strict=True):
            x = run(self, partial(_rise, self.up, decode), skip, x)
            # [B, 8w, H'/(f * 8), W'/(f * 8)] ... [B, w, H'/f, W'/f]
        x = run(self, self.last, x)  # [B, w, H', W']
        return crop(self.head(x), size)  # [B, num_classes, H, W]


def _rise(up: nn.Module, decode: nn.Module, skip: Tensor, below: Tensor) -> Tensor:
    """One step of the way up: [B, s, h, w], [B, b, h/2, w/2] -> [B, out, h, w]."""
    return decode(torch.cat([skip, up(below)], dim=1))


@register_model(paper="arXiv:1505.04597", origin="bubbliiiing/unet-pytorch")
def vgg16_unet(config: VGG16UNetConfig) -> BackboneUNet:
    """A U-Net on VGG16, up by interpolation, without norms; 24.9 M parameters."""
    encoder = VGG16(config.in_channels, config.width)
    if config.pretrained:
        load_imagenet(encoder, "vgg16", config.in_channels)
    return BackboneUNet(
        encoder,
        num_classes=config.num_classes,
        width=config.width,
        last=nn.Identity(),
        multiple=16,
    )


@register_model(
    paper="arXiv:1505.04597", origin="bubbliiiing/unet-pytorch", small={"width": 4, "layers": (1, 1, 1, 1)}
)
def resnet50_unet(config: ResNet50UNetConfig) -> BackboneUNet:
    """A U-Net on ResNet-50, up by interpolation, without norms on that way; 43.9 M parameters."""
    w = config.width
    # not padded, and a square that hangs over the edge counts: the map is as large as torchvision's, but each
    # square lies one pixel further to the right and below
    pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=True)
    encoder = ResNet(config.in_channels, block="bottleneck", layers=config.layers, width=w, pool=pool)
    if config.pretrained:
        load_imagenet(encoder, RESNETS["bottleneck"][config.layers], config.in_channels)
    return BackboneUNet(
        encoder,
        num_classes=config.num_classes,
        width=w,
        # the stem halves before the first map
        last=nn.Sequential(stretched_up(w, w), *convolutions(w, w, norm="none")),
        multiple=32,
        slack=1,  # the stem rounds up
    )
