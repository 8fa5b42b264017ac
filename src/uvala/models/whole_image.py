"""Layers that look further than a neighbourhood, known by the function that they call.

A stretch interpolates a map with weights that depend on its size: corners onto corners, or to a given size. A
statistic is a number of the whole map: a mean or largest value, or the moments of an instance or group norm.
"""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "NormArguments",
    "Statistic",
    "is_everywhere",
    "is_stretch",
    "keeps_axes",
    "norm_arguments",
    "on_corners",
    "statistic_of",
    "to_a_size",
]

Statistic = Literal["mean", "maximum", "moments"]

_EPS = 1e-5  # torch's default
_MEANS = {torch.mean, Tensor.mean}
_MAXIMA = {torch.amax, Tensor.amax}
# What picks some numbers out of all. The axis is its second argument; of a few it is the third.
_PICKS = "max min amax amin aminmax argmax argmin median nanmedian mode sort argsort msort cummax cummin"
_PICKS_BY_A_NUMBER = "topk kthvalue quantile nanquantile"
_AXIS_OF_PICK = {
    getattr(home, name): place
    for place, names in ((1, _PICKS), (2, _PICKS_BY_A_NUMBER))
    for name in names.split()
    for home in (torch, Tensor)
}
_GROUPS = {F.group_norm, torch.group_norm}
_POOLS: dict[Any, Statistic] = {F.adaptive_avg_pool2d: "mean", F.adaptive_max_pool2d: "maximum"}


def statistic_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Statistic | None:
    """Which number of a whole map [B, C, H, W] a call of torch wants; None for any other call."""
    # with statistics of its own, an instance norm is one layer of numbers like any other
    own = func is F.instance_norm and _argument(args, kwargs, 5, "use_input_stats") is False
    if func in _GROUPS or (func is F.instance_norm and not own):
        return "moments"
    if func in _POOLS and _to_one_pixel(*args, **kwargs):
        return _POOLS[func]
    if func in _MEANS | _MAXIMA and _over_the_image(*args, **kwargs):
        return "mean" if func in _MEANS else "maximum"
    return None


def is_everywhere(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call looks at the whole map in a way that no tile can stand in for.

    Attention, pooling to several pixels, means over batch or channels too, what is picked out of more than
    the channels of a pixel (the largest, the median, an order), and interpolations that depend on the size of
    the map and are not bilinear.
    """
    if func is F.scaled_dot_product_attention:
        return True
    if func in _MEANS:
        return _over_more_than_the_image(*args, **kwargs)
    if func in _AXIS_OF_PICK:
        return statistic_of(func, args, kwargs) is None and not _within_a_pixel(func, args, kwargs)
    if is_stretch(func, args, kwargs):
        smooth = _argument(args, kwargs, 3, "mode") == "bilinear"
        return not smooth or bool(_argument(args, kwargs, 6, "antialias"))
    return func in _POOLS and not _to_one_pixel(*args, **kwargs)


def is_stretch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call interpolates with weights that depend on the size of the map."""
    return func is F.interpolate and not _keeps_its_place(*args, **kwargs)


def on_corners(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an interpolation puts corners onto corners; if not, edges onto edges."""
    return bool(_argument(args, kwargs, 4, "align_corners"))


def to_a_size(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an interpolation is told the size that comes out, which need not be a multiple."""
    return _argument(args, kwargs, 1, "size") is not None


def keeps_axes(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a mean or maximum of a map is given as [B, C, 1, 1]; if not, as [B, C]."""
    return func in _POOLS or bool(_argument(args, kwargs, 2, "keepdim"))


class NormArguments(NamedTuple):
    """What an instance or group norm is called with. weight, bias: [C] or None."""

    groups: int
    weight: Tensor | None
    bias: Tensor | None
    eps: float


def norm_arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NormArguments:
    """The arguments of a call whose statistic is "moments"."""
    if func in _GROUPS:
        eps = _argument(args, kwargs, 4, "eps")
        groups = int(_argument(args, kwargs, 1, "num_groups"))
        weight, bias = (_argument(args, kwargs, *each) for each in ((2, "weight"), (3, "bias")))
    else:
        eps = _argument(args, kwargs, 7, "eps")
        groups = args[0].shape[1]
        weight, bias = (_argument(args, kwargs, *each) for each in ((3, "weight"), (4, "bias")))
    return NormArguments(groups, weight, bias, _EPS if eps is None else float(eps))


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs.get(name)


def _to_one_pixel(x: Tensor, output_size: Any, *others: Any, **named: Any) -> bool:
    return output_size in (1, (1, 1), [1, 1])


def _over_the_image(x: Tensor, dim: Any = None, *others: Any, **named: Any) -> bool:
    """Whether a mean or maximum of a map [B, C, H, W] is taken over height and width."""
    return x.ndim == 4 and _axes(dim) == {2, 3}


def _over_more_than_the_image(x: Tensor, dim: Any = None, *others: Any, **named: Any) -> bool:
    """Whether a mean or maximum of a map [B, C, H, W] is taken over other axes besides height and width."""
    return x.ndim == 4 and _axes(dim) > {2, 3}


def _within_a_pixel(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call picks among numbers of one pixel: the channels of a map, or two maps of one shape.

    A map is [B, ..., H, W], or [B, C, H * W]; what has two axes or fewer is none.
    """
    dim = _argument(args, kwargs, _AXIS_OF_PICK[func], "dim")
    axes = _argument(args, kwargs, 0, "input").ndim
    if axes < 3 or isinstance(dim, Tensor) or "other" in kwargs:
        return True
    return dim is not None and _axes(dim, axes) <= set(range(1, max(2, axes - 2)))


def _axes(dim: Any, of: int = 4) -> set[int]:
    """Which of so many axes are meant."""
    if dim is None:
        return set(range(of))
    return {each % of for each in (dim if isinstance(dim, tuple | list) else (dim,))}


def _keeps_its_place(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **others: Any,
) -> bool:
    """Whether an interpolation gives a pixel the same neighbours and weights in an image of any size."""
    return size is None and not align_corners
