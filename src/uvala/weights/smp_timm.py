"""Encoders of segmentation_models.pytorch that are any network of timm, such as tu-convnext_tiny."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import torch

from uvala.errors import WeightsError
from uvala.models.encoders import EncoderForm, encoder_behaviour, make_encoder, timm_features
from uvala.weights.form import NotThisForm, Shapes

__all__ = ["Found", "TimmFamily", "deepest_channels", "feature_keys"]

PREFIX = "encoder.model."
ALIKE = 0.1  # share of kinds of keys in common between networks of one file of timm


@dataclass(frozen=True)
class Found:
    """An encoder in a checkpoint: timm's name of it, and the channels of the image."""

    name: str
    in_channels: int


class TimmFamily:
    """Networks of timm under the keys of timm."""

    title = "timm (tu-)"
    has_center = False
    form: EncoderForm = "timm"

    def pairs(self, timm_name: str, depth: int) -> list[tuple[str, str]]:
        """Our key of each tensor of an encoder, theirs."""
        keys = feature_keys(timm_name, depth, self.form)
        return [(f"encoder.{key}", f"{PREFIX}{key.removeprefix('net.')}") for key in keys]

    def unused(self, timm_name: str, depth: int) -> dict[str, tuple[int, ...]]:
        """What their encoder carries beyond the maps of that depth."""
        used = {theirs for _, theirs in self.pairs(timm_name, depth)}
        whole = {f"{PREFIX}{key}": shape for key, shape in _maps_of(timm_name, depth).items()}
        return {key: shape for key, shape in whole.items() if key not in used}

    def find(self, shapes: Shapes, depth: int, wanted: str | None) -> Found:
        """The encoder of a checkpoint. wanted: its name, with "tu-" or without; None: any is looked for.

        Raises NotThisForm if it is of another family, WeightsError if no or several networks have these keys.
        """
        given = {key[len(PREFIX) :]: shape for key, shape in shapes.items() if key.startswith(PREFIX)}
        if not given:
            raise NotThisForm(f"encoder of {self.title}")
        names = [wanted.removeprefix("tu-")] if wanted else _search(given)
        fitting = [name for name in names if _fits(given, _maps_of(name, depth), whole=True)]
        if len(fitting) != 1:
            raise WeightsError(
                found=f"an encoder of timm with {len(given)} tensors"
                + (f", which is not {wanted}" if wanted else "")
                + (f", which fits {', '.join(fitting)}" if fitting else ""),
                expected="the tensors of one network of timm",
                fix=f"say which: encoder='tu-{fitting[0] if fitting else 'convnext_tiny'}'",
            )
        reference = _maps_of(fitting[0], depth)
        seen = [shape[1] for key, shape in given.items() if shape != reference.get(key, shape)]
        return Found(fitting[0], seen[0] if seen else 3)


@cache
def feature_keys(name: str, depth: int, form: EncoderForm) -> tuple[str, ...]:
    """Keys of our encoder."""
    with torch.device("meta"):
        return tuple(make_encoder(name, 3, depth=depth, form=form).state_dict())


def deepest_channels(name: str, depth: int) -> int:
    """Channels of the coarsest map of that depth."""
    behaviour = encoder_behaviour(name)
    return behaviour.channels[sum(stride <= 2**depth for stride in behaviour.strides) - 1]


@cache
def _maps_of(name: str, depth: int) -> dict[str, tuple[int, ...]]:
    """Key -> shape of timm's network that gives the maps of that depth, for an image of 3 channels."""
    behaviour = encoder_behaviour(name)
    count = sum(stride <= 2**depth for stride in behaviour.strides)
    with torch.device("meta"):
        net = timm_features(name, **behaviour.options, out_indices=behaviour.indices[:count])
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def _fits(given: Shapes, shapes: Shapes, *, whole: bool) -> bool:
    """Whether a network has these tensors, and, if `whole`, no others, for an image of some channels."""
    if whole and any(key not in given and not key.endswith("num_batches_tracked") for key in shapes):
        return False
    return all(
        key in shapes and (shape == shapes[key] or (shapes[key][1:2] == (3,) and len(shape) == 4))
        for key, shape in given.items()
    )


def _search(given: Shapes) -> list[str]:
    """All networks of timm with these tensors; a quarter of a minute, for there are more than a thousand."""
    import timm

    kinds = _kinds(given)
    ours = sorted(timm.list_models(), key=_file)
    for _, members in groupby(ours, key=_file):
        names = list(members)
        # networks of one file have keys of the same kinds, and other files can be left alone
        first = _kinds(_all_maps(names[0]))
        if len(kinds & first) >= ALIKE * len(kinds):
            fitting = [name for name in names if _fits(given, _all_maps(name), whole=False)]
            if fitting:
                return fitting
    return []


def _file(name: str) -> tuple[bool, str]:
    """Where timm has a network; files with the most encoders first."""
    from timm.models import model_entrypoint

    module = model_entrypoint(name).__module__.rpartition(".")[2]
    return module not in ("convnext", "efficientnet", "regnet", "resnet"), module


def _kinds(keys: Iterable[str]) -> set[str]:
    return {re.sub(r"\d+", "#", key) for key in keys}


@cache
def _all_maps(name: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape of timm's network that gives all its maps; none if it gives maps of one stride only."""
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):
        try:
            net = timm_features(name)
        except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
            return {}
    several = len(set(net.feature_info.reduction())) > 1
    return {key: tuple(value.shape) for key, value in net.state_dict().items()} if several else {}
