"""Batch norms folded into the convolutions before them: in eval mode the two are one convolution.

Which norm follows which convolution is seen from the tensors that go from one to the other, so that it does
not matter how a network is written down. (Tracing by torch.fx ends at the first `if` about a size.)
"""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from uvala.backends.agreement import compare, noise, trial_side
from uvala.models.layout import use_layout

__all__ = ["fold_batch_norms"]

Convolution = nn.Conv2d | nn.ConvTranspose2d

_ROUNDING = 1e-4
"""In standard deviations of the logits; a norm that was folded wrongly is off by far more."""


def fold_batch_norms(model: nn.Module, in_channels: int) -> nn.Module:
    """A copy of `model` in eval mode, without gradients and with fewer batch norms.

    Where folding would change the numbers, because a network also looks at what its norms have not yet
    normalised, the copy keeps its norms.
    """
    folded = use_layout(copy.deepcopy(model).eval().requires_grad_(False), "contiguous")
    side = trial_side(model)
    image = noise(1, in_channels, side, side).to(next(folded.parameters(), torch.empty(0)))
    pairs, logits = _pairs(folded, image)
    _replace(folded, {norm: _folded(convolution, norm) for convolution, norm in pairs.items()})
    with torch.inference_mode():
        if compare(logits, folded(image)).difference < _ROUNDING:
            return folded
    return use_layout(copy.deepcopy(model).eval().requires_grad_(False), "contiguous")


def _pairs(model: nn.Module, image: Tensor) -> tuple[dict[Convolution, nn.BatchNorm2d], Tensor]:
    """Each convolution whose output goes to one norm, which gets nothing else; and the logits of `image`."""
    made: dict[int, tuple[Tensor, Convolution]] = {}  # with the tensor, so that no other gets its number
    calls: Counter[nn.Module] = Counter()
    follows: Counter[tuple[Convolution, nn.BatchNorm2d]] = Counter()

    def after_convolution(module: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        calls[module] += 1
        made[id(output)] = output, module

    def before_norm(module: Any, inputs: tuple[Tensor]) -> None:
        calls[module] += 1
        if id(inputs[0]) in made:
            follows[made[id(inputs[0])][1], module] += 1

    hooks = []
    for module in model.modules():
        if isinstance(module, Convolution):
            hooks.append(module.register_forward_hook(after_convolution))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        with torch.inference_mode():
            logits = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        convolution: norm
        for (convolution, norm), count in follows.items()
        if count == calls[convolution] == calls[norm] and _is_foldable(convolution, norm)
    }, logits


def _is_foldable(convolution: Convolution, norm: nn.BatchNorm2d) -> bool:
    transposed_in_groups = isinstance(convolution, nn.ConvTranspose2d) and convolution.groups > 1
    return norm.running_mean is not None and _rest(norm) is not None and not transposed_in_groups


def _folded(convolution: Convolution, norm: nn.BatchNorm2d) -> nn.Module:
    """Change the convolution so that it does the work of the norm; what is left of the norm."""
    mean, variance, weight = norm.running_mean, norm.running_var, convolution.weight
    assert mean is not None
    assert variance is not None
    # in double precision: the weights are rounded once, at the end
    scale = (_double(variance) + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * _double(norm.weight)
    shift = -_double(mean) if convolution.bias is None else _double(convolution.bias) - _double(mean)
    bias = shift * scale + (_double(norm.bias) if norm.affine else 0.0)
    outputs = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    scaled = _double(weight) * scale.view(outputs)
    convolution.weight = nn.Parameter(scaled.to(weight), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(weight), requires_grad=False)
    rest = _rest(norm)
    assert rest is not None
    return rest


def _double(values: Tensor) -> Tensor:
    """On the CPU, since some devices know no float64."""
    return values.detach().cpu().double()


def _rest(norm: nn.BatchNorm2d) -> nn.Module | None:
    """What a norm does besides; None where that is not known."""
    children = dict(norm.named_children())
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    # timm's norm that holds its activation
    return nn.Sequential(children["drop"], children["act"]) if children.keys() == {"drop", "act"} else None


def _replace(model: nn.Module, replaced: dict[nn.BatchNorm2d, nn.Module]) -> None:
    # one module may have several places
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if isinstance(module, nn.BatchNorm2d) and module in replaced:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, replaced[module])
