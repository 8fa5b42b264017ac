"""What a network is like, found by looking: parameters, multiply-adds, the sizes and the context it needs."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from uvala.arrays import Size
from uvala.errors import ConfigError
from uvala.models.blocks import InstanceNorm
from uvala.models.catalog import create_model, recipe_of, without_pretrained
from uvala.models.whole_image import is_everywhere, is_stretch, on_corners, statistic_of, to_a_size

__all__ = ["NetworkFacts", "measure", "multiply_adds", "receptive_field"]

WIDEST_PROBE = 4096  # pixels; a context of 2048 on each side would make tiles pointless
NARROW = {"width": 4, "widths": 4, "decoder_channels": 4, "fc_width": 8}  # channels: option -> of a twin


@dataclass(frozen=True)
class NetworkFacts:
    """What the planner and the tiler must know of a network.

    multiply_adds_512: of one image of 512x512, as `multiply_adds` counts them.
    multiple: the network pools in squares of this side; a tile has to begin at a multiple of it.
    halo: pixels of context that a tile needs on each side of what it keeps, in eval mode, for exactly the
    numbers of the whole image; what is kept begins and ends at multiples too. A tile must be told the size of
    the image where the network's interpolations depend on it, and the statistics of the whole image where it
    takes any (instance and group norm, global pooling): see `uvala.tiling.whole`. None: no tile is exact.
    statistics: how many of these it takes, one after the other.
    """

    parameters: int
    multiply_adds_512: int
    multiple: int
    halo: int | None
    statistics: int = 0


def measure(model: nn.Module, in_channels: int) -> NetworkFacts:
    """The facts of a network, which stays as it is; takes a second or two, for the experiment on context."""
    multiple = int(getattr(model, "multiple", 1))
    halo = _halo(model, in_channels, multiple)
    return NetworkFacts(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        multiply_adds_512=multiply_adds(model, in_channels, Size(512, 512)),
        multiple=multiple,
        halo=halo,
        statistics=0 if halo is None else count_statistics(model, in_channels),
    )


def multiply_adds(model: nn.Module, in_channels: int, size: Size) -> int:
    """Multiplications, each with its addition, for one image of that size: convolutions and products only."""
    # shapes without numbers: nothing is computed
    shadow = copy.deepcopy(model).to("meta", torch.float32).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        shadow(torch.empty(1, in_channels, *size, device="meta"))
    return int(counter.get_total_flops()) // 2


def count_statistics(model: nn.Module, in_channels: int) -> int:
    """How many numbers of whole maps a network takes in eval mode, one after the other."""
    side = max(64, 2 * int(getattr(model, "multiple", 1)))
    shadow = copy.deepcopy(model).to("meta", torch.float32).eval()
    counter = _StatisticCounter()
    with torch.no_grad(), counter:
        shadow(torch.empty(1, in_channels, side, side, device="meta"))
    return counter.count


class _StatisticCounter(TorchFunctionMode):
    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.count += statistic_of(func, args, kwargs) is not None
        return func(*args, **kwargs)


def _halo(model: nn.Module, in_channels: int, multiple: int) -> int | None:
    """Context by experiment, not by arithmetic: whatever the network is made of, its gradient knows.

    The gradient of a square of outputs is other than zero exactly at the inputs that they depend on, if
    nothing cancels and nothing is switched off. So it is taken on a copy whose weights are all positive, for
    a positive image, with means in place of maxima. A strip one square high will do for the width, and the
    other way round.
    """
    # a pooling that keeps places has no gradient to follow: such a network counts for itself
    if (declared := getattr(model, "context", None)) is not None:
        return int(declared)
    if not getattr(model, "local", True):
        return None
    probe, square = _without_norms(_positive(_narrow(model))), slice(0, multiple)
    reaches = []
    for axis in (2, 3):
        seen = _seen(probe, in_channels, multiple, [square], axis=axis, told=True)
        if seen is None:
            return None
        ((first, last),) = seen
        reaches += [-first, last + 1 - multiple]
    return max(*reaches, 0)


def _seen(
    probe: nn.Module, in_channels: int, multiple: int, parts: Sequence[slice], *, axis: int, told: bool
) -> list[tuple[int, int]] | None:
    """First and last input that each of these parts of a square of outputs depends on, from where it begins.

    None if that is more than the widest probe, or all, or if there is not an output for each pixel.
    """
    length = 16 * multiple
    while length <= max(WIDEST_PROBE, 16 * multiple):
        start = length // 2  # a multiple: 8 squares or more on the left, one less on the right
        shape = [1, in_channels, multiple, multiple]
        shape[axis] = length
        image = _strip(shape)
        try:
            with torch.enable_grad(), _MeanForMaximum(told=told):
                outputs = probe(image)
                if outputs.shape[2:] != image.shape[2:]:
                    return None
                square = outputs.narrow(axis, start, multiple).movedim(axis, 0)
                seen = [_touched(square[part].sum(), image, axis, start) for part in parts]
        except _NotLocal:
            return None
        if all(first > 0 and last < length - 1 for first, last in seen):
            return [(first - start, last - start) for first, last in seen]
        length *= 2
    return None


def _touched(output: Tensor, image: Tensor, axis: int, start: int) -> tuple[int, int]:
    """The first and the last row or column of the image that the output depends on; `start` if on none."""
    if not output.requires_grad:
        return start, start
    (gradient,) = torch.autograd.grad(output, image, retain_graph=True)
    touched = gradient.movedim(axis, 0).flatten(1).abs().sum(dim=1).nonzero()
    return int(touched[0]), int(touched[-1])


def _strip(shape: list[int]) -> Tensor:
    # not constant, for what subtracts a mean; a generator of its own, to leave the global one alone
    noise = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (noise + 1).requires_grad_()


def _narrow(model: nn.Module) -> nn.Module:
    """A network of the same recipe with few channels, which sees as far; itself if there is none."""
    try:
        recipe = recipe_of(model)
        options = {name: getattr(recipe.config, name) for name in type(recipe.config).model_fields}
        options |= {name: _fewer(options[name], most) for name, most in NARROW.items() if name in options}
        with torch.random.fork_rng(devices=[]):  # its weights are no draw of the caller's
            twin = create_model(recipe.name, **without_pretrained(options))
    except ConfigError:
        return model
    # somebody may have changed a layer since
    return twin if _windows(twin) == _windows(model) else model


def _windows(model: nn.Module) -> list[tuple[Any, ...]]:
    """How each layer that looks at more than one pixel looks at them."""
    names = ("kernel_size", "stride", "padding", "dilation")
    windows = (tuple(getattr(module, name, None) for name in names) for module in model.modules())
    return [window for window in windows if window[0] not in (None, 1, (1, 1))]


def _fewer(width: Any, most: int) -> Any:
    """That many channels at most; where there are several numbers, of each."""
    return tuple(min(each, most) for each in width) if isinstance(width, tuple) else min(width, most)


def _positive(model: nn.Module) -> nn.Module:
    """A copy in eval mode with positive weights that keep the mean, so that no path cancels or underflows."""
    # float64: across a hundred layers the far end of the reach weighs less than a float32 can say
    probe = copy.deepcopy(model).to("cpu", torch.float64).eval().requires_grad_(False)
    for module in probe.modules():
        inputs = _inputs_per_output(module)
        for name, parameter in module.named_parameters(recurse=False):
            parameter.fill_(0.0 if name == "bias" else 1.0 / inputs)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()  # mean 0, variance 1
    return probe


def _inputs_per_output(module: nn.Module) -> float:
    """How many numbers a layer adds up for one of its outputs; 1 for what only scales."""
    if isinstance(module, nn.ConvTranspose2d):
        (height, width), (down, right) = module.kernel_size, module.stride
        return module.in_channels // module.groups * height * width / (down * right)
    if isinstance(module, nn.Conv2d):
        return float(module.weight[0].numel())
    if isinstance(module, nn.Linear):
        return float(module.in_features)
    return 1.0


class _NotLocal(Exception):
    """The network does something that depends on all of the image."""


class _MeanForMaximum(TorchFunctionMode):
    """Inside, max pooling averages: a maximum's gradient sees one pixel of a square, the network sees all.

    told: as in a tile that is told of the whole image. Then a number of a whole map is a constant, and an
    interpolation whose weights depend on the size of the map reaches as far as it may in a map of any size.
    Otherwise such a number raises _NotLocal, as does, told or not, what no number stands for.
    """

    def __init__(self, *, told: bool) -> None:
        super().__init__()
        self.told = told

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if is_everywhere(func, args, kwargs):
            raise _NotLocal
        squeezes = statistic_of(func, args, kwargs) in ("mean", "maximum")
        if squeezes and not self.told:
            raise _NotLocal
        if func in _POOLS_THAT_PICK:
            raise _NotLocal
        if func is F.max_pool2d or func is torch.max_pool2d:
            return _mean_pool(*args, **kwargs)
        result = func(*args, **kwargs)
        if squeezes:
            return result.detach()
        if self.told and is_stretch(func, args, kwargs):
            corners, floored = on_corners(func, args, kwargs), to_a_size(func, args, kwargs)
            return _widest(args[0], result.shape[-2:], corners=corners, floored=floored)
        return result


def _widest(x: Tensor, size: Sequence[int], *, corners: bool, floored: bool) -> Tensor:
    """The mean of all pixels that an interpolation to that size may take, wherever the map lies in a larger.

    Of a map that becomes r times as large, row i is interpolated at i (n - 1) / (r n - 1), between i / r - 1
    and i / r, where corners lie on corners. floored: it may become m rows, up to r - 1 more than r n, and
    then it is up to a pixel less. Edges on edges it is (i + 1/2) n / m - 1/2, where m is up to r - 1 less
    than r n.
    """
    for axis, length in ((2, size[0]), (3, size[1])):
        before = x.shape[axis]
        if length % before:
            raise _NotLocal
        rows = torch.arange(length) // (length // before)
        reach = (*((-2,) if floored else ()), -1, 0, 1) if corners else (-2, -1, 0, 1, 2)
        x = sum(
            (x.index_select(axis, (rows + step).clamp(0, before - 1)) for step in reach), torch.zeros(())
        ) / len(reach)
    return x


def _mean_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if dilation not in (1, (1, 1), [1, 1]):
        raise _NotLocal  # it is local, but there is no such mean to follow the gradient of
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)


_POOLS_THAT_PICK = {
    F.max_pool2d_with_indices,
    F.fractional_max_pool2d,
    F.fractional_max_pool2d_with_indices,
    F.max_unpool2d,
    F.adaptive_max_pool2d_with_indices,
}
"""Of the pixels that these look at, a gradient sees one, and no mean stands for them."""


def receptive_field(model: nn.Module, in_channels: int) -> int | None:
    """How many pixels across one pixel of the logits can depend on; None: the whole image.

    Of convolutions, pooling and interpolation alone: that a norm looks at the whole image does not count. Of
    the pixels in a pooling square, the one that sees most, which is one at its border: there it needs the
    square's neighbour, too.
    """
    if (declared := getattr(model, "context", None)) is not None:
        return 2 * int(declared) + 1
    multiple = int(getattr(model, "multiple", 1))
    probe = _without_norms(_positive(_narrow(model)))
    rows = sorted({0, multiple // 2 - 1, multiple // 2, multiple - 1} - {-1})
    parts = [slice(row, row + 1) for row in rows]
    spans = []
    for axis in (2, 3):
        seen = _seen(probe, in_channels, multiple, parts, axis=axis, told=False)
        if seen is None:
            return None
        spans += [last + 1 - first for first, last in seen]
    return max(spans)


def _without_norms(probe: nn.Module) -> nn.Module:
    """The same network without the norms that look at the whole image."""
    for module in list(probe.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.GroupNorm | nn.InstanceNorm2d | InstanceNorm):
                setattr(module, name, nn.Identity())
    return probe
