"""The U-Net with choices: what a block is, how it goes down and up, how a skip is joined, what the head is.

Ronneberger, Fischer, Brox (2015), arXiv:1505.04597, figure 1. What the field has changed since, and so have
we: same-padding, so the output is as large as the input; a norm after each convolution (Ioffe & Szegedy 2015,
arXiv:1502.03167); half the width.

BatchNorm is the default for a second reason: in eval mode it looks at one pixel at a time, so a large image
can be cut into tiles with enough context (halo) and the numbers stay those of the whole image, bit for bit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import (
    Activation,
    Concatenate,
    Norm,
    Residual,
    Up,
    bilinear_up,
    convolutions,
    crop,
    head,
    max_pool,
    pad_to_multiple,
    transposed_up,
)
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.skips import CBAM, SCSE, GatedMerge, WeighedMerge

__all__ = ["FiveLevels", "UNet", "UNetConfig", "five_level_unet", "unet"]

Skip = Literal["plain", "attention", "cbam", "scse"]
Part = Callable[[int, int], nn.Module]
"""Makes a module from two channel counts."""


class FiveLevels(Protocol):
    """What the options of a U-Net of five levels have in common."""

    @property
    def in_channels(self) -> int:
        """Of the image."""

    @property
    def num_classes(self) -> int:
        """Of the logits."""

    @property
    def width(self) -> int:
        """Channels of the first level."""


class UNetConfig(Config):
    """The options of `unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits")
    depth: int = Field(4, ge=1, le=8, description="poolings; each halves height and width")
    width: int = Field(32, ge=1, description="channels of the first level; each level below doubles them")
    max_width: int = Field(512, ge=1, description="no level has more channels than this")
    convolutions: int = Field(
        2, ge=1, le=8, description="convolutions per level, on the way down and up alike"
    )
    kernel_size: Literal[1, 3, 5, 7] = Field(3, description="side of the convolutions, pixels")
    norm: Norm = Field(
        "batch",
        description="norm after each convolution; all but batch and none cost tiles a pass over the image",
    )
    activation: Activation = Field("relu", description="activation after each norm")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of channels dropped at the end of the way down"
    )
    up: Up = Field("transposed", description="upsampling: learned, or bilinear after a 1x1 convolution")
    fold: Literal[1, 2, 4] = Field(
        1,
        description="squares of this side become channels before the first level, which is then coarser",
    )
    residual: bool = Field(False, description="a shortcut around the convolutions of each level")
    skip: Skip = Field(
        "plain",
        description="what a skip passes: nothing, an attention gate, CBAM or scSE (both cost tiles passes)",
    )

    @field_validator("max_width")
    @classmethod
    def _max_width_holds_width(cls, max_width: int, info: ValidationInfo) -> int:
        if max_width < info.data.get("width", 0):
            raise ValueError(f"must be at least width, which is {info.data['width']}")
        return max_width


class UNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of `multiple` = fold * 2**depth are padded and
    cropped inside. In train mode a BatchNorm needs two values per channel at the lowest level too, so a batch
    of one image must be larger than `multiple`; eval mode takes everything.

    widths: channels of each level, finest first. The parts, each called once per level:
      encode, decode (in_channels, out_channels): [B, in, h, w] -> [B, out, h, w]
      down (channels): halves height and width
      up (in_channels, width): doubles them; has `out_channels`, or gives as many channels as it takes
      merge (skip_channels, up_channels): module of (skip, up); has `out_channels`
      head (in_channels, num_classes): features -> logits
    bottom is what the deepest features pass before the way up.
    decoder_widths: channels after each step up, finest first; None: those of the skips.
    ragged: sizes are not padded to a multiple. The poolings drop the last of an odd number of rows, and
    `merge` joins maps that differ by one.
    fold: squares of this side become channels before the first level, and channels become squares again after
    the head (the sub-pixel convolution of Shi et al. 2016, arXiv:1609.05158). With 2 the levels have a
    quarter of the pixels: the layers that cost most by far are gone, and the logits keep the full resolution.
    shrink: the image is averaged over squares of this side first, and the logits are interpolated in the end.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
        encode: Part,
        down: Callable[[int], nn.Module],
        bottom: nn.Module,
        up: Part,
        merge: Part,
        decode: Part,
        head: Part,
        decoder_widths: Sequence[int] | None = None,
        fold: int = 1,
        shrink: int = 1,
        ragged: bool = False,
    ) -> None:
        super().__init__()
        self.multiple = fold * shrink * 2 ** (len(widths) - 1)
        self.padded_to = fold * shrink if ragged else self.multiple
        self.fold: nn.Module = nn.PixelUnshuffle(fold)
        self.unfold: nn.Module = nn.PixelShuffle(fold)
        if shrink > 1:
            self.fold = nn.Sequential(nn.AvgPool2d(shrink), self.fold)
            self.unfold = nn.Sequential(self.unfold, nn.Upsample(scale_factor=shrink, mode="bilinear"))
        levels = list(zip([in_channels * fold**2, *widths[:-1]], widths, strict=True))
        self.encoders = nn.ModuleList(encode(before, width) for before, width in levels)
        self.downs = nn.ModuleList(down(width) for width in widths[:-1])
        self.bottom = bottom
        # the way up is listed in the order in which it is walked: deepest first
        self.ups, self.merges, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for skip, out in zip(reversed(widths[:-1]), reversed(decoder_widths or widths[:-1]), strict=True):
            self.ups.append(up(below, skip))
            self.merges.append(merge(skip, getattr(self.ups[-1], "out_channels", below)))
            self.decoders.append(decode(_out_channels(self.merges[-1]), out))
            below = out
        self.head = head(below, num_classes * fold**2)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        # from here to the crop H' and W' are multiples, or as they came but no smaller than one if ragged
        x, size = pad_to_multiple(image, self.padded_to, at_least=self.multiple)  # [B, in, H', W']
        x = self.fold(x)  # [B, in * fold^2, H' / fold, W' / fold]; below, H' and W' stand for these
        skips = []
        x = run(self, self.encoders[0], x)  # [B, widths[0], H', W']
        for down, encode in zip(self.downs, self.encoders[1:], strict=True):
            skips.append(x)
            x = run(self, partial(_descend, down, encode), x)  # [B, widths[i], H'/2^i, W'/2^i]
        x = self.bottom(x)  # [B, widths[-1], H'/multiple, W'/multiple]
        for up, merge, decode in zip(self.ups, self.merges, self.decoders, strict=True):
            x = run(self, partial(_rise, up, merge, decode), skips.pop(), x)
            # [B, decoder_widths[i], H'/2^i, W'/2^i]
        return crop(self.unfold(self.head(x)), size)  # [B, num_classes, H, W]


def _descend(down: nn.Module, encode: nn.Module, above: Tensor) -> Tensor:
    """One step of the way down: [B, a, 2h, 2w] -> [B, out, h, w]."""
    # the pooling belongs to the stage: its indices need not be kept where stages are computed again
    return encode(down(above))


def _rise(up: nn.Module, merge: nn.Module, decode: nn.Module, skip: Tensor, below: Tensor) -> Tensor:
    """One step of the way up: [B, s, h, w], [B, b, h/2, w/2] -> [B, out, h, w]."""
    return decode(merge(skip, up(below)))


def _out_channels(part: nn.Module) -> int:
    channels = part.out_channels
    assert isinstance(channels, int), f"{type(part).__name__} does not say its out_channels"
    return channels


def five_level_unet(
    config: FiveLevels,
    *,
    block: Part,
    up: Part,
    merge: Part = Concatenate,
    head: Part = head,
) -> UNet:
    """The form that most projects share: four poolings, channels that double, one block down and up."""
    return UNet(
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        widths=[config.width * 2**level for level in range(5)],
        encode=block,
        down=max_pool,
        bottom=nn.Identity(),
        up=up,
        merge=merge,
        decode=block,
        head=head,
    )


@register_model(paper="arXiv:1505.04597", planned=True)
def unet(config: UNetConfig) -> UNet:
    """The padded U-Net; 7.8 M parameters as it comes."""

    def block(in_channels: int, out_channels: int) -> nn.Module:
        make = Residual if config.residual else convolutions
        return make(
            in_channels,
            out_channels,
            count=config.convolutions,
            kernel_size=config.kernel_size,
            norm=config.norm,
            activation=config.activation,
        )

    merges: dict[Skip, Part] = {
        "plain": Concatenate,
        "attention": partial(GatedMerge, norm=config.norm),
        "cbam": partial(WeighedMerge, CBAM),
        "scse": partial(WeighedMerge, SCSE),
    }
    return UNet(
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        widths=[min(config.width * 2**level, config.max_width) for level in range(config.depth + 1)],
        encode=block,
        down=max_pool,
        # "drop-out layers at the end of the contracting path", section 3.1; whole channels, since neighbours
        # in one channel say nearly the same (Tompson et al. 2015, arXiv:1411.4280)
        bottom=nn.Dropout2d(config.dropout),
        up={"transposed": transposed_up, "bilinear": bilinear_up}[config.up],
        merge=merges[config.skip],
        decode=block,
        head=head,
        fold=config.fold,
    )
