"""Networks by name. A family registers its members in its own file; this one knows none of them."""

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from torch import nn

import uvala.models
from uvala.config import Config
from uvala.registry import Registry

__all__ = ["create_model", "list_models", "model_config", "register_model"]

C = TypeVar("C", bound=Config)
N = TypeVar("N", bound=nn.Module)

_registry: Registry[nn.Module] = Registry("model")


def register_model(**facts: Any) -> Callable[[Callable[[C], N]], Callable[[C], N]]:
    """Register the function below under its own name. It takes one Config and returns one network.

    facts: what is known without building it, such as `paper`. The network itself tells the rest: it has an
    attribute `multiple`, the sizes that it computes at, and pads and crops every other size inside.
    """

    def register(builder: Callable[[C], N]) -> Callable[[C], N]:
        _registry.register(builder, **facts)
        return builder

    return register


def create_model(name: str, *, in_channels: int, num_classes: int, **options: Any) -> nn.Module:
    """A network with fresh weights: image, float [B, in_channels, H, W] -> logits [B, num_classes, H, W].

    H and W are any numbers from 1. `options` are the fields of `model_config(name)`. The weights are drawn
    from torch's global generator, so `torch.manual_seed` decides them.

    Raises UnknownNameError for an unknown name, ConfigError for an unknown option or one out of its range;
    both say the nearest right one.
    """
    return _families().create(name, in_channels=in_channels, num_classes=num_classes, **options)


def list_models() -> list[str]:
    """The names that `create_model` takes, in alphabetical order."""
    return list(_families())


def model_config(name: str) -> type[Config]:
    """The options of a network, each with its default, range and one sentence. UnknownNameError."""
    return _families()[name].config


@cache
def _families() -> Registry[nn.Module]:
    """The registry, after each file of this folder had its chance to register: nobody keeps a second list."""
    for module in pkgutil.iter_modules(uvala.models.__path__, "uvala.models."):
        import_module(module.name)
    return _registry
