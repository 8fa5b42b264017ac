"""A tile computes only what the part that it writes depends on.

A tile reads as much context as the deepest layers want, which is far more than the wide maps of the decoder
need: with a deep encoder most of a tile is context that they would compute for nobody. So a network is run
once on shapes without numbers, which tells what calls it makes; from the part that is kept one goes back
through them, to what is needed of each map; and where the network runs on numbers, each call is given that
part of its maps. The numbers are those that it gives for the whole tile.

What a call of another kind looks at is not known (`_REACHES` and `_EACH_PIXEL` say what is); it is given its
maps whole, and so is all before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from uvala.arrays import Box, Size
from uvala.tiling.geometry import hull, moved, overlap, up

__all__ = ["Demand", "Demands", "Unforeseen", "demand_of", "only_needed"]

_CUT_FROM = 1.05  # a map is cut where it has so many times the pixels that are needed: a copy costs something
_MOST_SHARE = 0.97  # of the multiplications; where more of them are needed, a tile is computed as it is


class Unforeseen(Exception):
    """A network made another call on numbers than on shapes."""


@dataclass(frozen=True)
class _Axis:
    """Row i of a result depends on rows i * stride // rise - before to i * stride // rise + after."""

    stride: int = 1
    rise: int = 1
    before: int = 0
    after: int = 0

    def needed(self, start: int, end: int, length: int) -> tuple[int, int]:
        """Of a map of so many rows, what rows `start` to `end` - 1 of the result depend on."""
        first = start * self.stride // self.rise - self.before
        last = max(first, (end - 1) * self.stride // self.rise + self.after)
        # from where a window begins to where one does, as a shuffle of pixels wants it
        return max(0, first // self.stride * self.stride), min(length, up(last + 1, self.stride))


@dataclass(frozen=True)
class _Reach:
    """How far a call looks, down and across."""

    down: _Axis
    across: _Axis

    def needed(self, result: Box, size: Size) -> Box:
        """The part of a map of `size` that a part of the result depends on."""
        top, bottom = self.down.needed(result.top, result.bottom, size.height)
        left, right = self.across.needed(result.left, result.right, size.width)
        return Box(top, left, bottom, right)

    def cuts(self, there: Box, needed: Box) -> bool:
        """Whether a call is to be given what is needed of a map, and not all that is there."""
        down, across = self.down.stride, self.across.stride
        if there.top % down or there.left % across or there.bottom % down or there.right % across:
            return True  # windows would begin elsewhere, or be cut
        return there.height * there.width > _CUT_FROM * needed.height * needed.width

    def begins(self, part: Box) -> tuple[int, int]:
        """Where the result of a part of a map begins."""
        return (
            part.top * self.down.rise // self.down.stride,
            part.left * self.across.rise // self.across.stride,
        )


_HERE = _Reach(_Axis(), _Axis())


@dataclass(frozen=True)
class _Call:
    """A call that gave maps. inputs, outputs: their numbers. reach: None if it may look anywhere.

    work: multiplications for a pixel of the result.
    """

    func: Any
    reach: _Reach | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    work: float


@dataclass(frozen=True)
class _Step:
    """A call as it is made in a tile. needed: of each map that it is given; None for what is no map.

    sizes: of what it gives for a whole tile; None for what is no map.
    """

    call: _Call
    needed: tuple[Box | None, ...]
    sizes: tuple[Size | None, ...]


@dataclass(frozen=True)
class Demand:
    """What of each map a part of the result depends on.

    share: of the multiplications of a whole tile, 0 to 1.
    """

    steps: tuple[_Step, ...]
    share: float

    @property
    def pays(self) -> bool:
        """Whether a tile is computed faster so."""
        return self.share < _MOST_SHARE


_WHOLE = Demand((), 1.0)


def demand_of(model: nn.Module, channels: int, size: Size, kept: Box) -> Demand:
    """What a network in eval mode has to compute of a tile of `size` where `kept` of the result is wanted."""
    return _traced(model, channels, size).demand(kept)


class Demands:
    """Of one network, for its tiles: in the middle of an image, at its borders and corners."""

    def __init__(self) -> None:
        self._traces: dict[tuple[int, Size], _Trace] = {}
        self._known: dict[tuple[int, Size, Box], Demand] = {}

    def of(self, model: nn.Module, images: Tensor, kept: Box) -> Demand:
        """What has to be computed of tiles [B, C, H, W], of each of which `kept` is wanted.

        All of it by a network that is computed elsewhere, which says `in_parts = False`, and by one that
        uvala did not make: it may do what nobody has thought of here.
        """
        if not getattr(model, "in_parts", True) or not hasattr(model, "recipe"):
            return _WHOLE
        channels, size = images.shape[1], Size(*images.shape[2:])
        if (channels, size, kept) not in self._known:
            if (channels, size) not in self._traces:
                self._traces[channels, size] = _traced(model, channels, size)
            self._known[channels, size, kept] = self._traces[channels, size].demand(kept)
        return self._known[channels, size, kept]


def only_needed(model: nn.Module, images: Tensor, demand: Demand) -> tuple[Tensor, Box]:
    """A part of the network's result for tiles [B, C, H, W], [B, K, h, w], and where in the tile it lies.

    Raises Unforeseen.
    """
    mode = _OnlyNeeded(demand.steps, images)
    try:
        with mode:
            result = model(images)
    except torch.OutOfMemoryError:
        raise
    except (
        RuntimeError
    ) as error:  # a call that no mode sees, such as of a scripted function, gave a whole map
        raise Unforeseen from error
    part = mode.parts.get(result)
    if part is None or part.box is None:
        raise Unforeseen
    return result, part.box


def _traced(model: nn.Module, channels: int, size: Size) -> "_Trace":
    trace = _Trace()
    image = torch.empty(1, channels, *size, device="meta")
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = {name: torch.empty(each.shape, device="meta") for name, each in tensors}
    trace.number(image)
    with torch.no_grad(), trace:
        result = functional_call(model, shapes, image)
    # a result of another size is none of a tile; whoever wants it is told so elsewhere
    trace.result = trace.numbers.get(result) if result.shape[2:] == image.shape[2:] else None
    return trace


class _Trace(TorchFunctionMode):
    """Writes down the calls of a network, and numbers the maps that they give.

    result: the number of the last one, for all pixels of the image; None if there is no such map. writes:
    whether it writes to places of a map, which would be other places of a part, or to memory that another map
    shares, of which a part would be written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.result: int | None = None
        self.writes = False
        self.calls: list[_Call] = []
        self.sizes: list[Size | None] = []
        self.numbers = WeakIdKeyDictionary()

    def number(self, x: Tensor) -> int:
        """A new number for a map."""
        self.sizes.append(_size(x))
        self.numbers[x] = len(self.sizes) - 1
        return len(self.sizes) - 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [x for x in _tensors((args, kwargs)) if x in self.numbers]
        inputs = tuple(self.numbers[x] for x in given)
        sizes = [self.sizes[number] for number in inputs]
        result = func(*args, **kwargs)
        gave = _tensors(result)
        self.writes |= func is Tensor.__setitem__ and bool(given)
        self.writes |= any(x is each for x in gave for each in given) and self._is_shared(given[0])
        if not given or not gave:
            return result
        if func in _SAME_NUMBERS:
            if (
                _first(args, kwargs) is given[0]
            ):  # and not a number of the caller's, brought to where a map is
                self.numbers[result] = inputs[0]
            return result
        reach, work = _reach(func, args, kwargs, given, sizes, result)
        self.calls.append(_Call(func, reach, inputs, tuple(self.number(x) for x in gave), work))
        return result

    def _is_shared(self, x: Tensor) -> bool:
        """Whether a map that is written to is the image, or shares its memory with another one."""
        place = x.untyped_storage()._cdata
        same = [each for each in self.numbers if each.untyped_storage()._cdata == place]
        return len(same) > 1 or self.numbers[x] == 0

    def demand(self, kept: Box) -> Demand:
        """What is needed of each map if `kept` is of the result."""
        if self.result is None or self.writes:
            return _WHOLE
        wanted: dict[int, Box] = {self.result: kept}
        steps: list[_Step] = []
        needed_work = all_work = 0.0
        for call in reversed(self.calls):
            sizes = tuple(self.sizes[number] for number in call.outputs)
            parts: list[Box | None] = []
            # what is needed of a result that nobody uses is not asked: it comes whole
            box = wanted.get(call.outputs[0]) or _whole(sizes[0])
            for number in call.inputs:
                size = self.sizes[number]
                needed = _whole(size)
                if call.reach is not None and box is not None and size is not None:
                    needed = call.reach.needed(box, size)
                parts.append(needed)
                if needed is not None:
                    wanted[number] = hull([wanted.get(number, needed), needed])
            steps.append(_Step(call, tuple(parts), sizes))
            if box is not None and sizes[0] is not None:
                needed_work += call.work * box.height * box.width
                all_work += call.work * sizes[0].height * sizes[0].width
        return Demand(tuple(reversed(steps)), needed_work / all_work if all_work else 1.0)


@dataclass(frozen=True)
class _Part:
    """What of a map there is. box: None of what is no map. size: of the whole."""

    box: Box | None
    size: Size | None


class _OnlyNeeded(TorchFunctionMode):
    """Inside, a network computes parts of its maps, and sees the sizes of the whole ones."""

    def __init__(self, steps: Sequence[_Step], images: Tensor) -> None:
        super().__init__()
        self.steps = steps
        self.place = 0
        self.parts = WeakIdKeyDictionary()
        self.parts[images] = _Part(_whole(_size(images)), _size(images))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [x for x in _tensors((args, kwargs)) if x in self.parts]
        if not given:
            return func(*args, **kwargs)
        if func in _SIZES:
            return _SIZES[func](self._whole_size(given[0]), *args[1:], **kwargs)
        if func in _SAME_NUMBERS:
            result = func(*args, **kwargs)
            if _first(args, kwargs) is given[0]:
                self.parts[result] = self.parts[given[0]]
            return result
        if self.place == len(self.steps) or self.steps[self.place].call.func != func:
            result = func(*args, **kwargs)
            if _tensors(result):
                raise Unforeseen
            return result
        step = self.steps[self.place]
        self.place += 1
        return self._made(step, func, args, kwargs, given)

    def _made(self, step: _Step, func: Any, args: Any, kwargs: Any, given: Sequence[Tensor]) -> Any:
        """The result of a call for what is needed of its maps."""
        parts, reach = [self.parts[x] for x in given], step.call.reach
        if len(parts) != len(step.needed):
            raise Unforeseen
        if reach is not None and func in _REACHES and _REACHES[func](*args, **kwargs)[0] != reach:
            raise Unforeseen  # the same call with other windows
        if reach is None:  # what it looks at is there as a whole
            result = func(*args, **kwargs)
            gave = _tensors(result)
            if len(gave) != len(step.sizes):
                raise Unforeseen
            for x, size in zip(gave, step.sizes, strict=True):
                self.parts[x] = _Part(_whole(size), size)
            return result
        there = [_box(part.box) for part in parts]
        boxes = [_box(needed) for needed in step.needed]
        if func in _REACHES:
            boxes = [box if reach.cuts(part, box) else part for part, box in zip(there, boxes, strict=True)]
        elif func is not Tensor.__getitem__:
            boxes = [overlap(there)] * len(there)
        if func is Tensor.__getitem__:  # a corner, of which this much is wanted
            result = _of(given[0], there[0], boxes[0])
        else:
            smaller = {
                id(x): _of(x, part, box)
                for x, part, box in zip(given, there, boxes, strict=True)
                if part != box
            }
            args, kwargs = tree_map(lambda each: smaller.get(id(each), each), (args, kwargs))
            result = func(*args, **kwargs)
        top, left = reach.begins(boxes[0])
        height, width = result.shape[-2:]
        self.parts[result] = _Part(Box(top, left, top + height, left + width), step.sizes[0])
        return result

    def _whole_size(self, x: Tensor) -> torch.Size:
        size = self.parts[x].size
        return x.shape if size is None else torch.Size((*x.shape[:-2], *size))


_Found = tuple[_Reach | None, float]
"""How far a call looks, None if that is not known; and multiplications for a pixel of the result."""


def _reach(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: Sequence[Tensor],
    sizes: Sequence[Size | None],
    result: Any,
) -> _Found:
    """Of a call that was given maps of these sizes."""
    if not isinstance(result, Tensor) or None in (*sizes, _size(result)):
        return None, 0.0
    if func in _EACH_PIXEL:
        alike = {*sizes, _size(result)} == {_size(result)}
        # what else has a number for each pixel would have to be cut as well
        others = [x for x in _tensors((args, kwargs)) if not any(x is each for each in given)]
        alone = func in _WITH_A_NUMBER_A_CHANNEL or all(_is_the_same_everywhere(x) for x in others)
        counts = func in (F.batch_norm, torch.batch_norm) and _of_the_batch(*args, **kwargs)
        return (_HERE if alike and alone and not counts else None), 0.0
    if func is Tensor.__getitem__:
        return (_HERE if _is_corner(args[1]) else None), 0.0
    if func not in _REACHES or len(given) != 1:
        return None, 0.0
    return _REACHES[func](*args, **kwargs)


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> _Found:
    if isinstance(padding, str):
        return None, 0.0
    return _windows(weight.shape[2:], stride, padding, dilation), float(weight[0].numel() * len(weight))


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> _Found:
    axes = []
    for kernel, by, beside, apart, more in zip(
        weight.shape[2:], *(_two(each) for each in (stride, padding, dilation, output_padding)), strict=True
    ):
        wide = (kernel - 1) * apart
        before = max(0, (wide - beside) // by)
        # rows that a row of the result depends on, and those without which it would not be there
        after = max((by - 1 + beside) // by, -(-(by - 1 + 2 * beside - wide - more) // by))
        axes.append(_Axis(rise=by, before=before, after=after))
    down, across = axes
    return _Reach(down, across), weight.numel() / (down.rise * across.rise)


def _pooling(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *others: Any, **named: Any
) -> _Found:
    # the fifth argument of a maximum is its dilation
    if named.get("dilation", 1) not in (1, (1, 1)) or named.get("return_indices"):
        return None, 0.0
    if others and not isinstance(others[0], bool) and others[0] not in (1, (1, 1)):
        return None, 0.0
    kernel = _two(kernel_size)
    return _windows(kernel, kernel if stride in (None, [], ()) else stride, padding, 1), 0.0


def _interpolation(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **others: Any,
) -> _Found:
    if size is not None or align_corners or mode not in ("nearest", "bilinear") or any(others.values()):
        return None, 0.0
    rises = _two(scale_factor)
    if any(rise != int(rise) or rise < 1 for rise in rises):
        return None, 0.0
    beside = int(mode == "bilinear")
    down, across = (_Axis(rise=int(rise), before=beside, after=beside) for rise in rises)
    return _Reach(down, across), 0.0


def _shuffle(input: Tensor, upscale_factor: int) -> _Found:
    axis = _Axis(rise=upscale_factor)
    return _Reach(axis, axis), 0.0


def _unshuffle(input: Tensor, downscale_factor: int) -> _Found:
    axis = _Axis(stride=downscale_factor, after=downscale_factor - 1)
    return _Reach(axis, axis), 0.0


def _windows(kernel: Sequence[int], stride: Any, padding: Any, dilation: Any) -> _Reach:
    down, across = (
        _Axis(stride=by, before=beside, after=(side - 1) * apart - beside)
        for side, by, beside, apart in zip(
            kernel, *(_two(each) for each in (stride, padding, dilation)), strict=True
        )
    )
    return _Reach(down, across)


_REACHES: dict[Any, Callable[..., _Found]] = {
    F.conv2d: _convolution,
    F.conv_transpose2d: _transposed,
    F.max_pool2d: _pooling,
    torch.max_pool2d: _pooling,
    F.avg_pool2d: _pooling,
    F.interpolate: _interpolation,
    F.pixel_shuffle: _shuffle,
    F.pixel_unshuffle: _unshuffle,
}
"""Calls that look at a window of one map."""

_WITH_A_NUMBER_A_CHANNEL = {F.batch_norm, torch.batch_norm, F.prelu, torch.prelu}

_NAMES = (
    "add sub mul div true_divide sigmoid tanh relu exp sqrt square clamp clamp_min maximum minimum neg abs"
)
_ACTIVATIONS = (
    "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu gelu silu mish hardtanh hardtanh_ hardswish"
    " hardsigmoid softplus dropout dropout2d"
)
_OPERATORS = "__add__ __iadd__ __radd__ __sub__ __isub__ __rsub__ __mul__ __imul__ __rmul__ __truediv__"
_EACH_PIXEL = {
    *_WITH_A_NUMBER_A_CHANNEL,
    torch.cat,
    torch.concat,
    *(getattr(F, name) for name in _ACTIVATIONS.split()),
    *(
        getattr(home, name + ending)
        for home in (torch, Tensor)
        for name in _NAMES.split()
        for ending in ("", "_")
        if hasattr(home, name + ending)
    ),
    *(getattr(Tensor, name) for name in _OPERATORS.split()),
}
"""Calls that give a pixel for each, of maps of one size."""

_SAME_NUMBERS = {Tensor.contiguous, Tensor.clone, torch.clone, Tensor.to, Tensor.float, Tensor.detach}

_SIZES: dict[Any, Callable[..., Any]] = {
    Tensor.shape.__get__: lambda size: size,  # type: ignore[attr-defined]  # a descriptor, to Python
    Tensor.numel: lambda size: size.numel(),
    Tensor.size: lambda size, dim=None: size if dim is None else size[dim],
}


def _of_the_batch(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *others: Any,
    **named: Any,
) -> bool:
    """Whether a batch norm takes its statistics from what it is given."""
    return bool(training)


def _is_the_same_everywhere(x: Tensor) -> bool:
    """Whether numbers are the same for each pixel of a map."""
    return x.ndim == 0 or (x.ndim > 1 and x.shape[-2:] == (1, 1))


def _is_corner(index: Any) -> bool:
    """Whether an index gives the upper left corner of a map."""
    if not isinstance(index, tuple) or len(index) != 3 or index[0] is not Ellipsis:
        return False
    return all(isinstance(each, slice) and not each.start and each.step in (None, 1) for each in index[1:])


def _two(value: Any) -> tuple[Any, Any]:
    """The numbers down and across."""
    if isinstance(value, Sequence):
        return (value[0], value[-1])
    return value, value


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("input")


def _tensors(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


def _size(x: Tensor) -> Size | None:
    """Height and width of a map [B, C, H, W]; None of what is none."""
    return Size(*x.shape[2:]) if x.ndim == 4 else None


def _whole(size: Size | None) -> Box | None:
    return None if size is None else Box(0, 0, *size)


def _box(box: Box | None) -> Box:
    assert box is not None, "a call that is known to look at maps was given something else"
    return box


def _of(x: Tensor, there: Box, box: Box) -> Tensor:
    """A part of the part of a map that is there."""
    return x[..., *moved(box, -there.top, -there.left).slices]
