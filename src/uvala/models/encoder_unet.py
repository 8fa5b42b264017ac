"""U-Nets on any encoder of timm, in the form of segmentation_models.pytorch.

https://github.com/qubvel-org/segmentation_models.pytorch, release 0.6. Ronneberger et al. (2015),
arXiv:1505.04597, with the way down of a network that was trained on ImageNet: Iglovikov & Shvets (2018),
arXiv:1801.05746. On the way up pixels are repeated, the skip comes behind what came up, and two convolutions
follow; the last two steps may have no skip, where the encoder's finest map is at a quarter of the resolution.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import Norm, convolution, crop, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.encoders import Encoder, EncoderForm, make_encoder
from uvala.models.skips import SCSE

__all__ = [
    "DecoderBlock",
    "DecoderConfig",
    "EncoderConfig",
    "EncoderUNet",
    "EncoderUNetConfig",
    "encoder_of",
    "encoder_unet",
]

Attention = Literal["none", "scse"]
Interpolation = Literal["nearest", "bilinear"]


class EncoderConfig(Config):
    """The options that all networks on an encoder of timm have."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    encoder: str = Field("resnet34", description="name of the encoder in timm")
    pretrained: bool = Field(False, description="start with timm's ImageNet weights, which may be downloaded")
    depth: int = Field(
        5, ge=1, le=5, description="halvings of the encoder, where it has so many: 5 is stride 32"
    )
    form: EncoderForm = Field(
        "timm",
        description="form of the encoder: timm's, or where it differs that of segmentation_models.pytorch",
    )
    decoder_norm: Literal["batch", "none"] = Field("batch", description="norm of the decoder's convolutions")


class DecoderConfig(EncoderConfig):
    """The options of networks whose decoder joins skips by their channels."""

    decoder_channels: tuple[int, ...] = Field(
        (256, 128, 64, 32, 16),
        min_length=1,
        max_length=5,
        description="channels of the decoder, coarsest first; of more than `depth` the last are taken",
    )
    attention: Attention = Field("none", description="squeeze and excitation in the decoder: none or scse")
    interpolation: Interpolation = Field("nearest", description="how the decoder doubles height and width")

    @field_validator("decoder_channels")
    @classmethod
    def _one_for_each_step(cls, channels: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        depth = info.data.get("depth", len(channels))
        if len(channels) < depth or min(channels) < 1:
            raise ValueError(f"must be {depth} numbers from 1, one for each halving of the encoder")
        return channels[len(channels) - depth :]


class EncoderUNetConfig(DecoderConfig):
    """The options of the family `unet:`."""

    center: bool | None = Field(
        None, description="two convolutions at the lowest level; if not set, with VGG encoders only"
    )

    @field_validator("center")
    @classmethod
    def _center_where_vgg_has_it(cls, center: bool | None, info: ValidationInfo) -> bool:
        # VGG ends in a pooling, and no convolution would see its result
        return str(info.data.get("encoder", "")).startswith("vgg") if center is None else center


class DecoderBlock(nn.Module):
    """A step of the decoder: up, joined with the skip, two convolutions.

    skip_channels: 0 if there is no skip. last: nothing is weighed before the convolutions of the last step.
    """

    def __init__(
        self,
        below_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        last: bool,
        norm: Norm,
        attention: Attention,
        interpolation: Interpolation,
    ) -> None:
        super().__init__()
        joined = below_channels + skip_channels
        block = partial(convolution, kernel_size=3, norm=norm, activation="relu")
        self.interpolation = interpolation
        self.weigh_joined = SCSE(joined) if attention == "scse" and not last else nn.Identity()
        self.convolution1 = block(joined, out_channels)
        self.convolution2 = block(out_channels, out_channels)
        self.weigh = SCSE(out_channels) if attention == "scse" else nn.Identity()

    def forward(self, size: tuple[int, int] | None, below: Tensor, skip: Tensor | None = None) -> Tensor:
        """[B, b, h/2, w/2], [B, s, h, w] -> [B, out, h, w]; size: (h, w), None for twice those of `below`."""
        x = _rise(below, size, self.interpolation)  # [B, b, h, w]
        if skip is not None:
            x = torch.cat([x, skip], dim=1)  # [B, b + s, h, w]
        x = self.weigh_joined(x)  # [B, b + s, h, w]
        return self.weigh(self.convolution2(self.convolution1(x)))  # [B, out, h, w]


class EncoderUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1. Sizes that do not divide go through as they are if the encoder takes them,
    and each step of the decoder is resized to its skip; for other encoders they are padded and cropped.

    decoder_channels: after each step up, coarsest first. center: what the coarsest map passes.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        decoder_channels: Sequence[int],
        center: nn.Module,
        norm: Norm,
        attention: Attention,
        interpolation: Interpolation,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.center = center
        self.multiple = encoder.multiple
        # a tile has other numbers than the image where the encoder's squares lie elsewhere at another size
        self.local = encoder.behaviour.measurable and (
            encoder.behaviour.exact or not encoder.behaviour.ragged
        )
        self.padded_to = 1 if encoder.behaviour.ragged else encoder.multiple
        self.least = encoder.behaviour.least if encoder.behaviour.ragged else encoder.multiple
        block = partial(DecoderBlock, norm=norm, attention=attention, interpolation=interpolation)
        below, *skips = reversed(encoder.channels)
        self.blocks = nn.ModuleList()
        for step, (skip, width) in enumerate(zip([*skips, 0], decoder_channels, strict=True)):
            self.blocks.append(block(below, skip, width, last=step == len(skips)))
            below = width
        self.head = nn.Conv2d(below, num_classes, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        image, size = pad_to_multiple(image, self.padded_to, at_least=self.least)  # [B, in, H', W']
        *skips, x = self.encoder(image, self)  # [B, channels[i], H'/2^(i+1), W'/2^(i+1)] each, or None
        sizes = _sizes(image, skips, self.multiple)
        x = run(self, self.center, x)  # [B, channels[-1], H'/2^depth, W'/2^depth]
        for block, up_to, skip in zip(self.blocks, sizes, [*reversed(skips), None], strict=True):
            x = run(self, partial(block, up_to), x, *[] if skip is None else [skip])
            # [B, decoder_channels[i], H'/2^(depth-1-i), W'/2^(depth-1-i)]
        return crop(self.head(x), size)  # [B, num_classes, H, W]


def _rise(x: Tensor, size: tuple[int, int] | None, interpolation: str = "nearest") -> Tensor:
    """[B, C, h, w] -> [B, C, 2h, 2w], or to `size` if it is given."""
    if size is None:
        return F.interpolate(x, scale_factor=2.0, mode=interpolation)
    halves_up = all(
        2 * below - 1 <= side <= 2 * below for below, side in zip(x.shape[-2:], size, strict=True)
    )
    if halves_up and interpolation == "nearest":
        # the same pixels as below, which a tile can take too: floor(i h / (2h - 1)) is floor(i / 2)
        return crop(F.interpolate(x, scale_factor=2.0, mode="nearest"), size)
    return F.interpolate(x, size=size, mode=interpolation)


def _sizes(image: Tensor, skips: Sequence[Tensor | None], multiple: int) -> list[tuple[int, int] | None]:
    """Heights and widths that the steps of the decoder go up to; None for twice those below."""
    height, width = image.shape[-2:]
    if height % multiple == 0 and width % multiple == 0:
        return [None] * (len(skips) + 1)
    # where there is no skip: the image's own, halved and rounded down
    halved = [(height >> level, width >> level) for level in range(1, len(skips) + 1)]
    sizes = [
        half if skip is None else (skip.shape[-2], skip.shape[-1])
        for skip, half in zip(skips, halved, strict=True)
    ]
    return [*reversed(sizes), (height, width)]


def encoder_of(config: EncoderConfig) -> Encoder:
    """The encoder that the options name."""
    return make_encoder(
        config.encoder,
        config.in_channels,
        depth=config.depth,
        form=config.form,
        pretrained=config.pretrained,
    )


SMALL: dict[str, Any] = {"encoder": "test_resnet", "decoder_channels": (8, 8, 8, 8, 4)}


@register_model(
    name="unet:", paper="arXiv:1505.04597", origin="qubvel-org/segmentation_models.pytorch", small=SMALL
)
def encoder_unet(config: EncoderUNetConfig) -> EncoderUNet:
    """U-Net on any encoder of timm; 24.4 M parameters with resnet34."""
    encoder = encoder_of(config)
    return EncoderUNet(
        encoder,
        num_classes=config.num_classes,
        decoder_channels=config.decoder_channels[-len(encoder.channels) :],
        center=make_center(encoder.channels[-1], config.decoder_norm) if config.center else nn.Identity(),
        norm=config.decoder_norm,
        attention=config.attention,
        interpolation=config.interpolation,
    )


def make_center(channels: int, norm: Norm) -> nn.Sequential:
    """Two convolutions that keep the channels: [B, C, h, w] -> [B, C, h, w]."""
    block = partial(convolution, channels, channels, kernel_size=3, norm=norm, activation="relu")
    return nn.Sequential(block(), block())
