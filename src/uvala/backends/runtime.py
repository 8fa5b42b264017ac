"""A network that another runtime computes, as the rest of uvala sees it: a module like any other."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uvala.arrays import Size
from uvala.backends.agreement import Agreement, compare, noise, trial_side
from uvala.errors import UnsuitableError
from uvala.models.blocks import crop, pad_to_multiple
from uvala.models.whole_image import is_stretch, statistic_of

__all__ = [
    "Accelerated",
    "Compute",
    "Wanted",
    "accelerated",
    "multiple_of",
    "pads_outside",
    "repeat_facts",
    "require_close",
    "require_local",
]

Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Logits of images: C-contiguous [B, C, H, W] -> [B, K, H, W]. Safe for several threads."""

# what `register_model` lets a network tell of itself, and where it came from
_TOLD = ("multiple", "padded_to", "slack", "crops", "local", "context", "at_least", "least", "recipe")

_CLOSE = (
    1e-4  # standard deviations of the logits; float32 and Winograd's convolutions are off by 1e-6 to 1e-5
)
_SAME_CLASS = 0.999  # of the pixels of small noise, of which one may lie on the border of two classes


@dataclass(frozen=True)
class Wanted:
    """What a network shall be made ready for: images of so many channels, of that size for the most part.

    threads: at most so many compute one image.
    """

    in_channels: int
    tile: Size
    threads: int


class Accelerated(nn.Module):
    """Image, float [B, C, H, W], normalised -> logits, float32 [B, K, H, W], of any size, as `network` gives.

    network: the same in PyTorch, which computes what `compute` does not take: images smaller than `smallest`
    along a side and, unless `any_size`, those between its multiples.
    """

    in_parts = False  # a runtime computes images whole; see `tiling.demand`

    def __init__(
        self, network: nn.Module, compute: Compute, *, name: str, smallest: int, any_size: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.compute = compute
        self.name = name
        self.smallest = smallest
        self.any_size = any_size
        self.pads = pads_outside(network)
        repeat_facts(self, network)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, H, W]."""
        # on the device "meta" only shapes are wanted
        if image.device.type == "meta" or not self.takes(Size(*image.shape[-2:])):
            return self.network(image)
        size = (image.shape[-2], image.shape[-1])
        if self.pads:
            image, size = pad_as(self.network, image)
        logits = self.compute(image.detach().to("cpu", torch.float32).contiguous().numpy())
        return crop(torch.from_numpy(logits).to(image.device), size)

    def takes(self, size: Size) -> bool:
        """Whether images of that size are computed by the runtime."""
        divides = all(length % multiple_of(self.network) == 0 for length in size)
        return min(size) >= self.smallest and (self.any_size or divides)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        """Of `network`: a session cannot be copied, and who copies a network wants to change it."""
        return copy.deepcopy(self.network, memo)


def accelerated(network: nn.Module, compute: Compute, name: str, wanted: Wanted) -> Accelerated:
    """The network with the runtime, for as many sizes as small trials show to be right.

    Raises UnsuitableError if it does not even compute multiples as `network` does.
    """
    multiple, smallest = multiple_of(network), trial_side(network)
    even = Size(smallest, smallest + multiple)
    module = Accelerated(network, compute, name=name, smallest=smallest, any_size=False)
    require_close(_trial(module, wanted.in_channels, even), name, network)
    module.any_size = True
    module.any_size = all(
        _agrees(_trial(module, wanted.in_channels, size)) for size in _between(smallest, multiple)
    )
    return module


def require_close(found: Agreement, name: str, network: nn.Module) -> None:
    """UnsuitableError if the runtime of that name gives other logits than PyTorch."""
    if found.difference > _CLOSE:
        raise UnsuitableError(
            found=f"{name}, whose logits of {type(network).__name__} are off by "
            f"{found.difference:.1e} standard deviations",
            expected=f"those of PyTorch, within {_CLOSE:.0e}",
            fix="use torch",
        )


def repeat_facts(wrapper: nn.Module, network: nn.Module) -> None:
    """Let `wrapper` tell of itself what `network` does."""
    for told in _TOLD:
        if hasattr(network, told):
            vars(wrapper)[told] = getattr(network, told)


def multiple_of(network: nn.Module) -> int:
    """Of the sizes that it computes at."""
    return int(getattr(network, "multiple", 1))


def pads_outside(network: nn.Module) -> bool:
    """Whether all it does with sizes between multiples is to pad them and crop the logits."""
    return int(getattr(network, "padded_to", multiple_of(network))) == multiple_of(network)


def pad_as(network: nn.Module, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """`image` padded as the network would do it, and its own height and width."""
    multiple, slack = multiple_of(network), int(getattr(network, "slack", 0))
    return pad_to_multiple(image, multiple, at_least=multiple, slack=slack)


def require_local(model: nn.Module, in_channels: int) -> None:
    """UnsuitableError for a network of which a tile must know something of the whole image.

    `tiling` tells it by standing in for calls of torch, which another runtime does not make.
    """
    multiple, side = multiple_of(model), trial_side(model)
    weight = next(model.parameters(), torch.empty(0))
    seen = _Telling()
    for size in (Size(side, side), Size(side + 1, side + multiple - 1)):
        with torch.inference_mode(), seen:
            model(noise(1, in_channels, *size).to(weight))
    if seen.what:
        raise UnsuitableError(
            found=f"{type(model).__name__}, which takes {seen.what}",
            expected="a network of which a part of an image needs to know nothing of the rest",
            fix="use torch, which is told of it",
        )


class _Telling(TorchFunctionMode):
    """Finds out whether a network does anything that a tile has to be told of."""

    what = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if statistic_of(func, args, kwargs):
            self.what = "statistics of the whole image"
        elif func is F.interpolate and is_stretch(func, args, kwargs):
            self.what = "interpolations that depend on the size of the image"
        return func(*args, **kwargs)


def _between(smallest: int, multiple: int) -> list[Size]:
    """Sizes that meet each way of not dividing: odd at the first pooling, at the last, at all of them."""
    if multiple == 1:
        return []
    rows = (1, multiple // 2, multiple - 1, 2, 0)
    columns = (multiple // 2 + 1, 0, multiple - 1, 1, multiple // 2)
    return [
        Size(smallest + down, smallest + multiple + right) for down, right in zip(rows, columns, strict=True)
    ]


def _agrees(found: Agreement) -> bool:
    return found.difference <= _CLOSE and found.same_class >= _SAME_CLASS


@torch.inference_mode()
def _trial(module: Accelerated, in_channels: int, size: Size) -> Agreement:
    image = noise(2, in_channels, *size).to(next(module.network.parameters(), torch.empty(0)).device)
    return compare(module.network(image), module(image))
