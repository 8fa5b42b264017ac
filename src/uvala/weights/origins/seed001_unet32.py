"""A U-Net of 32 to 512 channels that circulates in tutorials.

https://github.com/Andy-zhujunwen/UNET-ZOO has the same one, as `Unet` of UNet.py.
"""

from collections.abc import Iterator

from uvala.models.unet_forms import UNet32Config
from uvala.weights.form import Form, Options, Shapes

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv1.conv.0.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["conv10.weight"][0], "width": width}


def _names(config: UNet32Config) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"conv{level + 1}") for level in range(5)]
    blocks += [(f"decoders.{step}", f"conv{step + 6}") for step in range(4)]
    for ours, theirs in blocks:
        # convolution, norm, ReLU, convolution, norm, ReLU in one row
        yield f"{ours}.0.0", f"{theirs}.conv.0"
        yield f"{ours}.0.1", f"{theirs}.conv.1"
        yield f"{ours}.1.0", f"{theirs}.conv.3"
        yield f"{ours}.1.1", f"{theirs}.conv.4"
    for step in range(4):
        yield f"ups.{step}", f"up{step + 6}"
    yield "head", "conv10"


ORIGINS = {"seed001_unet32": (Form("Unet of tutorials and of UNET-ZOO's UNet.py", "unet32", _read, _names),)}
