"""Pytorch-UNet in an older form that circulates in tutorials: biases, and no more than 512 channels.

Its keys are those of https://github.com/milesial/Pytorch-UNet, its shapes are not.
"""

from collections.abc import Iterator

from uvala.models.unet_forms import PytorchUNet512Config
from uvala.weights.form import Form, Options, Shapes

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["inc.double_conv.0.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["outc.conv.weight"][0],
        "width": width,
        "bilinear": "up1.up.weight" not in shapes,
    }


def _names(config: PytorchUNet512Config) -> Iterator[tuple[str, str]]:
    levels = ["inc", *(f"down{level}.maxpool_conv.1" for level in range(1, 5))]
    blocks = [(f"encoders.{level}", theirs) for level, theirs in enumerate(levels)]
    blocks += [(f"decoders.{step}", f"up{step + 1}.conv") for step in range(4)]
    for ours, theirs in blocks:
        # convolution, norm, ReLU, convolution, norm, ReLU in one row
        yield f"{ours}.0.0", f"{theirs}.double_conv.0"
        yield f"{ours}.0.1", f"{theirs}.double_conv.1"
        yield f"{ours}.1.0", f"{theirs}.double_conv.3"
        yield f"{ours}.1.1", f"{theirs}.double_conv.4"
    for step in range(4):
        yield f"ups.{step}", f"up{step + 1}.up"
    yield "head", "outc.conv"


ORIGINS = {
    "seed003": (Form("UNet with 512 channels at most, of tutorials", "pytorch_unet_512", _read, _names),)
}
