"""The optimiser that a plan names, and which weights decay."""

from collections.abc import Iterator

import torch
from torch import nn

from uvala.plan.optimiser_config import OptimiserConfig

__all__ = ["kernels_and_others", "make_optimiser"]

_NORMS = (
    nn.modules.batchnorm._NormBase,  # batch and instance norms
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)
# a step of AdamW on 1 M weights, one core: 1.1 ms fused, 11.4 ms one by one or in lists
_FUSED_ON = ("cpu", "cuda", "mps")


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser of `config` for the weights of `model`, frozen ones included.

    Its groups: what decays and what does not, one of them where all are alike.
    """
    kernels, others = kernels_and_others(model)
    if config.decay_all or not config.weight_decay:
        kernels, others = [*kernels, *others], []
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((kernels, config.weight_decay), (others, 0.0))
        if parameters
    ]
    rate, momentum = config.learning_rate, config.momentum
    fused = {parameter.device.type for parameter in model.parameters()} <= set(_FUSED_ON)
    match config.name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999), fused=fused)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, betas=(momentum, 0.999), fused=fused)
        case "sgd":
            # not fused: that fails where some weights, just set free, have no momentum yet
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=config.nesterov, foreach=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, momentum=momentum, foreach=True)


def kernels_and_others(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The kernels of convolutions and linear layers; and norms, biases and all else of one dimension.

    The latter are few and set scales and offsets, which a decay towards 0 only disturbs (He et al. 2019,
    arXiv:1812.01187, section 3.1).
    """
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module, parameter in _owned(model):
        decays = parameter.dim() > 1 and not isinstance(module, _NORMS)
        (kernels if decays else others).append(parameter)
    return kernels, others


def _owned(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Each parameter with the module that holds it, those that several share once."""
    seen: set[int] = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield module, parameter
