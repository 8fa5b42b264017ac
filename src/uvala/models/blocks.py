"""What several families are built of: convolutions, up and down, joining a skip, padding to a multiple.

A factory takes channel counts and returns a module. Each module that changes the number of channels has the
attribute `out_channels`, as torch's own convolutions have, so that what comes next can ask.
"""

from collections.abc import Callable
from itertools import pairwise
from math import gcd
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "Activation",
    "Concatenate",
    "InstanceNorm",
    "Norm",
    "Residual",
    "Up",
    "bilinear_up",
    "convolution",
    "convolutions",
    "crop",
    "head",
    "make_activation",
    "make_norm",
    "max_pool",
    "nearest_up",
    "pad_to_multiple",
    "repeat_last",
    "stretched_up",
    "transposed_up",
]

Norm = Literal["batch", "instance", "group", "none"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu"]
Up = Literal["transposed", "bilinear"]
Conv = TypeVar("Conv", nn.Conv2d, nn.ConvTranspose2d)

GROUPS = (
    8  # of a group norm, fewer where the channels do not divide; 32 (Wu & He 2018) would leave 1 channel each
)
LEAK = 0.01  # nnU-Net's, and torch's default


def pad_to_multiple(
    image: Tensor, multiple: int | tuple[int, int], *, at_least: int = 1, slack: int = 0
) -> tuple[Tensor, tuple[int, int]]:
    """`image` with its last row and column repeated up to a multiple, and its own height and width.

    image: [B, C, H, W], H and W from 1. multiple: of both, or (of H, of W). Multiples pass unchanged, unless
    they are below `at_least` (itself a multiple); so do sizes that lack at most `slack` pixels of one. Right
    and bottom only: the upper left corner stays where it is, so a tile that begins at a multiple is pooled in
    the squares of the whole image.
    """
    height, width = image.shape[-2:]
    rows, columns = (multiple, multiple) if isinstance(multiple, int) else multiple
    # two cases, not one maximum, which torch.export would carry through every shape behind it
    down = at_least - height if height < at_least else -height % rows
    right = at_least - width if width < at_least else -width % columns
    down, right = 0 if down <= slack else down, 0 if right <= slack else right
    if down or right:
        image = F.pad(image, (0, right, 0, down), mode="replicate")
    return image, (height, width)


def crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The upper left corner of `x` of that height and width: undoes `pad_to_multiple`."""
    return x[..., : size[0], : size[1]]


def repeat_last(x: Tensor, size: tuple[int, int]) -> Tensor:
    """`x`, cropped to that height and width, or with its last row and column repeated up to them.

    What a network needs that takes every size as it is: a pooling drops the last of an odd number of rows.
    """
    down, right = max(size[0] - x.shape[-2], 0), max(size[1] - x.shape[-1], 0)
    if down or right:
        x = F.pad(x, (0, right, 0, down), mode="replicate")
    return crop(x, size)


def convolution(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    norm: Norm,
    activation: Activation | None,
    bias: bool | None = None,
) -> nn.Sequential:
    """Convolution, norm, activation (None: without one): [B, in, H, W] -> [B, out, H, W]. Odd kernels.

    bias: of the convolution; None: only where no norm follows, since a norm subtracts it with the mean.
    """
    bias = norm == "none" if bias is None else bias
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
    # He et al. (2015), arXiv:1502.01852, equation 10. ELU, GELU and SiLU have no closed form; near 0 they let
    # pass about as much as a ReLU.
    slope = LEAK if activation == "leaky_relu" else 0.0
    inputs = in_channels * kernel_size**2
    _draw(conv, std=(2 / (1 + slope**2) / inputs) ** 0.5)
    return nn.Sequential(conv, make_norm(norm, out_channels), make_activation(activation))


def convolutions(
    in_channels: int,
    out_channels: int,
    *,
    count: int = 2,
    between: int | None = None,
    kernel_size: int = 3,
    norm: Norm = "batch",
    activation: Activation = "relu",
    bias: bool | None = None,
) -> nn.Sequential:
    """`count` convolutions in a row, each with norm and activation: [B, in, H, W] -> [B, out, H, W].

    between: channels from one to the next, if other than `out_channels`.
    """
    widths = [in_channels, *[between or out_channels] * (count - 1), out_channels]
    return nn.Sequential(
        *(
            convolution(before, after, kernel_size=kernel_size, norm=norm, activation=activation, bias=bias)
            for before, after in pairwise(widths)
        )
    )


class Residual(nn.Module):
    """`count` convolutions beside a shortcut; the last activation comes after the sum.

    He et al. (2015), arXiv:1512.03385, figure 2; the shortcut is a 1x1 convolution where channels differ.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        count: int,
        kernel_size: int,
        norm: Norm,
        activation: Activation,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * count
        inner: list[Activation | None] = [activation] * (count - 1) + [None]
        self.body = nn.Sequential(
            *(
                convolution(before, after, kernel_size=kernel_size, norm=norm, activation=kind)
                for before, after, kind in zip(widths[:-1], widths[1:], inner, strict=True)
            )
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, kernel_size=1, norm=norm, activation=None)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        return self.activation(self.body(x) + self.shortcut(x))


class Concatenate(nn.Module):
    """Joins a skip and what came up from below: [B, s, H, W], [B, u, h, w] -> [B, s + u, H, W].

    up_first: the order of the channels; the skip's come first without it.
    What came up may be a row or a column smaller than the skip, where a pooling dropped the last of an odd
    number. It is then framed with zeros: floor(difference / 2) above and on the left, the rest below and on
    the right, as Pytorch-UNet does.
    """

    def __init__(self, skip_channels: int, up_channels: int, *, up_first: bool = False) -> None:
        super().__init__()
        self.out_channels = skip_channels + up_channels
        self.up_first = up_first

    def forward(self, skip: Tensor, up: Tensor) -> Tensor:
        """[B, s, H, W], [B, u, h, w] -> [B, s + u, H, W]."""
        down, right = skip.shape[-2] - up.shape[-2], skip.shape[-1] - up.shape[-1]
        if down or right:
            up = F.pad(up, (right // 2, right - right // 2, down // 2, down - down // 2))
        return torch.cat([up, skip] if self.up_first else [skip, up], dim=1)


def max_pool(channels: int) -> nn.MaxPool2d:
    """The largest of each 2x2 square: [B, C, H, W] -> [B, C, H/2, W/2]."""
    return nn.MaxPool2d(kernel_size=2)


def transposed_up(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Learned upsampling, each pixel becomes a 2x2 square: [B, in, H, W] -> [B, out, 2H, 2W]."""
    # each output pixel sees exactly one input pixel, and no activation follows that would halve the variance
    conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    return _draw(conv, std=in_channels**-0.5)


class _BilinearUp(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.reduce = _draw(nn.Conv2d(in_channels, out_channels, kernel_size=1), std=in_channels**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        # a 1x1 convolution and an interpolation commute, and below there are four times fewer pixels
        x = self.reduce(x)
        # align_corners=False: a pixel's weights depend on its parity alone, not on the size of the image, so
        # that a tile can give the numbers of the whole image
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def bilinear_up(in_channels: int, out_channels: int) -> nn.Module:
    """A 1x1 convolution, then bilinear interpolation: [B, in, H, W] -> [B, out, 2H, 2W]."""
    return _BilinearUp(in_channels, out_channels)


class _NearestUp(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.convolution = convolution(
            in_channels, out_channels, kernel_size=3, norm="batch", activation="relu", bias=True
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")  # [B, in, 2H, 2W]
        return self.convolution(x)  # [B, out, 2H, 2W]


def nearest_up(in_channels: int, out_channels: int) -> nn.Module:
    """Each pixel four times, then a 3x3 convolution with norm and ReLU: [B, in, H, W] -> [B, out, 2H, 2W]."""
    return _NearestUp(in_channels, out_channels)


def stretched_up(in_channels: int, out_channels: int) -> nn.Upsample:
    """Bilinear interpolation without weights, corners on corners: [B, in, H, W] -> [B, in, 2H, 2W].

    It keeps the channels, whatever `out_channels` says.
    """
    # align_corners=True: the weights of a pixel depend on the size of the map, so that a tile is exact only
    # if it is told where in the image it lies (uvala.tiling.whole)
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)


def head(in_channels: int, num_classes: int, *, kernel_size: int = 1) -> nn.Conv2d:
    """Logits by a convolution: [B, in, H, W] -> [B, num_classes, H, W]. Odd kernels."""
    conv = nn.Conv2d(in_channels, num_classes, kernel_size, padding=kernel_size // 2)
    # as strong as the others: from a hundredth, rare classes stay unpredicted for hundreds of steps
    return _draw(conv, std=(in_channels * kernel_size**2) ** -0.5)


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1, then scaled and shifted.

    Ulyanov et al. (2016), arXiv:1607.08022. torch's own refuses a single pixel, in eval mode too, which is
    what the lowest level of a small image is; here that pixel becomes the shift.

    affine: False: neither scale nor shift.
    """

    def __init__(self, channels: int, *, affine: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        # torch.group_norm, not functional.group_norm: the check for a single pixel is in the latter. A number
        # that is not read off the image, for ONNX.
        return torch.group_norm(x, self.channels, self.weight, self.bias)


class _GroupNorm(nn.GroupNorm):
    """torch's, which refuses a single pixel too where a group is a single channel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """The norm of that name for so many channels."""
    return _NORMS[norm](channels)


def make_activation(activation: Activation | None) -> nn.Module:
    """The activation of that name; in place where torch can, which saves a copy of each level."""
    return nn.Identity() if activation is None else _ACTIVATIONS[activation]()


_NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": InstanceNorm,
    "group": lambda channels: _GroupNorm(gcd(GROUPS, channels), channels),
    "none": lambda channels: nn.Identity(),
}

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(LEAK, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
}


def _draw(conv: Conv, *, std: float) -> Conv:
    """`conv` with normal weights of that deviation and no bias yet."""
    nn.init.normal_(conv.weight, std=std)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
