"""The padded U-Net in the forms in which people have it: the same network, each with its own choices.

What they differ in: how wide the levels are, where the convolutions have a bias, how they go up, in which
order a skip is joined, what the head is, and what becomes of sizes that do not divide. Each is written down
from the published keys and shapes of its origin, so that a checkpoint of the origin gives the same numbers.
"""

from functools import partial

from pydantic import Field
from torch import nn

from uvala.config import Config
from uvala.models.blocks import Concatenate, convolutions, head, max_pool, transposed_up
from uvala.models.catalog import register_model
from uvala.models.unet import UNet

__all__ = ["PytorchUNetConfig", "pytorch_unet"]

LEVELS = 5  # all forms pool four times


class PytorchUNetConfig(Config):
    """The options of `pytorch_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(2, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=2, description="channels of the first level; each level below doubles them")
    bilinear: bool = Field(False, description="upsampling without weights; the deepest level is then halved")


@register_model(paper="arXiv:1505.04597", origin="milesial/Pytorch-UNet")
def pytorch_unet(config: PytorchUNetConfig) -> UNet:
    """Pytorch-UNet: 64 to 1024 channels, BatchNorm, transposed or bilinear upsampling; 31 M parameters."""
    block = partial(convolutions, bias=False)
    w = config.width
    widths = [w, 2 * w, 4 * w, 8 * w, 16 * w]  # 64, 128, 256, 512, 1024
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
        ragged=True,
    )


def stretched_up(in_channels: int, width: int) -> nn.Upsample:
    """Bilinear interpolation without weights, corners on corners: [B, in, H, W] -> [B, in, 2H, 2W]."""
    # align_corners=True: the weights of a pixel depend on the size of the map, so no tile is exact
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)
