"""nnU-Net's networks in 2D: https://github.com/MIC-DKFZ/dynamic-network-architectures, read at 0.4.4.

There each parameter is reachable under up to four names: `conv` and `all_modules.0` of one block, `encoder`
and `decoder.encoder` of one network. A checkpoint may have all of them or, as a .safetensors file has, some.

Not in the keys, and taken as nnU-Net has it unless a hint says else: LeakyReLU, and logits at every
resolution. A checkpoint without any norm's tensors is taken as one of a network without norms; the hints
`norm="instance", affine=False` say that they merely have no weights.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import count, takewhile

from uvala.errors import WeightsError
from uvala.models.nnunet import PlainConvUNetConfig, ResidualEncoderUNetConfig
from uvala.weights.form import Form, NotThisForm, Options, Shapes

__all__ = ["ORIGINS"]

Config = PlainConvUNetConfig | ResidualEncoderUNetConfig
Names = Iterator[tuple[str, str]]


def _read_plain(shapes: Shapes, hints: Options) -> Options:
    sizes = _one_name_each(shapes)
    stages = _count(sizes, "encoder.stages.{}.0.convs.0.conv.weight")
    firsts = [f"encoder.stages.{stage}.0.convs.0" for stage in range(stages)]
    options = _common(sizes, hints, "encoder.stages.0.0.convs.0", firsts, firsts)
    index = _index_of_norm(shapes)
    dropout = hints.get("dropout")
    activation_first = bool(hints.get("activation_first", False))
    if index == 2 and dropout is None and not activation_first:
        raise WeightsError(
            found="blocks in which something stands between convolution and norm",
            expected="to be told what, since it has no weights",
            fix="give the hint activation_first=True, or dropout=0.1 (the share of channels dropped)",
        )
    if index is not None:
        dropout = None if index == 1 or (index == 2 and activation_first) else (dropout or 0.0)
        activation_first = index == 3 or (index == 2 and activation_first)
    return options | {
        "convolutions": tuple(
            _count(sizes, f"encoder.stages.{stage}.0.convs.{{}}.conv.weight") for stage in range(stages)
        ),
        "activation_first": activation_first,
        "dropout": dropout,
    }


def _read_residual(shapes: Shapes, hints: Options) -> Options:
    sizes = _one_name_each(shapes)
    stages = _count(sizes, "encoder.stages.{}.blocks.0.conv1.conv.weight")
    blocks = [f"encoder.stages.{stage}.blocks.0" for stage in range(stages)]
    bottleneck = "encoder.stages.0.blocks.0.conv3.conv.weight" in sizes
    middles = [f"{block}.conv2" for block in blocks]
    lasts = [f"{block}.conv3" for block in blocks] if bottleneck else middles
    options = _common(sizes, hints, "encoder.stem.convs.0", middles, lasts)
    index = _index_of_norm(shapes)
    return options | {
        "stem_width": sizes["encoder.stem.convs.0.conv.weight"][0],
        "blocks": tuple(
            _count(sizes, f"encoder.stages.{stage}.blocks.{{}}.conv1.conv.weight") for stage in range(stages)
        ),
        "bottleneck_widths": tuple(sizes[f"{each}.conv.weight"][0] for each in middles) if bottleneck else (),
        "dropout": None if index == 1 else hints.get("dropout", None if index is None else 0.0),
    }


def _common(sizes: Shapes, hints: Options, first: str, kernels: list[str], widths: list[str]) -> Options:
    """What both networks have. first: the first convolution of all; kernels, widths: one of each stage."""
    ups = len(kernels) - 1
    if ups < 1:
        raise NotThisForm("second stage")
    weight = sizes[f"{first}.conv.weight"]
    if len(weight) != 4:
        raise WeightsError(
            found=f"a network with convolutions in {len(weight) - 2}D",
            expected="one for images: uvala is 2D",
            fix="take the checkpoint of nnU-Net's configuration '2d'",
        )
    strides = [sizes[f"decoder.transpconvs.{step}.weight"][2:] for step in reversed(range(ups))]
    kind = "instance" if hints.get("norm") == "instance" else "none"
    if f"{first}.norm.weight" in sizes:
        kind = "instance"
    if f"{first}.norm.running_mean" in sizes:
        kind = "batch"
    return {
        "in_channels": weight[1],
        "num_classes": sizes[f"decoder.seg_layers.{ups - 1}.weight"][0],
        "widths": tuple(sizes[f"{each}.conv.weight"][0] for each in widths),
        "strides": ((1, 1), *strides),
        "kernel_sizes": tuple(sizes[f"{each}.conv.weight"][2:] for each in kernels),
        "bias": f"{first}.conv.bias" in sizes,
        "norm": kind,
        "affine": f"{first}.norm.weight" in sizes,
        "decoder_convolutions": tuple(
            _count(sizes, f"decoder.stages.{step}.convs.{{}}.conv.weight") for step in range(ups)
        ),
    }


def _one_name_each(shapes: Shapes) -> Mapping[str, tuple[int, ...]]:
    """The shapes by the first of the names that a tensor may have."""
    return {_first_name(key): shape for key, shape in shapes.items()}


def _first_name(key: str) -> str:
    key = key.removeprefix("decoder.") if key.startswith("decoder.encoder.") else key
    return re.sub(r"\.all_modules\.(\d+)\.", lambda hit: ".conv." if hit[1] == "0" else ".norm.", key)


def _index_of_norm(shapes: Shapes) -> int | None:
    """At which place in its block a norm stands; None if no key tells."""
    places = [int(hit[1]) for key in shapes if (hit := re.search(r"\.all_modules\.([1-9]\d*)\.", key))]
    return max(places, default=None)


def _count(sizes: Shapes, key: str) -> int:
    return sum(1 for _ in takewhile(lambda index: key.format(index) in sizes, count()))


def _names_plain(config: PlainConvUNetConfig) -> Names:
    shift = config.activation_first
    for stage, convolutions in enumerate(config.convolutions):
        for place in range(convolutions):
            ours, theirs = f"encoders.{stage}.{place}", f"encoder.stages.{stage}.0.convs.{place}"
            yield from _encoder_block(config, ours, theirs, shift=shift)
    yield from _way_up(config, shift=shift)


def _names_residual(config: ResidualEncoderUNetConfig) -> Names:
    yield from _encoder_block(config, "stem", "encoder.stem.convs.0")
    dropped = 1 if config.bottleneck_widths else 0  # the convolution of a block that has a dropout
    for stage, blocks in enumerate(config.blocks):
        for block in range(blocks):
            ours, theirs = f"encoders.{stage}.{block}", f"encoder.stages.{stage}.blocks.{block}"
            for place in range(3 if config.bottleneck_widths else 2):
                yield from _encoder_block(
                    config, f"{ours}.body.{place}", f"{theirs}.conv{place + 1}", dropped=place == dropped
                )
            pooled = block == 0 and config.strides[stage] != (1, 1)
            projection = f"{theirs}.skip.{int(pooled)}"
            yield from _encoder_block(config, f"{ours}.shortcut.project", projection, dropped=False)
    yield from _way_up(config)


def _way_up(config: Config, *, shift: bool = False) -> Names:
    steps = len(config.decoder_convolutions)
    for step, convolutions in enumerate(config.decoder_convolutions):
        yield f"ups.{step}", f"decoder.transpconvs.{step}"
        for place in range(convolutions):
            ours, theirs = f"decoders.{step}.{place}", f"decoder.stages.{step}.convs.{place}"
            yield from _block(config, ours, theirs, shift=shift)
    heads = range(steps) if config.deep_supervision else [steps - 1]
    for place, step in enumerate(heads):
        yield f"heads.{place}", f"decoder.seg_layers.{step}"


def _encoder_block(
    config: Config, ours: str, theirs: str, *, dropped: bool = True, shift: bool = False
) -> Names:
    """The decoder holds the encoder, and its state has all of it a second time."""
    yield from _block(config, ours, theirs, dropped=dropped, shift=shift)
    yield from _block(config, ours, f"decoder.{theirs}", dropped=dropped, shift=shift)


def _block(config: Config, ours: str, theirs: str, *, dropped: bool = True, shift: bool = False) -> Names:
    """shift: the activation stands before the norm. dropped: a dropout does, if there are any."""
    place = 1 + (dropped and config.dropout is not None) + shift
    yield f"{ours}.conv", f"{theirs}.conv"
    yield f"{ours}.conv", f"{theirs}.all_modules.0"
    yield f"{ours}.norm", f"{theirs}.norm"
    yield f"{ours}.norm", f"{theirs}.all_modules.{place}"


def _unused(config: Config) -> Shapes:
    """Logits of the coarser resolutions exist there without deep supervision too."""
    if config.deep_supervision:
        return {}
    shapes: dict[str, tuple[int, ...]] = {}
    for step, width in enumerate(config.widths[-2:0:-1]):
        shapes[f"decoder.seg_layers.{step}.weight"] = (config.num_classes, width, 1, 1)
        shapes[f"decoder.seg_layers.{step}.bias"] = (config.num_classes,)
    return shapes


ASSUMED = ("activation", "deep_supervision")

ORIGINS = {
    "dna": (
        Form("PlainConvUNet", "plain_conv_unet", _read_plain, _names_plain, _unused, ASSUMED, scale=None),
        Form(
            "ResidualEncoderUNet",
            "residual_encoder_unet",
            _read_residual,
            _names_residual,
            _unused,
            ASSUMED,
            scale=None,  # ZScoreNormalization, which nnU-Net takes for all images but CT
        ),
    )
}
