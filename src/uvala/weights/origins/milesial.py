"""Pytorch-UNet: https://github.com/milesial/Pytorch-UNet, read at commit 21d7850."""

from collections.abc import Iterator

from uvala.config import Config
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["ORIGINS", "names", "read"]


def read(shapes: Shapes, hints: Options) -> Options:
    """The options of `pytorch_unet`, and of what has the same keys."""
    width, in_channels, *_ = shapes["inc.double_conv.0.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["outc.conv.weight"][0],
        "width": width,
        "bilinear": not any(f"up{step}.up.weight" in shapes for step in range(1, 5)),
    }


def names(config: Config) -> Iterator[tuple[str, str]]:
    """The names of its UNet, which are the same for all options."""
    levels = ["inc", *(f"down{level}.maxpool_conv.1" for level in range(1, 5))]
    blocks = [(f"encoders.{level}", f"{theirs}.double_conv") for level, theirs in enumerate(levels)]
    blocks += [(f"decoders.{step}", f"up{step + 1}.conv.double_conv") for step in range(4)]
    yield from double_convolutions(blocks, IN_A_ROW)
    for step in range(4):
        yield f"ups.{step}", f"up{step + 1}.up"
    yield "head", "outc.conv"


HALVES = (
    "its own predict.py halves images first (--scale 0.5): if yours was trained so, import it with scale=0.5"
)

ORIGINS = {
    "milesial": (
        Form("UNet of unet/unet_model.py", "pytorch_unet", read, names, note=HALVES, assumes=("scale",)),
    )
}
