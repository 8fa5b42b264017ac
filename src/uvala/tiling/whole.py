"""What a network does with the whole image, done right in a tile of it.

A stretch (an interpolation of corners onto corners, or to a given size) is computed with the coordinates of
the whole map. A statistic (the moments of an instance or group norm, a mean or largest value of the whole
map) is gathered from all tiles before: in a pass for each of them, since what the second looks at depends on
the first. `Survey` finds out what of this a network does, from the shapes inside it.
"""

import math
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from uvala.arrays import Box, Size
from uvala.models.whole_image import (
    Statistic,
    is_everywhere,
    is_stretch,
    keeps_axes,
    norm_arguments,
    on_corners,
    statistic_of,
)

__all__ = ["InTile", "Moments", "NotLocal", "StatisticNeeded", "Survey", "survey"]

_EACH = Size(1, 1)
_AT_ONCE = 2**22  # numbers that are summed up at a time: 32 MB


class NotLocal(Exception):
    """The network relates every pixel to every other: no tile can be exact."""


class StatisticNeeded(Exception):
    """A tile cannot go on: a number of the whole image is not known yet."""


@dataclass(frozen=True)
class Call:
    """A call that looks at the whole image, or may: each interpolation, and each statistic.

    statistic: which; None for an interpolation. stretched: whether its weights depend on the size of the map.
    before, after: height and width of the map in the whole image. step, step_after: pixels of the image from
    one pixel of the map to the next, down and across, before and after.
    """

    statistic: Statistic | None
    stretched: bool
    corners: bool
    before: Size
    after: Size
    step: Size = _EACH
    step_after: Size = _EACH


@dataclass(frozen=True)
class Survey:
    """The calls of a network in an image of one size, in their order."""

    calls: tuple[Call, ...]

    @property
    def needed(self) -> bool:
        """Whether a tile has to know anything of the whole image."""
        return any(call.stretched or call.statistic for call in self.calls)

    @property
    def statistics(self) -> tuple[int, ...]:
        """Which calls want a number of the whole map: so many passes come before the last."""
        return tuple(place for place, call in enumerate(self.calls) if call.statistic)


def survey(model: nn.Module, in_channels: int, size: Size, multiple: int) -> Survey:
    """What a network in eval mode does with the whole of an image of `size`; nothing is computed.

    multiple: of the network; at sizes that it divides, each map is the image divided by a whole number.
    Raises NotLocal.
    """
    calls = _calls(model, in_channels, size)
    if not any(call.stretched or call.statistic for call in calls):
        return Survey(tuple(calls))
    side = multiple * max(1, math.ceil(512 / multiple))
    even = _calls(model, in_channels, Size(side, side))
    if [call.statistic for call in even] != [call.statistic for call in calls]:
        raise NotLocal  # what the network does depends on the size of the image
    return Survey(
        tuple(
            replace(call, step=_step(side, at_even.before), step_after=_step(side, at_even.after))
            for call, at_even in zip(calls, even, strict=True)
        )
    )


def _step(side: int, size: Size) -> Size:
    """Pixels of an image of `side` by `side` from one pixel of a map of `size` to the next."""
    if any(length > side or side % length for length in size):
        raise NotLocal
    return Size(*(side // length for length in size))


def _calls(model: nn.Module, in_channels: int, size: Size) -> list[Call]:
    tensors = chain(model.named_parameters(), model.named_buffers())
    # shapes without numbers, whatever the precision and the device
    shapes = {name: torch.empty(each.shape, device="meta") for name, each in tensors}
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        functional_call(model, shapes, torch.empty(1, in_channels, *size, device="meta"))
    return recorder.calls


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if is_everywhere(func, args, kwargs):
            raise NotLocal
        result = func(*args, **kwargs)
        statistic = statistic_of(func, args, kwargs)
        if statistic or func is F.interpolate:
            before = _size(args[0])
            after = before if statistic else _size(result)
            stretched = not statistic and is_stretch(func, args, kwargs)
            corners = on_corners(func, args, kwargs)
            self.calls.append(Call(statistic, stretched, corners, before, after))
        return result


@dataclass
class InTile(TorchFunctionMode):
    """Inside, a network sees a tile as a part of the whole image. For one tile, or several at one place.

    read: the box of the tile in the image. kept: the part of it that is right, of which statistics are taken;
    where it ends at the image's lower or right border, it ends with the map, whatever the network pads.
    known: the statistics by the place of their call. gather: what takes in the next one that is not known.
    """

    survey: Survey
    read: Box
    kept: Box
    size: Size
    known: dict[int, "Moments"]
    gather: "Moments | None" = None
    place: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        """As a mode begins."""
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        statistic = statistic_of(func, args, kwargs)
        if not statistic and func is not F.interpolate:
            return func(*args, **kwargs)
        self.place += 1
        call = self.survey.calls[self.place] if self.place < len(self.survey.calls) else None
        if call is None or call.statistic != statistic:
            raise NotLocal  # in a tile the network does something else than in the image
        if statistic:
            return self._statistic(func, args, kwargs, call)
        if not call.stretched:
            return func(*args, **kwargs)
        x = args[0]
        after = _size(func(x.to("meta"), *args[1:], **kwargs))
        given, last = x.dtype, x.is_contiguous(memory_format=torch.channels_last)
        x = x.to(torch.promote_types(given, torch.float32))
        for axis, edge in ((0, self.read.top), (1, self.read.left)):
            rows = torch.arange(after[axis]) + edge // call.step_after[axis]
            first, whole, whole_after = edge // call.step[axis], call.before[axis], call.after[axis]
            x = _stretch(x, axis + 2, rows, first, whole, whole_after, corners=call.corners)
        # as it came: another order of the numbers in memory takes other, slower convolutions from here on
        return x.to(given).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _statistic(self, func: Any, args: Any, kwargs: Any, call: Call) -> Tensor:
        x = args[0]
        moments = self.known.get(self.place)
        if moments is None:
            assert self.gather is not None, "a statistic that nobody gathered"
            self.gather.add(x[:, :, *self._kept_on(call, _size(x)).slices])
            raise StatisticNeeded
        return moments.apply(func, args, kwargs)

    def _kept_on(self, call: Call, local: Size) -> Box:
        """What of a map of the tile is right, and no other tile's."""
        kept, (down, across) = self.kept, call.step
        # what a network pads at the lower and right border belongs to the tile that writes it
        bottom = local.height if self.read.top + kept.bottom == self.size.height else kept.bottom // down
        right = local.width if self.read.left + kept.right == self.size.width else kept.right // across
        return Box(kept.top // down, kept.left // across, bottom, right)


class Moments:
    """Mean, variance and maximum of each channel of a whole map, gathered part by part in float64."""

    def __init__(self) -> None:
        self.pixels = 0
        self.mean = self.squares = self.maximum = torch.zeros(0)

    def add(self, part: Tensor) -> None:
        """Take in a part [1, C, h, w] of the map."""
        if not part.numel():
            return
        # some channels at a time: in double precision a whole map may be as large as all else
        some = max(1, _AT_ONCE // part[0, 0].numel())
        found = [_moments(each.flatten(1)) for each in part[0].split(some)]
        mean, squares, maximum = (torch.cat(each) for each in zip(*found, strict=True))
        pixels = part[0, 0].numel()
        if not self.pixels:
            self.pixels, self.mean, self.squares, self.maximum = pixels, mean, squares, maximum
            return
        # Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance"
        total, apart = self.pixels + pixels, mean - self.mean
        self.mean = self.mean + apart * (pixels / total)
        self.squares = self.squares + squares + apart.square() * (self.pixels * pixels / total)
        self.maximum, self.pixels = torch.maximum(self.maximum, maximum), total

    def apply(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """What the call gives in the whole image, for its part [B, C, h, w] there."""
        x, statistic = args[0], statistic_of(func, args, kwargs)
        if statistic == "moments":
            return self._normalised(x, *norm_arguments(func, args, kwargs))
        numbers = (self.mean if statistic == "mean" else self.maximum).to(x).expand(len(x), -1)
        return numbers[:, :, None, None] if keeps_axes(func, args, kwargs) else numbers

    def _normalised(
        self, x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        """x, [B, C, h, w], normalised by the moments of its groups of channels."""
        # on the CPU, where the moments are; then as torch does it, in no less than float32
        means, squares = self.mean.view(groups, -1), self.squares.view(groups, -1)
        mean = means.mean(dim=1, keepdim=True)
        variance = (squares / self.pixels + (means - mean).square()).mean(dim=1, keepdim=True)
        scale = (variance + eps).rsqrt().expand_as(means).reshape(-1)
        if weight is not None:
            scale = scale * weight.to(scale)
        shift = -mean.expand_as(means).reshape(-1) * scale
        if bias is not None:
            shift = shift + bias.to(shift)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        scale, shift = (each.to(exact)[:, None, None] for each in (scale, shift))
        return (exact * scale + shift).to(x.dtype)


def _moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, sum of squares around it and maximum of each row [C, N]: float64 [C] each, on the CPU."""
    values = values.to("cpu", torch.float64)  # some devices have no float64
    mean = values.mean(dim=1)
    return mean, (values - mean[:, None]).square_().sum(dim=1), values.amax(dim=1)


def _stretch(
    x: Tensor, axis: int, rows: Tensor, first: int, whole: int, whole_after: int, *, corners: bool
) -> Tensor:
    """Rows (or columns) `rows` of the whole stretched map, from the part of it that begins at row `first`.

    whole, whole_after: rows of the whole map before and after. What lies outside the part counts as its last
    row, and is not kept.
    """
    # as torch computes them, rounded alike: at row 10,000 a float32 knows a weight to a thousandth
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    rows = rows.to(exact)
    if corners:
        ratio = torch.tensor(whole - 1, dtype=exact) / max(whole_after - 1, 1)
        source = rows * ratio
    else:
        ratio = torch.tensor(whole, dtype=exact) / whole_after
        source = ((rows + 0.5) * ratio - 0.5).clamp(min=0)
    upper = source.long().clamp(max=whole - 1)
    lower = (upper + 1).clamp(max=whole - 1)
    share = (source - upper).to(x.dtype).to(x.device)
    above, below = (
        x.index_select(axis, (each - first).clamp(0, x.shape[axis] - 1).to(x.device))
        for each in (upper, lower)
    )
    share = share[:, None] if axis == 2 else share
    # in place: these are the largest maps of a tile
    return above.mul_(1 - share).add_(below.mul_(share))


def _size(x: Tensor) -> Size:
    return Size(x.shape[-2], x.shape[-1])
