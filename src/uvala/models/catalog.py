"""Networks by name. A family registers its members in its own file; this one knows none of them."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from torch import nn

import uvala.models
from uvala.config import Config, build
from uvala.errors import ConfigError
from uvala.registry import Entry, Registry

__all__ = [
    "Recipe",
    "create_model",
    "model_config",
    "model_facts",
    "model_names",
    "recipe_of",
    "register_model",
    "without_pretrained",
]

C = TypeVar("C", bound=Config)
N = TypeVar("N", bound=nn.Module)

_registry: Registry[nn.Module] = Registry("model")


@dataclass(frozen=True)
class Recipe:
    """How a network was made: `create_model(name, **config)` makes another of its kind."""

    name: str
    config: Config


def register_model(
    *,
    paper: str,
    origin: str = "uvala",
    name: str | None = None,
    small: Mapping[str, Any] | None = None,
    planned: bool = False,
) -> Callable[[Callable[[C], N]], Callable[[C], N]]:
    """Register the function below under its own name, or `name`. It takes one Config and returns one network.

    paper: "arXiv:1505.04597", or "doi:..." and its number. origin: whose form of it this is, a repository or
    "uvala". small: options that make a member small enough for tests ({"width": 4} if not given). planned:
    whether a plan may choose its depth and width; somebody's published network keeps its own.
    A name that ends in a colon takes an encoder behind it: "unet:" answers to "unet:resnet34".

    The network itself tells the rest, by attributes:
      multiple    sizes that it computes at; it pads and crops every other size inside, and a tile has to
                  begin at such a multiple
      padded_to   sizes that it pads to, if other than `multiple`: 1 if it takes every size as it is
      crops       pixels that it crops from each side (valid convolutions); 0 if it has none
      slack       so many pixels a size may lack of a multiple and is still taken as it is
      local       False: no tile gives the numbers of the whole image, at one size or another; the experiment
                  of `facts`, which looks at multiples, need not be made
      context     pixels of context that a tile needs, where that experiment cannot find it
      loss_weights   one for each output of its training mode, if that is a list (deep supervision)
    """
    small = {"width": 4} if small is None else small

    def register(builder: Callable[[C], N]) -> Callable[[C], N]:
        facts = {"paper": paper, "origin": origin, "small": dict(small), "planned": planned}
        _registry.register(builder, name=name, **facts)
        return builder

    return register


def create_model(name: str, /, *, in_channels: int, num_classes: int, **options: Any) -> nn.Module:
    """A network with fresh weights: image, float [B, in_channels, H, W] -> logits [B, num_classes, H, W].

    H and W are any numbers from 1. `options` are the fields of `model_config(name)`; "unet:resnet34" is short
    for the family "unet:" with encoder="resnet34". The weights are drawn from torch's global generator, so
    `torch.manual_seed` decides them.

    Raises UnknownNameError for an unknown name, ConfigError for an unknown option or one out of its range;
    both say the nearest right one.
    """
    entry, extra = _find(name)
    if extra and options.get("encoder", extra["encoder"]) != extra["encoder"]:
        raise ConfigError(
            found=f"'{name}' with encoder='{options['encoder']}'",
            expected="one encoder",
            fix="name it once, in the name or as the option",
        )
    config = build(
        entry.config,
        {"in_channels": in_channels, "num_classes": num_classes, **extra, **options},
        where=f"model '{name}'",
    )
    model = entry.builder(config)
    vars(model)["recipe"] = Recipe(name, config)  # not through nn.Module, which would look for tensors in it
    return model


def model_names() -> list[str]:
    """The names that `create_model` takes, in alphabetical order; a family with encoders by its usual one."""
    return [
        f"{name}{_families()[name].config.model_fields['encoder'].default}" if name.endswith(":") else name
        for name in _families()
    ]


def model_config(name: str) -> type[Config]:
    """The options of a network, each with its default, range and one sentence. UnknownNameError."""
    return _find(name)[0].config


def model_facts(name: str) -> dict[str, Any]:
    """What `register_model` was told of a network: paper, origin, small; and its summary."""
    entry = _find(name)[0]
    return {**entry.facts, "summary": (entry.builder.__doc__ or "").strip().partition("\n")[0]}


def recipe_of(model: nn.Module) -> Recipe:
    """The name and the config that `create_model` made this network from; ConfigError if it did not."""
    recipe = vars(model).get("recipe") if isinstance(model, nn.Module) else None
    if not isinstance(recipe, Recipe):
        raise ConfigError(
            found=f"a {type(model).__name__} that uvala did not make",
            expected="a network of `create_model`, `from_peer` or a run",
            fix="pass that network itself, not what wraps it",
        )
    return recipe


def without_pretrained(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options for a network that gets its weights from elsewhere: nothing is downloaded for it."""
    return {name: value for name, value in options.items() if name != "pretrained"}


def _find(name: str) -> tuple[Entry[nn.Module], dict[str, Any]]:
    """The entry of a name, and the option that stands in the name itself."""
    family, colon, encoder = name.partition(":")
    return _families()[family + colon], {"encoder": encoder} if encoder else {}


@cache
def _families() -> Registry[nn.Module]:
    """The registry, after each file of this folder had its chance to register: nobody keeps a second list."""
    for module in pkgutil.iter_modules(uvala.models.__path__, "uvala.models."):
        import_module(module.name)
    return _registry
