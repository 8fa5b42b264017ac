"""ResNet as an encoder: five maps of an image, each half as large as the one before.

He et al. (2015), arXiv:1512.03385. In the form of torchvision (https://github.com/pytorch/vision), from which
most published weights come: the stride of a bottleneck is in its 3x3 convolution, not in the first 1x1.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from uvala.models.checkpointing import call

__all__ = ["LAYERS", "BlockKind", "Layers", "ResNet"]

BlockKind = Literal["basic", "bottleneck"]
Count = Annotated[int, Field(ge=1)]
Layers = tuple[Count, Count, Count, Count]
EXPANSION: dict[BlockKind, int] = {"basic": 1, "bottleneck": 4}
LAYERS = (3, 4, 6, 3)  # blocks per layer of ResNet-34 and of ResNet-50, table 1


class ResNet(nn.Module):
    """Image, float [B, in_channels, H, W] -> five maps [B, channels[i], H/2^(i+1), W/2^(i+1)], rounded up.

    The first map is the stem's, before its pooling; the others are those of the four layers. `stages` are the
    steps from one map to the next, for who wants to call them one by one; the pooling begins the second.

    block: two 3x3 convolutions (ResNet-18, -34), or 1x1, 3x3, 1x1 with four times the channels (-50 and up).
    layers: blocks per layer. width: channels of the stem; 64 in the paper.
    dilated: the last two layers dilate their convolutions instead of striding, and stay at 1/8.
    pool: what follows the stem; None: the paper's maximum over 3x3, padded by 1.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        block: BlockKind,
        layers: Sequence[int] = LAYERS,
        width: int = 64,
        dilated: bool = False,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        pool = pool or nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        widths = [width * 2**layer for layer in range(len(layers))]
        self.channels = [width, *(EXPANSION[block] * each for each in widths)]
        stem = conv_norm(in_channels, width, kernel_size=7, stride=2)
        self.stages = nn.ModuleList([nn.Sequential(*stem, nn.ReLU(inplace=True))])
        dilation = 1
        for index, ((before, after), count) in enumerate(zip(pairwise(self.channels), layers, strict=True)):
            stride = 1 if index == 0 else 2
            first_dilation = dilation
            if dilated and index >= 2:
                # the first block still sees the map as it came, with gaps as wide as before
                stride, dilation = 1, 2 * dilation
            blocks = [ResidualBlock(before, after, kind=block, stride=stride, dilation=first_dilation)]
            for _ in range(count - 1):
                blocks.append(ResidualBlock(after, after, kind=block, stride=1, dilation=dilation))
            self.stages.append(nn.Sequential(pool, *blocks) if index == 0 else nn.Sequential(*blocks))

    def forward(self, image: Tensor, through: Callable[[nn.Module, Tensor], Tensor] = call) -> list[Tensor]:
        """[B, in_channels, H, W] -> maps of strides 2, 4, 8, 16, 32.

        through: calls a stage; a network that can checkpoint hands in `partial(run, self)`.
        """
        maps = []
        x = image
        for stage in self.stages:
            x = through(stage, x)  # [B, channels[i], H/2^(i+1), W/2^(i+1)]
            maps.append(x)
        return maps


class ResidualBlock(nn.Module):
    """Convolutions beside a shortcut; the last ReLU comes after the sum: [B, in, H, W] -> [B, out, H/s, W/s].

    Figure 5 of the paper: left (basic), right (bottleneck). The shortcut is a strided 1x1 convolution where
    the shapes differ (option B).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kind: BlockKind, stride: int, dilation: int
    ) -> None:
        super().__init__()
        width = out_channels // EXPANSION[kind]
        if kind == "basic":
            convs = [
                conv_norm(in_channels, width, kernel_size=3, stride=stride, dilation=dilation),
                conv_norm(width, width, kernel_size=3, dilation=dilation),
            ]
        else:
            convs = [
                conv_norm(in_channels, width, kernel_size=1),
                conv_norm(width, width, kernel_size=3, stride=stride, dilation=dilation),
                conv_norm(width, out_channels, kernel_size=1),
            ]
        rectified = [nn.Sequential(*each, nn.ReLU(inplace=True)) for each in convs[:-1]]
        self.body = nn.Sequential(*rectified, convs[-1])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = conv_norm(in_channels, out_channels, kernel_size=1, stride=stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H/stride, W/stride]."""
        return self.relu(self.body(x) + self.shortcut(x))


def conv_norm(
    in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias, BatchNorm: [B, in, H, W] -> [B, out, H/stride, W/stride]."""
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        bias=False,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # torchvision's
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
