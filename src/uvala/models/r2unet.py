"""The R2U-Net: recurrent convolutions inside residual blocks, with attention gates or without.

Alom et al. (2018), arXiv:1802.06955, figures 3 and 4, in the form of
https://github.com/Andy-zhujunwen/UNET-ZOO; the gates are those of the Attention U-Net (arXiv:1804.03999), put
together in https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets.

A recurrent convolution is one convolution with one norm, applied several times. So the running statistics of
the norm are updated several times in a step of training, as in the origins.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import Concatenate, nearest_up
from uvala.models.catalog import register_model
from uvala.models.skips import GatedMerge
from uvala.models.unet import UNet, five_level_unet

__all__ = ["R2UNetConfig", "r2_attention_unet", "r2unet"]


class R2UNetConfig(Config):
    """The options of `r2unet` and `r2_attention_unet`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(64, ge=1, description="channels of the first level; each level below doubles them")
    recurrence: Literal["input", "doubled"] = Field(
        "input",
        description="what a step adds to its state: the block's input, as in the paper, or that state again",
    )
    steps: int = Field(
        2,
        ge=1,
        le=8,
        description="repetitions of a recurrent convolution; if doubled, all numbers give the same",
    )


class RecurrentConvolution(nn.Module):
    """One convolution with norm and ReLU, repeated on the sum of its input and its own last result.

    arXiv:1802.06955, equation 1 and figure 4b. There the input has weights of its own; here, as in the
    origins, one convolution takes the sum.
    """

    def __init__(self, channels: int, *, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.convolution = _convolution(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        state = self.convolution(x)  # [B, C, H, W]
        for _ in range(self.steps):
            state = self.convolution(x + state)  # [B, C, H, W]
        return state


class DoubledConvolution(nn.Module):
    """One convolution with norm and ReLU, applied a second time to twice its first result.

    What becomes of the recurrence where the input is overwritten by the first state: each further step
    computes the same from the same, so that one is enough. (Only the running statistics of the norm would see
    the others, in training.)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = _convolution(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return self.convolution(2 * self.convolution(x))


def _convolution(channels: int) -> nn.Sequential:
    # torch's own initial weights: those for a ReLU keep the variance in one pass, and over the repetitions of
    # nine blocks it would grow without bound until the norms have seen data
    conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class RecurrentResidual(nn.Module):
    """A 1x1 convolution, then two recurrent convolutions beside a shortcut: figure 4d of the paper.

    recurrent: called with the channels, once for each.
    """

    def __init__(self, in_channels: int, out_channels: int, *, recurrent: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.body = nn.Sequential(recurrent(out_channels), recurrent(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        x = self.enter(x)  # [B, out, H, W]
        return x + self.body(x)  # [B, out, H, W]


@register_model(paper="arXiv:1802.06955", origin="Andy-zhujunwen/UNET-ZOO", small={"width": 2})
def r2unet(config: R2UNetConfig) -> UNet:
    """R2U-Net: each block repeats its convolutions, with shared weights; 39.1 M parameters."""
    return _r2unet(config, merge=Concatenate)


@register_model(
    paper="arXiv:1802.06955", origin="bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets", small={"width": 2}
)
def r2_attention_unet(config: R2UNetConfig) -> UNet:
    """R2U-Net with the attention gates of the Attention U-Net; 39.4 M parameters."""
    return _r2unet(config, merge=GatedMerge)


def _r2unet(config: R2UNetConfig, *, merge: Callable[[int, int], nn.Module]) -> UNet:
    recurrent: dict[str, Callable[[int], nn.Module]] = {
        "input": partial(RecurrentConvolution, steps=config.steps),
        "doubled": DoubledConvolution,
    }
    block = partial(RecurrentResidual, recurrent=recurrent[config.recurrence])
    # 64, 128, 256, 512, 1024 channels
    return five_level_unet(config, block=block, up=nearest_up, merge=merge)
