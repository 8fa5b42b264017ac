"""segmentation_models.pytorch: https://github.com/qubvel-org/segmentation_models.pytorch, release 0.6.0.

The encoder is found by its keys and shapes; each family of encoders, with each decoder, is one form.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from uvala.models.encoder_unet import DecoderConfig, EncoderConfig, EncoderUNetConfig
from uvala.models.encoder_unetpp import EncoderUNetPPConfig
from uvala.models.linknet import LinkNetConfig
from uvala.weights.form import Form, NotThisForm, Options, Shapes
from uvala.weights.smp_encoders import FAMILIES, Family
from uvala.weights.smp_timm import TimmFamily, deepest_channels

__all__ = ["ORIGINS"]

_LEAST_DEPTH = 3
# what its get_preprocessing_params gives for nearly all encoders
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_GUESS = (
    "smp leaves the normalisation to its users: that of ImageNet is the usual one (--mean, --std change it)"
)
# SCSE, the same way round in both
_ATTENTION = (("channel.1", "cSE.1"), ("channel.3", "cSE.3"), ("space.0", "sSE.0"))


def _read_common(family: Family | TimmFamily, shapes: Shapes, depth: int, hints: Options) -> Options:
    if not depth:
        raise NotThisForm("decoder of this kind")
    found = family.find(shapes, depth, hints.get("encoder"))
    return {
        "encoder": found.name,
        "depth": depth,
        "in_channels": found.in_channels,
        "num_classes": shapes["segmentation_head.0.weight"][0],
        "form": family.form,
    }


def _read_norm(shapes: Shapes, first: str) -> str:
    """The norm behind the first convolution of a decoder, by its name and a number."""
    if f"{first}.1.running_mean" in shapes:
        return "batch"
    if f"{first}.0.bias" in shapes:
        return "none"
    raise NotThisForm(f"norm behind {first} that uvala has")


def _encoder_names(family: Family | TimmFamily, config: EncoderConfig) -> list[tuple[str, str]]:
    """Raises NotThisForm for what they do not have."""
    if config.depth < _LEAST_DEPTH:
        raise NotThisForm(f"depth={config.depth}")
    if isinstance(config, EncoderUNetConfig) and config.center != family.has_center:
        raise NotThisForm(f"center={config.center} with encoder {config.encoder}")
    if isinstance(config, DecoderConfig) and config.attention == "scse" and min(config.decoder_channels) < 16:
        raise NotThisForm("squeeze of fewer than 16 channels")
    return family.pairs(config.encoder, config.depth)


def _read_unet(family: Family | TimmFamily, shapes: Shapes, hints: Options) -> Options:
    depth = 0
    while f"decoder.blocks.{depth}.conv1.0.weight" in shapes:
        depth += 1
    return _read_common(family, shapes, depth, hints) | {
        "decoder_channels": tuple(
            shapes[f"decoder.blocks.{step}.conv1.0.weight"][0] for step in range(depth)
        ),
        "decoder_norm": _read_norm(shapes, "decoder.blocks.0.conv1"),
        "attention": "scse" if "decoder.blocks.0.attention1.attention.cSE.1.weight" in shapes else "none",
        "center": "decoder.center.0.0.weight" in shapes,
    }


def _names_unet(family: Family | TimmFamily, config: EncoderUNetConfig) -> Iterator[tuple[str, str]]:
    yield from _encoder_names(family, config)
    if config.center:
        yield from _two_names("center.0", "decoder.center.0")
        yield from _two_names("center.1", "decoder.center.1")
    for step in range(config.depth):
        yield from _block_names(f"blocks.{step}", f"decoder.blocks.{step}")
    yield "head", "segmentation_head.0"


def _block_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from _two_names(f"{ours}.convolution1", f"{theirs}.conv1")
    yield from _two_names(f"{ours}.convolution2", f"{theirs}.conv2")
    for part, name in _ATTENTION:
        yield f"{ours}.weigh_joined.{part}", f"{theirs}.attention1.attention.{name}"
        yield f"{ours}.weigh.{part}", f"{theirs}.attention2.attention.{name}"


def _two_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Convolution and norm."""
    yield f"{ours}.0", f"{theirs}.0"
    yield f"{ours}.1", f"{theirs}.1"


def _unused_unet(family: Family | TimmFamily, config: EncoderUNetConfig) -> Shapes:
    unused = family.unused(config.encoder, config.depth)
    if config.attention == "scse":
        # the last block has no skip, and its first attention nothing to weigh
        channels = [deepest_channels(config.encoder, config.depth), *config.decoder_channels][-2]
        unused |= _attention_shapes(f"decoder.blocks.{config.depth - 1}.attention1.attention", channels)
    return unused


def _attention_shapes(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    inner = channels // 16
    return {
        f"{prefix}.cSE.1.weight": (inner, channels, 1, 1),
        f"{prefix}.cSE.1.bias": (inner,),
        f"{prefix}.cSE.3.weight": (channels, inner, 1, 1),
        f"{prefix}.cSE.3.bias": (channels,),
        f"{prefix}.sSE.0.weight": (1, channels, 1, 1),
        f"{prefix}.sSE.0.bias": (1,),
    }


def _read_unetpp(family: Family | TimmFamily, shapes: Shapes, hints: Options) -> Options:
    depth = 0
    while f"decoder.blocks.x_0_{depth}.conv1.0.weight" in shapes:
        depth += 1
    return _read_common(family, shapes, depth, hints) | {
        "decoder_channels": tuple(
            shapes[f"decoder.blocks.x_0_{step}.conv1.0.weight"][0] for step in range(depth)
        ),
        "decoder_norm": _read_norm(shapes, "decoder.blocks.x_0_0.conv1"),
        "attention": "scse" if "decoder.blocks.x_0_0.attention1.attention.cSE.1.weight" in shapes else "none",
    }


def _names_unetpp(family: Family | TimmFamily, config: EncoderUNetPPConfig) -> Iterator[tuple[str, str]]:
    yield from _encoder_names(family, config)
    for step in range(config.depth):
        for node in range(step + 1):
            yield from _block_names(f"steps.{step}.{node}", f"decoder.blocks.x_{node}_{step}")
    yield "head", "segmentation_head.0"


def _unused_unetpp(family: Family | TimmFamily, config: EncoderUNetPPConfig) -> Shapes:
    unused = family.unused(config.encoder, config.depth)
    if config.attention == "scse":
        channels = [deepest_channels(config.encoder, config.depth), *config.decoder_channels][-2]
        unused |= _attention_shapes(f"decoder.blocks.x_0_{config.depth - 1}.attention1.attention", channels)
    if family.has_center:
        unused |= _center_shapes(deepest_channels(config.encoder, config.depth), config.decoder_norm)
    return unused


def _center_shapes(channels: int, norm: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for part in ("decoder.center.0", "decoder.center.1"):
        shapes[f"{part}.0.weight"] = (channels, channels, 3, 3)
        if norm == "none":
            shapes[f"{part}.0.bias"] = (channels,)
        else:
            shapes |= {f"{part}.1.{name}": (channels,) for name in _NORM}
            shapes[f"{part}.1.num_batches_tracked"] = ()
    return shapes


_NORM = ("weight", "bias", "running_mean", "running_var")


def _read_linknet(family: Family | TimmFamily, shapes: Shapes, hints: Options) -> Options:
    depth = 0
    while f"decoder.blocks.{depth}.block.0.0.weight" in shapes:
        depth += 1
    return _read_common(family, shapes, depth, hints) | {
        "decoder_norm": _read_norm(shapes, "decoder.blocks.0.block.0"),
    }


def _names_linknet(family: Family | TimmFamily, config: LinkNetConfig) -> Iterator[tuple[str, str]]:
    yield from _encoder_names(family, config)
    for step in range(config.depth):
        yield f"blocks.{step}", f"decoder.blocks.{step}.block"
    yield "head", "segmentation_head.0"


def _unused_linknet(family: Family | TimmFamily, config: LinkNetConfig) -> Shapes:
    return family.unused(config.encoder, config.depth)


_DECODERS: tuple[tuple[str, str, Any, Any, Any, tuple[str, ...]], ...] = (
    ("Unet", "unet:", _read_unet, _names_unet, _unused_unet, ("interpolation",)),
    ("UnetPlusPlus", "unetpp:", _read_unetpp, _names_unetpp, _unused_unetpp, ("interpolation",)),
    ("Linknet", "linknet:", _read_linknet, _names_linknet, _unused_linknet, ()),
)

ORIGINS = {
    "smp": tuple(
        Form(
            f"{title} with an encoder of {family.title}",
            model,
            partial(read, family),
            partial(names, family),
            partial(unused, family),
            assumes,
            arguments={"encoder_name": "encoder", "decoder_interpolation": "interpolation"},
            carries=("classification_head.",),
            note=_GUESS,
            scale=_IMAGENET,
        )
        for title, model, read, names, unused, assumes in _DECODERS
        for family in FAMILIES
    )
}
