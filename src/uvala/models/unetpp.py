"""UNet++: between the two sides of the U stand nodes that bring the skips nearer, step by step.

Zhou et al. (2018), arXiv:1807.10165, figure 1. Node (i, j) is the j-th at level i; it joins all nodes before
it at its level with what comes up from the level below. The form is that of
https://github.com/4uiiurz1/pytorch-nested-unet, https://github.com/Andy-zhujunwen/UNET-ZOO and
https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets: one network, which starts at 32 channels in
the first two, as in the paper, and at 64 in the third.
"""

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uvala.config import Config
from uvala.models.blocks import convolutions, crop, head, pad_to_multiple
from uvala.models.catalog import register_model
from uvala.models.checkpointing import run, use_checkpointing

__all__ = ["LEVELS", "UNetPP", "UNetPPConfig", "unetpp"]

LEVELS = 5  # of the U; the paper's L4


class UNetPPConfig(Config):
    """The options of `unetpp`."""

    in_channels: int = Field(3, ge=1, description="channels of the image")
    num_classes: int = Field(1, ge=1, description="channels of the logits; 1 means binary, for a sigmoid")
    width: int = Field(32, ge=1, description="channels of the first level; each level below doubles them")
    deep_supervision: bool = Field(
        False, description="in training, logits of each node of the first level that is no encoder"
    )


class UNetPP(nn.Module):
    """Image, float [B, in_channels, H, W], normalised -> logits, float [B, num_classes, H, W].

    H and W are any numbers from 1: sizes between multiples of 16 are padded and cropped inside. With deep
    supervision training mode gives four logits, of the nodes (0, 1) to (0, 4), and eval mode the last.
    """

    checkpointing = False
    use_checkpointing = use_checkpointing

    def __init__(self, config: UNetPPConfig) -> None:
        super().__init__()
        self.multiple = 2 ** (LEVELS - 1)
        self.deep_supervision = config.deep_supervision
        widths = [config.width * 2**level for level in range(LEVELS)]
        # nodes[i][0] is the encoder of level i; node (i, j) joins j maps of its level and one from below
        self.nodes = nn.ModuleList()
        for level, (before, width) in enumerate(zip([config.in_channels, *widths[:-1]], widths, strict=True)):
            inputs = [before, *(j * width + 2 * width for j in range(1, LEVELS - level))]
            self.nodes.append(nn.ModuleList(convolutions(channels, width, bias=True) for channels in inputs))
        heads = LEVELS - 1 if config.deep_supervision else 1
        self.heads = nn.ModuleList(head(config.width, config.num_classes) for _ in range(heads))
        if config.deep_supervision:
            self.loss_weights = (1 / heads,) * heads  # the origins train on the mean

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """[B, in_channels, H, W] -> [B, num_classes, H, W], or four of them."""
        image, size = pad_to_multiple(image, self.multiple)  # [B, in, H', W'], multiples of 16
        maps: list[list[Tensor]] = []  # maps[i][j] is the result of node (i, j), [B, w * 2^i, H'/2^i, W'/2^i]
        for level in range(LEVELS):
            encode = self._node(level, 0)
            x = run(self, partial(_descend, encode), maps[-1][0]) if maps else run(self, encode, image)
            maps.append([x])  # [B, w * 2^level, H'/2^level, W'/2^level]
            for above in reversed(range(level)):  # the diagonal that starts at this encoder
                join = partial(_join, self._node(above, level - above))
                x = run(self, join, maps[above + 1][-1], *maps[above])
                maps[above].append(x)  # [B, w * 2^above, H'/2^above, W'/2^above]
        if self.training and self.deep_supervision:
            return [crop(head(x), size) for head, x in zip(self.heads, maps[0][1:], strict=True)]
        return crop(self.heads[-1](maps[0][-1]), size)  # [B, num_classes, H, W]

    def _node(self, level: int, place: int) -> nn.Module:
        row = self.nodes[level]
        assert isinstance(row, nn.ModuleList)
        return row[place]


def _descend(node: nn.Module, above: Tensor) -> Tensor:
    """[B, w, 2h, 2w] -> [B, 2w, h, w]."""
    return node(F.max_pool2d(above, 2))


def _join(node: nn.Module, below: Tensor, *level: Tensor) -> Tensor:
    """[B, 2w, h/2, w/2] and j maps [B, w, h, w] -> [B, w, h, w]."""
    # corners on corners: the weights of a pixel depend on the size of the map, so that a tile is exact only
    # if it is told where in the image it lies (uvala.tiling.whole)
    up = F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=True)
    return node(torch.cat([*level, up], dim=1))


@register_model(paper="arXiv:1807.10165", origin="4uiiurz1/pytorch-nested-unet")
def unetpp(config: UNetPPConfig) -> UNetPP:
    """UNet++, ten nodes between the sides of the U, with deep supervision or without; 9.2 M parameters."""
    return UNetPP(config)
