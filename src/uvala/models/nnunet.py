"""nnU-Net's two networks in 2D: plain convolutions or residual blocks on the way down, with deep supervision.

Isensee et al. (2021), doi:10.1038/s41592-020-01008-z, and for the residual encoder Isensee et al. (2024),
arXiv:2404.09556; in the form of https://github.com/MIC-DKFZ/dynamic-network-architectures. Each stage goes
down by the stride of its first convolution; a transposed convolution, whose kernel is that stride, undoes it
on the way up; and every resolution but the coarsest has logits of its own for the loss.

Numbers of stages and all that is said per stage come from a plan that nnU-Net makes for a data set;
`uvala.weights.nnunet_plans` reads those. What stands here as default is its usual plan for 2D.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, PositiveInt, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import (
    LEAK,
    Activation,
    InstanceNorm,
    crop,
    head,
    make_activation,
    pad_to_multiple,
)
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing

__all__ = [
    "NnUNet",
    "PlainConvUNetConfig",
    "ResidualEncoderUNetConfig",
    "plain_conv_unet",
    "residual_encoder_unet",
]

Pair = tuple[PositiveInt, PositiveInt]
"""Of height and width."""

BLOCKS = (1, 3, 4, 6)  # of the residual encoder's stages; all further ones have 6 too


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


def _pairs(value: Any) -> Any:
    several = _several(value)
    if not isinstance(several, list | tuple):
        return value
    return tuple((side, side) if isinstance(side, int) else side for side in several)


Counts = Annotated[tuple[PositiveInt, ...], BeforeValidator(_several)]
"""One number for all stages, or one each."""

Sides = Annotated[tuple[Pair, ...], BeforeValidator(_pairs)]
"""One pair for all stages, or one each; a number stands for a pair of the same."""


class StagesConfig(Config):
    """What both networks have in common."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits")
    widths: Counts = Field(
        (32, 64, 128, 256, 512, 512, 512), min_length=2, description="channels of each stage, finest first"
    )
    strides: Sides = Field(
        ((2, 2),),
        min_length=1,
        description="down at the beginning of each stage (the first: 1), or one for all but the first",
    )
    kernel_sizes: Sides = Field(
        ((3, 3),), description="sides of the convolutions of each stage, down and up, or one for all"
    )
    bias: bool = Field(True, description="convolutions and transposed convolutions have a bias")
    norm: Literal["instance", "batch", "none"] = Field(
        "instance", description="norm after each convolution; instance costs tiles a pass over the image each"
    )
    affine: bool = Field(True, description="norms scale and shift")
    activation: Activation = Field("leaky_relu", description="activation after each norm")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="share of channels dropped after each convolution; none: no such layer"
    )
    deep_supervision: bool = Field(True, description="training mode gives logits at every resolution")
    decoder_convolutions: Counts = Field(
        (2,), description="convolutions of each stage on the way up, deepest first, or one for all"
    )

    @field_validator("strides")
    @classmethod
    def _strides_per_stage(cls, strides: tuple[Pair, ...], info: ValidationInfo) -> tuple[Pair, ...]:
        stages = len(info.data.get("widths", strides))
        strides = ((1, 1), *strides * (stages - 1)) if len(strides) == 1 else strides
        if strides[0] != (1, 1):
            raise ValueError("the first stage has the resolution of the image, stride 1")
        return _per_stage(strides, stages)

    @field_validator("kernel_sizes")
    @classmethod
    def _kernel_sizes_per_stage(cls, sizes: tuple[Pair, ...], info: ValidationInfo) -> tuple[Pair, ...]:
        if not all(side % 2 for pair in sizes for side in pair):
            raise ValueError("must be odd, so that each convolution has a middle")
        return _per_stage(sizes, len(info.data.get("widths", sizes)))

    @field_validator("affine")
    @classmethod
    def _affine_only_with_a_norm(cls, affine: bool, info: ValidationInfo) -> bool:
        return affine or info.data.get("norm") == "none"

    @field_validator("decoder_convolutions")
    @classmethod
    def _one_stage_less_on_the_way_up(cls, counts: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        return _per_stage(counts, len(info.data.get("widths", (0, *counts))) - 1)


def _per_stage(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """One for each of `count` stages, of as many or of one for all."""
    values = values * count if len(values) == 1 else values
    if len(values) != count:
        raise ValueError(f"has {len(values)} values for {count} stages; give one for all, or {count}")
    return values


class PlainConvUNetConfig(StagesConfig):
    """The options of `plain_conv_unet`."""

    convolutions: Counts = Field(
        (2,), description="convolutions of each stage on the way down, or one for all"
    )
    activation_first: bool = Field(False, description="activation before the norm")

    @field_validator("convolutions")
    @classmethod
    def _convolutions_per_stage(cls, counts: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        return _per_stage(counts, len(info.data.get("widths", counts)))


class ResidualEncoderUNetConfig(StagesConfig):
    """The options of `residual_encoder_unet`."""

    decoder_convolutions: Counts = Field(
        (1,), description="convolutions of each stage on the way up, deepest first, or one for all"
    )
    stem_width: int | None = Field(
        None,
        ge=1,
        description="channels of the convolution before the first stage; none: those of that stage",
    )
    blocks: Counts = Field(
        (), description="residual blocks of each stage, or one for all; none: 1, 3, 4, and 6 from there on"
    )
    bottleneck_widths: Counts = Field(
        (),
        description="channels inside the blocks of each stage, or one for all, which then have three "
        "convolutions; none: two without a bottleneck",
    )

    @field_validator("stem_width")
    @classmethod
    def _stem_as_wide_as_the_first_stage(cls, width: int | None, info: ValidationInfo) -> int | None:
        return width or info.data.get("widths", (None,))[0]

    @field_validator("blocks")
    @classmethod
    def _blocks_per_stage(cls, counts: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        stages = len(info.data.get("widths", counts))
        usual = (*BLOCKS, *BLOCKS[-1:] * stages)[:stages]
        return _per_stage(counts or usual, stages)

    @field_validator("bottleneck_widths")
    @classmethod
    def _bottlenecks_per_stage(cls, widths: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        return _per_stage(widths, len(info.data.get("widths", widths))) if widths else widths


class NnUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: each is padded to a multiple of the product of its strides and cropped
    inside. With deep supervision training mode returns a list of logits, full resolution first; each is
    coarser than the one before by the stride of a stage. The coarsest features of all have no logits.

    stem: before the first stage. encoders, strides: one for each stage, finest first; an encoder goes down by
    the stride (of H, of W). ups, decoders, heads: deepest first, one for each stage but the deepest; without
    deep supervision there is the last head alone.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(
        self,
        *,
        stem: nn.Module,
        encoders: Sequence[nn.Module],
        strides: Sequence[tuple[int, int]],
        ups: Sequence[nn.Module],
        decoders: Sequence[nn.Module],
        heads: Sequence[nn.Module],
        deep_supervision: bool,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.encoders = nn.ModuleList(encoders)
        self.ups = nn.ModuleList(ups)
        self.decoders = nn.ModuleList(decoders)
        self.heads = nn.ModuleList(heads)
        self.scales = list(accumulate(strides, lambda above, pair: (above[0] * pair[0], above[1] * pair[1])))
        self.multiple = math.lcm(*self.scales[-1])
        self.deep_supervision = deep_supervision
        if deep_supervision:
            self.loss_weights = _halving(len(heads))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """[B, in_channels, H, W] -> [B, num_classes, H, W], or a list of them."""
        several = self.deep_supervision and self.training
        x, size = pad_to_multiple(image, self.scales[-1])  # [B, in, H', W']
        x = run(self, self.stem, x)  # [B, stem, H', W']
        skips = []
        for encode in self.encoders:
            x = run(self, encode, x)  # [B, widths[i], H'/scales[i][0], W'/scales[i][1]]
            skips.append(x)
        del skips[-1]  # x itself
        features = []
        for up, decode in zip(self.ups, self.decoders, strict=True):
            x = run(self, partial(_rise, up, decode), skips.pop(), x)  # as the skip
            if several:
                features.append(x)
        if several:
            return self._every_logits(features, size)
        return crop(self.heads[-1](x), size)  # [B, num_classes, H, W]

    def _every_logits(self, features: list[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Features, deepest first -> logits, finest first, without what was padded."""
        logits = [head(x) for head, x in zip(self.heads, features, strict=True)][::-1]
        return [
            crop(each, (-(-size[0] // rows), -(-size[1] // columns)))
            for each, (rows, columns) in zip(logits, self.scales[:-1], strict=True)
        ]


def _rise(up: nn.Module, decode: nn.Module, skip: Tensor, below: Tensor) -> Tensor:
    """One step of the way up: [B, s, h, w], [B, b, h/sy, w/sx] -> [B, s, h, w]."""
    return decode(torch.cat([up(below), skip], dim=1))


def _halving(count: int) -> tuple[float, ...]:
    """1, 1/2, 1/4, ... and 0 for the coarsest of several, divided by their sum, as nnU-Net v2 has it."""
    weights = [0.5**level for level in range(count)]
    if count > 1:
        weights[-1] = 0.0
    return tuple(weight / sum(weights) for weight in weights)


class ResidualBlock(nn.Module):
    """Convolutions beside a shortcut that averages where the body strides; the activation is after the sum.

    He et al. (2015), arXiv:1512.03385, with the shortcut of He et al. (2018), arXiv:1812.01187, figure 2c.
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential, activation: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.activation = body, shortcut, activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H/sy, W/sx]."""
        return self.activation(self.body(x) + self.shortcut(x))


def _residual_block(
    config: ResidualEncoderUNetConfig, before: int, after: int, stage: int, stride: tuple[int, int]
) -> ResidualBlock:
    convolution, kernel = partial(_convolution, config), config.kernel_sizes[stage]
    if config.bottleneck_widths:
        inner = config.bottleneck_widths[stage]
        body = [
            convolution(before, inner, (1, 1), dropped=False),
            convolution(inner, inner, kernel, stride),
            convolution(inner, after, (1, 1), dropped=False, active=False),
        ]
    else:
        body = [
            convolution(before, after, kernel, stride),
            convolution(after, after, kernel, dropped=False, active=False),
        ]
    if config.norm != "none" and config.affine:
        # each block starts as its shortcut: Goyal et al. (2017), arXiv:1706.02677, section 5.1
        nn.init.zeros_(body[-1].get_parameter("norm.weight"))
    shortcut = nn.Sequential()
    if stride != (1, 1):
        shortcut.add_module("pool", nn.AvgPool2d(stride))
    if before != after:
        shortcut.add_module(
            "project", convolution(before, after, (1, 1), dropped=False, active=False, bias=False)
        )
    return ResidualBlock(nn.Sequential(*body), shortcut, make_activation(config.activation))


def _convolution(
    config: StagesConfig,
    before: int,
    after: int,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    *,
    dropped: bool = True,
    active: bool = True,
    activation_first: bool = False,
    bias: bool | None = None,
) -> nn.Sequential:
    """Convolution, dropout, norm, activation: [B, before, H, W] -> [B, after, H/sy, W/sx]."""
    conv = nn.Conv2d(
        before,
        after,
        kernel_size,
        stride,
        padding=(kernel_size[0] // 2, kernel_size[1] // 2),
        bias=config.bias if bias is None else bias,
    )
    nn.init.kaiming_normal_(conv.weight, a=LEAK)  # He et al. (2015), arXiv:1502.01852, equation 15
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    row: list[tuple[str, nn.Module]] = [("conv", conv)]
    if dropped and config.dropout is not None:
        row.append(("dropout", nn.Dropout2d(config.dropout)))
    after_it = [("norm", _NORMS[config.norm](after, affine=config.affine))] if config.norm != "none" else []
    if active:
        after_it.insert(
            0 if activation_first else len(after_it), ("activation", make_activation(config.activation))
        )
    return nn.Sequential(OrderedDict(row + after_it))


_NORMS: dict[str, Callable[..., nn.Module]] = {"instance": InstanceNorm, "batch": nn.BatchNorm2d}


def _row(
    convolution: Callable[..., nn.Sequential],
    before: int,
    after: int,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    *,
    count: int,
) -> nn.Sequential:
    """`count` convolutions, the first with the stride: [B, before, H, W] -> [B, after, H/sy, W/sx]."""
    rest = [convolution(after, after, kernel_size) for _ in range(count - 1)]
    return nn.Sequential(convolution(before, after, kernel_size, stride), *rest)


def _up(before: int, after: int, stride: tuple[int, int], *, bias: bool) -> nn.ConvTranspose2d:
    """Each pixel becomes a square as large as the stride: [B, before, H, W] -> [B, after, sy*H, sx*W]."""
    up = nn.ConvTranspose2d(before, after, kernel_size=stride, stride=stride, bias=bias)
    # each pixel sees exactly one pixel below, and no activation follows that would halve the variance
    nn.init.normal_(up.weight, std=before**-0.5)
    if up.bias is not None:
        nn.init.zeros_(up.bias)
    return up


def _with_way_up(
    config: StagesConfig,
    stem: nn.Module,
    encoders: Sequence[nn.Module],
    convolution: Callable[..., nn.Sequential],
) -> NnUNet:
    """The network of that way down; both have the same way up."""
    skips = range(len(config.widths) - 2, -1, -1)  # deepest first
    widths = config.widths
    return NnUNet(
        stem=stem,
        encoders=encoders,
        strides=config.strides,
        ups=[_up(widths[i + 1], widths[i], config.strides[i + 1], bias=config.bias) for i in skips],
        decoders=[
            _row(convolution, 2 * widths[i], widths[i], config.kernel_sizes[i], count=count)
            for i, count in zip(skips, config.decoder_convolutions, strict=True)
        ],
        heads=[
            head(widths[i], config.num_classes) for i in (skips if config.deep_supervision else skips[-1:])
        ],
        deep_supervision=config.deep_supervision,
    )


@register_model(
    paper="doi:10.1038/s41592-020-01008-z",
    origin="MIC-DKFZ/dynamic-network-architectures",
    small={"widths": (4, 6, 8), "convolutions": (1,), "decoder_convolutions": (1,)},
)
def plain_conv_unet(config: PlainConvUNetConfig) -> NnUNet:
    """nnU-Net's plain network with deep supervision; 33 M parameters as planned for 2D."""
    convolution = partial(_convolution, config, activation_first=config.activation_first)
    encoders = [
        _row(convolution, before, after, config.kernel_sizes[stage], config.strides[stage], count=count)
        for stage, ((before, after), count) in enumerate(
            zip(pairwise((config.in_channels, *config.widths)), config.convolutions, strict=True)
        )
    ]
    return _with_way_up(config, nn.Identity(), encoders, convolution)


@register_model(
    paper="arXiv:2404.09556",
    origin="MIC-DKFZ/dynamic-network-architectures",
    small={"widths": (4, 6, 6), "blocks": (1,)},
)
def residual_encoder_unet(config: ResidualEncoderUNetConfig) -> NnUNet:
    """nnU-Net's network with a residual encoder and deep supervision; 106 M parameters as planned for 2D."""
    assert config.stem_width is not None
    convolution = partial(_convolution, config)
    stem = convolution(config.in_channels, config.stem_width, config.kernel_sizes[0])
    encoders = []
    for stage, (before, after) in enumerate(pairwise((config.stem_width, *config.widths))):
        first = _residual_block(config, before, after, stage, config.strides[stage])
        rest = [_residual_block(config, after, after, stage, (1, 1)) for _ in range(config.blocks[stage] - 1)]
        encoders.append(nn.Sequential(first, *rest))
    return _with_way_up(config, stem, encoders, convolution)
