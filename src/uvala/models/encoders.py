"""Encoders: any network of timm as a list of feature maps, each half as large as the one before.

https://github.com/huggingface/pytorch-image-models (Wightman 2019, doi:10.5281/zenodo.4414861). timm says how
many channels each map has; what a network does with sizes that do not divide is found by looking, with shapes
alone, on the meta device. timm is imported when an encoder is made, not before.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from uvala.errors import ConfigError, UnknownNameError, WeightsError, did_you_mean
from uvala.models.checkpointing import CanCheckpoint, run
from uvala.models.encoder_forms import Sections, as_smp_has_it, prune
from uvala.models.hub import cached_only_without_network

__all__ = ["Behaviour", "Encoder", "EncoderForm", "encoder_behaviour", "make_encoder", "timm_features"]

EncoderForm = Literal["timm", "smp"]
"""timm's own; or that of segmentation_models.pytorch, where maps or padding differ (see `encoder_forms`)."""

STRIDES = (2, 4, 8, 16, 32)  # of the maps that are used: one for each halving, the depth of an encoder
_RAGGED = ((65, 70), (79, 101), (52, 48))  # heights and widths that are odd on different levels


@dataclass(frozen=True)
class Behaviour:
    """What the network of a name does with which images.

    strides, channels: of its maps, finest first. indices: of these maps among all that timm gives.
    multiple: at multiples of it each map is the image divided by its stride.
    ragged: all other sizes from `least` work too. exact: at those it rounds halves up on each level, and its
    squares lie where they lie in an image of any other size.
    measurable: it has no norms across channels, which let no gradient of equal weights pass (see `facts`).
    options: those of timm without which the size of the image would be fixed.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]
    indices: tuple[int, ...]
    multiple: int
    ragged: bool
    least: int
    exact: bool
    measurable: bool
    options: dict[str, Any]


class Encoder(nn.Module):
    """Image, float [B, C, H, W] -> its maps, finest first.

    net: timm's network, under whose names the parameters stand. sections: the modules of `net` from one map
    to the next, by name; None: `net` returns the maps by itself. channels: of the maps at stride 2, 4, 8...,
    0 where there is none. multiple: of sizes at which the maps divide. behaviour: of the network.
    """

    def __init__(
        self,
        net: nn.Module,
        sections: Sequence[Sequence[str]] | None,
        *,
        channels: Sequence[int],
        multiple: int,
        behaviour: Behaviour,
    ) -> None:
        super().__init__()
        self.net = net
        self.sections = sections
        self.channels_come_last = _channels_come_last(net)
        self.channels = tuple(channels)
        self.multiple = multiple
        self.behaviour = behaviour

    def forward(self, image: Tensor, network: CanCheckpoint) -> list[Tensor | None]:
        """[B, C, H, W] -> [B, channels[i], H/2^(i+1), W/2^(i+1)] for each i; None for those of 0 channels.

        network: whose part this is, and which decides about gradient checkpointing.
        """
        found: list[Any] = []
        if self.sections is None:
            found.extend(run(network, self.net, image))
        else:
            for section in self.sections:
                image = run(network, partial(_through, self.net, section), image)
                found.append(image)
        given = iter(each.permute(0, 3, 1, 2) for each in found) if self.channels_come_last else iter(found)
        return [next(given) if channels else None for channels in self.channels]


def make_encoder(
    name: str, in_channels: int, *, depth: int, form: EncoderForm = "timm", pretrained: bool = False
) -> Encoder:
    """The network of timm with that name, up to its map of stride 2**depth, or its coarsest before that.

    pretrained: with timm's weights of ImageNet, from its cache or the network; the first convolution is
    adapted to other channels than 3 as timm does it: weights summed for 1, repeated for more.

    Raises UnknownNameError for a name that timm does not have, ConfigError for a network without maps at
    several strides, WeightsError if the weights cannot be had.
    """
    behaviour = encoder_behaviour(name)
    count = sum(stride <= 2**depth for stride in behaviour.strides)
    if not count:
        raise ConfigError(
            found=f"depth={depth} with encoder '{name}'",
            expected=f"a depth that reaches a map: their strides are {list(behaviour.strides)}",
            fix=f"set depth={behaviour.strides[0].bit_length() - 1} or more",
        )
    channels = dict(zip(behaviour.strides, behaviour.channels, strict=True))
    options = {**behaviour.options, "in_chans": in_channels, "pretrained": pretrained}
    with _loading(name) if pretrained else nullcontext():
        # in the other form a map may need what comes behind timm's
        indices = behaviour.indices[:count] if form == "timm" else behaviour.indices
        net = timm_features(name, **options, out_indices=indices)
        sections = _sections(net)
        if form == "smp":
            sections, others = as_smp_has_it(net, name, sections, options)
            channels |= others
            if not behaviour.exact:
                behaviour = replace(behaviour, least=STRIDES[-1])
    if sections is not None:
        sections = sections[:count]
        prune(net, sections)
    deepest = behaviour.strides[count - 1]
    return Encoder(
        net,
        sections,
        channels=[channels.get(stride, 0) for stride in STRIDES if stride <= deepest],
        # what is left of a sequence of modules needs no more than its own halvings
        multiple=deepest if sections and behaviour.multiple == STRIDES[-1] else behaviour.multiple,
        behaviour=behaviour,
    )


@cache
def encoder_behaviour(name: str) -> Behaviour:
    """What timm's network of that name does with images. UnknownNameError, ConfigError."""
    import timm  # a second, and only those who want an encoder need it

    if not timm.is_model(name):
        raise UnknownNameError(
            found=f"encoder '{name}'",
            expected="the name of a network of timm",
            fix=did_you_mean(name, timm.list_models()),
        )
    own = getattr(timm.get_pretrained_cfg(name), "input_size", (3, 224, 224))[-1]
    for multiple, options in [*((STRIDES[-1], each) for each in _DYNAMIC), (own, {})]:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            try:
                net = timm_features(name, **options).eval()
            except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
                continue  # it has no such option, or gives no maps at all
            reductions = net.feature_info.reduction()
            indices = [_last(reductions, stride) for stride in STRIDES if stride in reductions]
            strides = [reductions[index] for index in indices]
            if len(strides) > 1 and all(
                _fits(net, size, reductions)
                for size in [(multiple, 2 * multiple), (3 * multiple, 2 * multiple)]
            ):
                least = next((each for each in (1, 32, 64, 96) if _all_work(net, each)), None)
                channels = net.feature_info.channels()
                return Behaviour(
                    strides=tuple(strides),
                    channels=tuple(channels[index] for index in indices),
                    indices=tuple(net.feature_info.out_indices[index] for index in indices),
                    multiple=multiple,
                    ragged=least is not None,
                    least=least or multiple,
                    exact=not _pads_by_size(net) and _rounds_up(net, reductions),
                    measurable=not any(isinstance(module, nn.LayerNorm) for module in net.modules()),
                    options=options,
                )
    raise ConfigError(
        found=f"encoder '{name}', which does not give maps of an image of any size, each half the one before",
        expected=f"an encoder with maps at some of the strides {list(STRIDES)}",
        fix="choose one such as resnet34, efficientnet_b0, convnext_tiny or pvt_v2_b0",
    )


# a fixed size of the image is an option of some networks; the names of the options differ
_DYNAMIC: tuple[dict[str, Any], ...] = ({}, {"strict_img_size": False}, {"dynamic_img_size": True})


def _last(values: Sequence[int], value: int) -> int:
    return len(values) - 1 - list(reversed(values)).index(value)


def _shapes(net: nn.Module, height: int, width: int) -> list[tuple[int, int]] | None:
    """Heights and widths of the maps of an image on the meta device; None if the network refuses it."""
    try:
        maps = net(torch.empty(1, 3, height, width, device="meta"))
    except (RuntimeError, AssertionError, ValueError, IndexError):
        return None
    rows = 1 if _channels_come_last(net) else 2
    return [(each.shape[rows], each.shape[rows + 1]) for each in maps]


def _channels_come_last(net: Any) -> bool:
    """Whether the maps are [B, H, W, C], as windowed transformers have them."""
    return hasattr(net, "output_fmt") and net.output_fmt.value == "NHWC"


def _fits(net: nn.Module, size: tuple[int, int], reductions: Sequence[int]) -> bool:
    return _shapes(net, *size) == [(size[0] // each, size[1] // each) for each in reductions]


def _all_work(net: nn.Module, least: int) -> bool:
    sizes = ((least, least), (least + 1, 2 * least + 1), *_RAGGED)
    return all(_shapes(net, max(height, least), max(width, least)) for height, width in sizes)


def _rounds_up(net: nn.Module, reductions: Sequence[int]) -> bool:
    return all(
        _shapes(net, height, width) == [(-(-height // each), -(-width // each)) for each in reductions]
        for height, width in _RAGGED
    )


def _pads_by_size(net: nn.Module) -> bool:
    # "same" padding as TensorFlow has it puts a pixel more on the left if a size is odd
    return any("Same" in type(module).__name__ for module in net.modules())


def timm_features(name: str, **options: Any) -> Any:
    """timm's network that gives a list of maps."""
    import timm

    try:
        return timm.create_model(name, features_only=True, **options)
    except RuntimeError:
        # some look at numbers while they are made, such as a row of drop rates, and the meta device has none
        if torch.get_default_device().type != "meta":
            raise
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        return timm.create_model(name, features_only=True, **options).to("meta")


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Whatever goes wrong with a download, in one sentence."""
    try:
        with cached_only_without_network():
            yield
    except Exception as error:  # the hub, its http client, sockets and files each have errors of their own
        raise WeightsError(
            found=f"no weights of ImageNet for encoder '{name}' ({type(error).__name__})",
            expected="timm's, in its cache or to be downloaded from the Hugging Face hub",
            fix="check the connection, or set pretrained=false to start from random weights",
        ) from None


def _through(net: nn.Module, section: Sequence[str], x: Tensor) -> Tensor:
    for name in section:
        x = net.get_submodule(name)(x)
    return x


def _sections(net: Any) -> Sections | None:
    """The modules of a network of timm from one map to the next, where it is a plain sequence of modules."""
    kind = type(net).__name__
    if kind == "FeatureListNet" and not net.concat:
        names, ends = list(net), set(net.return_layers)
    elif kind == "EfficientNetFeatures" and net.feature_hooks is None:
        names = ["conv_stem", "bn1", *(f"blocks.{stage}" for stage in range(len(net.blocks)))]
        # timm's stage 0 is the stem
        ends = {names[stage + 1] for stage in net._stage_out_idx}
    else:
        return None
    sections: list[list[str]] = [[]]
    for name in names:
        sections[-1].append(name)
        if name in ends:
            sections.append([])
    return sections[:-1]
