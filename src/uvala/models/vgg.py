"""VGG16's convolutions, on which the fully convolutional networks and some U-Nets stand.

Simonyan & Zisserman (2014), arXiv:1409.1556, table 1, column D: thirteen 3x3 convolutions in five stages, max
pooling between them, no norm. The classifier behind them belongs to the networks that use it.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from uvala.models.blocks import convolutions
from uvala.models.checkpointing import call

__all__ = ["VGG16", "pad_uneven"]

COUNTS = (2, 2, 3, 3, 3)  # convolutions per stage
FACTORS = (1, 2, 4, 8, 8)  # channels per stage, in widths


class VGG16(nn.Module):
    """Image, float [B, in_channels, H, W] -> five maps, each as it is before its pooling, or after it.

    The i-th map is [B, channels[i], H / 2**i, W / 2**i], strides 1, 2, 4, 8, 16; or, with `pooled`, half as
    high and wide. Odd sizes are rounded down when they are halved, or up with `ceil_mode`, as Caffe's pooling
    does.

    stages: fewer than five, for a network that does not use the deepest.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        *,
        stages: int = len(COUNTS),
        pooled: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.channels = [width * factor for factor in FACTORS[:stages]]  # 64, 128, 256, 512, 512
        self.stages = nn.ModuleList()
        before = in_channels
        for index, (width, count) in enumerate(zip(self.channels, COUNTS[:stages], strict=True)):
            parts = OrderedDict(convolutions(before, width, count=count, norm="none").named_children())
            if pooled or index > 0:
                # in the stage, so that what is pooled need not be kept where the stage is checkpointed
                parts["pool"] = nn.MaxPool2d(kernel_size=2, ceil_mode=ceil_mode)
                parts.move_to_end("pool", last=pooled)
            self.stages.append(nn.Sequential(parts))
            before = width

    def forward(self, image: Tensor, through: Callable[[nn.Module, Tensor], Tensor] = call) -> list[Tensor]:
        """[B, in_channels, H, W] -> maps of strides 1, 2, 4, 8, 16; of 2, 4, 8, 16, 32 if `pooled`.

        through: calls a stage; a network that can checkpoint hands in `partial(run, self)`.
        """
        maps = []
        x = image
        for stage in self.stages:
            x = through(stage, x)  # [B, channels[i], H/2^i, W/2^i], or with 2^(i+1) if `pooled`
            maps.append(x)
        return maps


def pad_uneven(image: Tensor, step: int, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """`image`, padded to a multiple where halving it would lose rows of stride `step`; and its own size.

    A height of n has n // step rows at stride `step`, and the pooling from there to `multiple` drops none of
    them if they divide; such a height passes as it is. Any other, and one below `multiple`, gets its last row
    repeated up to a multiple of it. So do columns.
    """
    height, width = image.shape[-2:]
    down, right = (
        max(multiple - n, -n % multiple if n // step % (multiple // step) else 0) for n in (height, width)
    )
    if down or right:
        image = F.pad(image, (0, right, 0, down), mode="replicate")
    return image, (height, width)
