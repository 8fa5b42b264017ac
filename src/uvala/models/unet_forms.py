"""The padded U-Net in the forms in which people have it: the same network, each with its own choices.

What they differ in: how wide the levels are, where the convolutions have a bias, how they go up, in which
order a skip is joined, what the head is, and what becomes of sizes that do not divide. Each is written down
from the published keys and shapes of its origin, so that a checkpoint of the origin gives the same numbers.
"""

from functools import partial

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import Concatenate, convolutions, head, max_pool, stretched_up, transposed_up
from uvala.models.catalog import register_model
from uvala.models.unet import UNet, five_level_unet

__all__ = [
    "MinimalUNetConfig",
    "PytorchUNet512Config",
    "PytorchUNetConfig",
    "UNet8Config",
    "UNet32Config",
    "minimal_unet",
    "pytorch_unet",
    "pytorch_unet_512",
    "unet8",
    "unet32",
]


class PytorchUNetConfig(Config):
    """The options of `pytorch_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=2, description="channels of the first level; each level below doubles them")
    bilinear: bool = Field(False, description="upsampling without weights; the deepest level is then halved")
    scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="size at which the network sees the image: 1, 0.5 or 0.25; logits are made as large as "
        "the image",
    )

    @field_validator("scale")
    @classmethod
    def _whole_squares(cls, scale: float) -> float:
        if scale not in (1.0, 0.5, 0.25):
            raise ValueError("must be 1, 0.5 or 0.25")
        return scale


@register_model(paper="arXiv:1505.04597", origin="milesial/Pytorch-UNet")
def pytorch_unet(config: PytorchUNetConfig) -> UNet:
    """Pytorch-UNet: 64 to 1024 channels, BatchNorm, transposed or bilinear upsampling; 31 M parameters."""
    block = partial(convolutions, bias=False)
    w = config.width
    widths = [w, 2 * w, 4 * w, 8 * w, 16 * w]  # 64, 128, 256, 512, 1024
    shrink = round(1 / config.scale)
    if not config.bilinear:
        return UNet(
            in_channels=config.in_channels,
            num_classes=config.num_classes,
            widths=widths,
            encode=block,
            down=max_pool,
            bottom=nn.Identity(),
            up=transposed_up,
            merge=Concatenate,
            decode=block,
            head=head,
            shrink=shrink,
            ragged=True,
        )
    return UNet(
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        widths=[*widths[:-1], 8 * w],
        encode=block,
        down=max_pool,
        bottom=nn.Identity(),
        up=stretched_up,
        merge=Concatenate,
        decode=lambda before, after: block(before, after, between=before // 2),
        decoder_widths=[w, w, 2 * w, 4 * w],
        head=head,
        shrink=shrink,
        ragged=True,
    )


class PytorchUNet512Config(Config):
    """The options of `pytorch_unet_512`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=1, description="channels of the first level; doubled three times below")
    bilinear: bool = Field(True, description="upsampling without weights; transposed convolutions otherwise")


@register_model(paper="arXiv:1505.04597", origin="tutorial")
def pytorch_unet_512(config: PytorchUNet512Config) -> UNet:
    """Pytorch-UNet as it first was and circulates in tutorials: 512 channels at most; 13 M parameters."""
    block = partial(convolutions, bias=True)
    w = config.width
    return UNet(
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        widths=[w, 2 * w, 4 * w, 8 * w, 8 * w],  # 64, 128, 256, 512, 512
        encode=block,
        down=max_pool,
        bottom=nn.Identity(),
        up=stretched_up if config.bilinear else kept_up,
        merge=Concatenate,
        decode=block,
        decoder_widths=[w, w, 2 * w, 4 * w],
        head=head,
        ragged=True,
    )


class UNet32Config(Config):
    """The options of `unet32`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(32, ge=1, description="channels of the first level; each level below doubles them")


@register_model(paper="arXiv:1505.04597", origin="Andy-zhujunwen/UNET-ZOO")
def unet32(config: UNet32Config) -> UNet:
    """A U-Net of tutorials and of UNET-ZOO: 32 to 512 channels, BatchNorm, transposed; 7.8 M parameters."""
    block = partial(convolutions, bias=True)
    return five_level_unet(
        config, block=block, up=transposed_up, merge=partial(Concatenate, up_first=True)
    )  # 32, 64, 128, 256, 512


class UNet8Config(Config):
    """The options of `unet8`."""

    in_channels: int = Field(1, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(8, ge=1, description="channels of the first level; each level below doubles them")


@register_model(paper="arXiv:1505.04597", origin="tutorial")
def unet8(config: UNet8Config) -> UNet:
    """A small U-Net of tutorials: 8 to 128 channels, BatchNorm after each layer; 0.5 M parameters."""
    block = partial(convolutions, bias=True)
    return five_level_unet(
        config,
        block=block,
        up=NormedUp,
        merge=partial(Concatenate, up_first=True),
        head=partial(head, kernel_size=3),
    )  # 8, 16, 32, 64, 128


class MinimalUNetConfig(Config):
    """The options of `minimal_unet`."""

    in_channels: int = Field(1, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; of the features without a head")
    width: int = Field(64, ge=1, description="channels of the first level; doubled twice below")
    with_head: bool = Field(True, description="logits; without it, the features that a head would take")

    @field_validator("with_head")
    @classmethod
    def _features_are_as_many_as_width(cls, with_head: bool, info: ValidationInfo) -> bool:
        width, num_classes = info.data.get("width"), info.data.get("num_classes")
        if not with_head and num_classes != width:
            raise ValueError(f"without a head num_classes must be width, which is {width}, not {num_classes}")
        return with_head


@register_model(paper="arXiv:1505.04597", origin="tutorial")
def minimal_unet(config: MinimalUNetConfig) -> UNet:
    """The least that circulates in tutorials as a U-Net: two poolings, no norm; 1.9 M parameters."""
    block = partial(convolutions, norm="none")
    return UNet(
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        widths=[config.width, 2 * config.width, 4 * config.width],  # 64, 128, 256
        encode=block,
        down=max_pool,
        bottom=nn.Identity(),
        up=stretched_up,
        merge=partial(Concatenate, up_first=True),
        decode=block,
        head=head if config.with_head else no_head,
    )


class NormedUp(nn.Module):
    """Learned upsampling with norm and ReLU: [B, in, H, W] -> [B, out, 2H, 2W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.up = transposed_up(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, 2H, 2W]."""
        return self.norm(self.up(x)).relu()


def kept_up(in_channels: int, width: int) -> nn.ConvTranspose2d:
    """Learned upsampling that keeps the channels: [B, in, H, W] -> [B, in, 2H, 2W]."""
    return transposed_up(in_channels, in_channels)


def no_head(in_channels: int, num_classes: int) -> nn.Identity:
    """The features themselves."""
    return nn.Identity()
