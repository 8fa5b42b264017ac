"""A U-Net on a ResNet-34 whose skips are added, not concatenated: 1x1 convolutions keep the way up thin.

The way up is LinkNet's, Chaurasia & Culurciello (2017), arXiv:1707.03718, figure 2; the stem's map is not
joined. In the form of UNET-ZOO, https://github.com/Andy-zhujunwen/UNET-ZOO, which has it from CE-Net: see
cenet.py, which puts context between the way down and the way up of this network.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import crop, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.pretrained import RESNETS, load_imagenet, require_published
from uvala.models.resnet import LAYERS, Layers, ResNet

__all__ = ["AdditiveUNet", "AdditiveUNetConfig", "resnet34_unet"]

MULTIPLE = 32
# A ResNet rounds up when it halves, so that 61 gives maps of 31, 16, 8, 4, 2, and those from 16 on are what
# goes up again: sizes that lack three pixels of a multiple need no padding.
SLACK = 3
SHRINK = 4  # the middle of a step up has four times fewer channels than what comes from below


class AdditiveUNetConfig(Config):
    """The options of `resnet34_unet` and `cenet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    layers: Layers = Field(
        LAYERS, description="blocks per layer: 3, 4, 6, 3 is ResNet-34; 2, 2, 2, 2 is ResNet-18"
    )
    width: int = Field(
        64, ge=4, description="channels of the stem; the four layers have 1, 2, 4, 8 times as many"
    )
    pretrained: bool = Field(
        False, description="start with timm's ImageNet weights of the encoder, which may be downloaded"
    )

    @field_validator("pretrained")
    @classmethod
    def _is_published(cls, pretrained: bool, info: ValidationInfo) -> bool:
        return require_published(pretrained, info.data, "basic")


class AdditiveUNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes are padded to a multiple of 32, unless they lack at most three
    pixels of one, and cropped.

    bottom: what the deepest map passes, [B, channels[4], h, w] -> [B, bottom_channels, h, w].
    at_least: the smallest side, a multiple of 32, that `bottom` can do with.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing
    multiple = MULTIPLE
    slack = SLACK

    def __init__(
        self,
        encoder: ResNet,
        *,
        num_classes: int,
        bottom: nn.Module,
        bottom_channels: int,
        at_least: int = MULTIPLE,
    ) -> None:
        super().__init__()
        self.at_least = at_least
        self.encoder = encoder
        self.bottom = bottom
        self.decoders = nn.ModuleList(_steps([*encoder.channels[:-1], bottom_channels]))
        self.head = _head(encoder.channels[0], num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        # from here to the crop H' and W' are multiples of 32, or up to three less
        x, size = pad_to_multiple(
            image, MULTIPLE, at_least=self.at_least, slack=self.slack
        )  # [B, in, H', W']
        _, *skips, x = self.encoder(x, partial(run, self))  # [B, w, H'/4, W'/4] ... [B, 8w, H'/32, W'/32]
        x = run(self, self.bottom, x)  # [B, bottom_channels, H'/32, W'/32]
        for decode, skip in zip(self.decoders[:-1], reversed(skips), strict=True):
            x = run(self, decode, x) + skip  # [B, 4w, H'/16, W'/16] ... [B, w, H'/4, W'/4]
        x = run(self, self.decoders[-1], x)  # [B, w, H'/2, W'/2]
        return crop(run(self, self.head, x), size)  # [B, num_classes, H, W]


def _steps(channels: Sequence[int]) -> list[nn.Module]:
    """The way up through so many channels, which are listed finest first: deepest step first."""
    return [_step(below, above) for above, below in reversed(list(pairwise(channels)))]


def _step(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1, transposed 3x3, 1x1, each with norm and ReLU: [B, in, H, W] -> [B, out, 2H, 2W]."""
    middle = in_channels // SHRINK
    double = nn.ConvTranspose2d(middle, middle, kernel_size=3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(
        _rectified(nn.Conv2d(in_channels, middle, kernel_size=1)),
        _rectified(double),
        _rectified(nn.Conv2d(middle, out_channels, kernel_size=1)),
    )


def _rectified(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


def _head(in_channels: int, num_classes: int) -> nn.Sequential:
    """Logits at twice the size: [B, in, H, W] -> [B, num_classes, 2H, 2W]."""
    width = in_channels // 2
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, width, kernel_size=4, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, num_classes, kernel_size=3, padding=1),
    )


@register_model(
    paper="arXiv:1707.03718", origin="Andy-zhujunwen/UNET-ZOO", small={"width": 4, "layers": (1, 1, 1, 1)}
)
def resnet34_unet(config: AdditiveUNetConfig) -> AdditiveUNet:
    """A ResNet-34 with a thin way up whose skips are added; 21.7 M parameters."""
    encoder = ResNet(config.in_channels, block="basic", layers=config.layers, width=config.width)
    if config.pretrained:
        load_imagenet(encoder, RESNETS["basic"][config.layers], config.in_channels)
    return AdditiveUNet(
        encoder,
        num_classes=config.num_classes,
        bottom=nn.Identity(),
        bottom_channels=encoder.channels[-1],
    )
