"""A form: one network class of another project, and how its checkpoints translate to one of ours."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from uvala.config import Config

__all__ = ["Form", "NotThisForm", "Options", "Shapes", "Translation", "neutral", "translate"]

Shapes = Mapping[str, tuple[int, ...]]
"""Key of a tensor -> its shape, as another project's state_dict has it."""

Options = dict[str, Any]
"""Options of one of our networks, in_channels and num_classes among them."""


class NotThisForm(Exception):
    """Raised by a form's `read` for a checkpoint that is not one of its network."""


def _nothing(config: Any) -> Shapes:
    return {}


@dataclass(frozen=True)
class Form:
    """One network class of another project.

    title: what its users call it, such as "UNet of unet/unet_model.py".
    model: our name of the network; a family such as "unet:" takes the encoder from the options.
    read: the options of our network that has just these keys and shapes, and what the keys cannot tell but
        the hints do. Raises KeyError or NotThisForm for a checkpoint of something else, WeightsError for a
        hint that is needed.
    names: our name -> their name of modules or single tensors, as pairs, for a network of that config. The
        longest of ours that begins a key decides; it may stand in several pairs, for parts that they reach
        under several names.
    unused: tensors that their network carries and never uses: their key -> shape. carries: beginnings of keys
        of such tensors that a checkpoint may have, in any shape.
    assumes: options that the keys do not tell and that are taken as their project has them by default, which
        a hint of the same name changes.
    arguments: their constructor's name of an option -> ours, where it is another; a hint may have either.
    fixed: those of `assumes` that their own network cannot be built with otherwise.
    usual: options by which it is known from another form with the same keys: what its project builds.
    note: what who uses such a checkpoint must know.
    blue_first: whether it expects the channels blue, green and red, in this order.
    scale: (mean, standard deviation) per channel that their own code normalises an image of 0..1 with; None:
        with the mean and deviation of each image.
    """

    title: str
    model: str
    read: Callable[[Shapes, Options], Options]
    names: Callable[[Any], Iterable[tuple[str, str]]]
    unused: Callable[[Any], Shapes] = _nothing
    assumes: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    usual: Options = field(default_factory=dict)
    note: str = ""
    blue_first: bool = False
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = ((0.0,), (1.0,))
    carries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Translation:
    """Their keys of each of our keys, and what they have beyond."""

    keys: Mapping[str, tuple[str, ...]]
    unused: Shapes = field(default_factory=dict)

    @property
    def theirs(self) -> set[str]:
        """All keys of their state_dict."""
        return {each for keys in self.keys.values() for each in keys} | set(self.unused)


def translate(form: Form, config: Config, model: nn.Module, beside: Shapes | None = None) -> Translation:
    """Their keys for a network of ours, which may be on the meta device.

    beside: tensors among which those may be that the form `carries`.
    """
    names: dict[str, list[str]] = {}
    for ours, theirs in form.names(config):
        names.setdefault(ours, []).append(theirs)
    keys = {}
    for key in model.state_dict():
        prefix = key
        while prefix not in names:
            prefix = prefix.rpartition(".")[0]
            assert prefix, f"{form.title} does not say how {key} of {form.model} is called there"
        keys[key] = tuple(theirs + key[len(prefix) :] for theirs in names[prefix])
    carried = {key: shape for key, shape in (beside or {}).items() if key.startswith(form.carries)}
    return Translation(keys, {**form.unused(config), **carried})


def neutral(key: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """What stands for a tensor that nobody uses: zeros, and a variance of one."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long, device=like.device)
    return like.new_full(shape, 1.0 if key.endswith("running_var") else 0.0)
