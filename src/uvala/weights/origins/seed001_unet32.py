"""A U-Net of 32 to 512 channels that circulates in tutorials.

https://github.com/Andy-zhujunwen/UNET-ZOO has the same one, as `Unet` of UNet.py.
"""

from collections.abc import Iterator

from uvala.models.unet_forms import UNet32Config
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv1.conv.0.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["conv10.weight"][0], "width": width}


def _names(config: UNet32Config) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"conv{level + 1}.conv") for level in range(5)]
    blocks += [(f"decoders.{step}", f"conv{step + 6}.conv") for step in range(4)]
    yield from double_convolutions(blocks, IN_A_ROW)
    for step in range(4):
        yield f"ups.{step}", f"up{step + 6}"
    yield "head", "conv10"


ORIGINS = {"seed001_unet32": (Form("Unet of tutorials and of UNET-ZOO's UNet.py", "unet32", _read, _names),)}
