"""r2unet.py of UNET-ZOO: https://github.com/Andy-zhujunwen/UNET-ZOO, read at commit 34c219f."""

from collections.abc import Iterator

from uvala.models.r2unet import R2UNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.origins.zoo_attention import HALVES, conv_blocks, nearest_ups

__all__ = ["ORIGINS", "recurrent_blocks"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["RRCNN1.Conv_1x1.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["Conv_1x1.weight"][0],
        "width": width,
        "recurrence": "input",
    }


def _names(config: R2UNetConfig) -> Iterator[tuple[str, str]]:
    yield from recurrent_blocks(enter="Conv_1x1")
    yield from nearest_ups()
    yield "head", "Conv_1x1"


def recurrent_blocks(*, enter: str) -> Iterator[tuple[str, str]]:
    """enter: what they call the 1x1 convolution at the beginning of a block."""
    for ours, theirs in conv_blocks("RRCNN", "Up_RRCNN"):
        yield f"{ours}.enter", f"{theirs}.{enter}"
        for index in range(2):
            yield f"{ours}.body.{index}.convolution", f"{theirs}.RCNN.{index}.conv"


ORIGINS = {
    "zoo_r2unet": (
        Form(
            "R2U_Net of r2unet.py",
            "r2unet",
            _read,
            _names,
            assumes=("steps",),
            arguments={"t": "steps"},
            scale=HALVES,
        ),
    ),
}
