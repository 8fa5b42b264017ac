"""LinkNet on any encoder of timm: skips are added, and each step up is narrow in the middle.

Chaurasia & Culurciello (2017), arXiv:1707.03718, figure 1, in the form of
https://github.com/qubvel-org/segmentation_models.pytorch, release 0.6.
"""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from uvala.models.blocks import Norm, convolution, crop, make_norm, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing
from uvala.models.encoder_unet import EncoderConfig, encoder_of
from uvala.models.encoders import Encoder

__all__ = ["LinkNet", "LinkNetConfig", "linknet"]

LAST_WIDTH = 32  # channels at full resolution
NARROWING = 4  # the middle of a step has so many times fewer channels


class LinkNetConfig(EncoderConfig):
    """The options of the family `linknet:`."""


class LinkNet(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of `multiple` are padded and cropped inside.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, encoder: Encoder, *, num_classes: int, norm: Norm) -> None:
        super().__init__()
        self.encoder = encoder
        self.multiple = encoder.multiple
        self.local = encoder.behaviour.measurable
        widths = [*_filled(reversed(encoder.channels)), LAST_WIDTH]
        self.blocks = nn.ModuleList(_step(below, width, norm) for below, width in pairwise(widths))
        self.head = nn.Conv2d(LAST_WIDTH, num_classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, num_classes, H, W]."""
        image, size = pad_to_multiple(image, self.multiple, at_least=self.multiple)  # [B, in, H', W']
        *skips, x = self.encoder(image, self)  # [B, channels[i], H'/2^(i+1), W'/2^(i+1)] each, or None
        for block, skip in zip(self.blocks, [*reversed(skips), None], strict=True):
            x = run(self, partial(_rise, block), x, *[] if skip is None else [skip])
            # [B, channels[i - 1], H'/2^i, W'/2^i]
        return crop(self.head(x), size)  # [B, num_classes, H, W]


def _filled(widths: Iterable[int]) -> list[int]:
    """Channels of each level, coarsest first; where the encoder has no map: those of the level below."""
    filled: list[int] = []
    for width in widths:
        filled.append(width or filled[-1])
    return filled


def _step(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """A step up with few channels in its middle: [B, in, h, w] -> [B, out, 2h, 2w]."""
    middle = in_channels // NARROWING
    block = partial(convolution, kernel_size=1, norm=norm, activation="relu")
    up = nn.ConvTranspose2d(middle, middle, kernel_size=4, stride=2, padding=1)
    return nn.Sequential(
        block(in_channels, middle),
        nn.Sequential(up, make_norm(norm, middle), nn.ReLU(inplace=True)),
        block(middle, out_channels),
    )


def _rise(block: nn.Module, below: Tensor, skip: Tensor | None = None) -> Tensor:
    """[B, b, h/2, w/2], [B, s, h, w] -> [B, s, h, w]."""
    x: Tensor = block(below)
    return x if skip is None else x + skip


@register_model(
    name="linknet:",
    paper="arXiv:1707.03718",
    origin="qubvel-org/segmentation_models.pytorch",
    small={"encoder": "test_resnet"},
)
def linknet(config: LinkNetConfig) -> LinkNet:
    """LinkNet on any encoder of timm; 21.8 M parameters with resnet34."""
    encoder = encoder_of(config)
    return LinkNet(encoder, num_classes=config.num_classes, norm=config.decoder_norm)
