"""channel_unet.py of UNET-ZOO: https://github.com/Andy-zhujunwen/UNET-ZOO, read at commit 34c219f."""

from collections.abc import Iterator

from uvala.models.channel_unet import ChannelUNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.origins.zoo_attention import HALVES
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["ORIGINS"]

_STEPS = range(4)


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv1.conv.0.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["conv10.weight"][0], "width": width}


def _names(config: ChannelUNetConfig) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"conv{level + 1}.conv") for level in range(5)]
    blocks += [(f"decoders.{step}", f"conv{step + 6}.conv") for step in _STEPS]
    yield from double_convolutions(blocks, IN_A_ROW)
    for step in _STEPS:
        ours, theirs = f"attentions.{step}", f"gau_{step + 1}"
        yield f"ups.{step}", f"up{step + 6}"
        yield f"{ours}.of_skip.0", f"{theirs}.conv3x3"
        yield f"{ours}.of_skip.1", f"{theirs}.bn_low"
        yield f"{ours}.weigh", f"{theirs}.conv1x1"
        yield f"{ours}.up", f"{theirs}.conv_upsample"
        yield f"{ours}.norm", f"{theirs}.bn_upsample"
    yield "head", "conv10"


def _unused(config: ChannelUNetConfig) -> Shapes:
    """The norm of the weights of the attention is built there, and its call is commented out."""
    shapes: dict[str, tuple[int, ...]] = {}
    for step in _STEPS:
        norm, channels = f"gau_{step + 1}.bn_high", (8 * config.width // 2**step,)
        shapes |= {f"{norm}.{name}": channels for name in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes


ORIGINS = {
    "zoo_channel_unet": (
        Form("myChannelUnet of channel_unet.py", "channel_unet", _read, _names, unused=_unused, scale=HALVES),
    ),
}
