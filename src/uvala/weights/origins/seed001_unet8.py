"""A small U-Net of 8 to 128 channels of tutorials, built of double_conv2d_bn and deconv2d_bn."""

from collections.abc import Iterator

from uvala.models.unet_forms import UNet8Config
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.unet_names import VGG_BLOCK, double_convolutions

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["layer1_conv.conv1.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["layer10_conv.weight"][0], "width": width}


def _names(config: UNet8Config) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"layer{level + 1}_conv") for level in range(5)]
    blocks += [(f"decoders.{step}", f"layer{step + 6}_conv") for step in range(4)]
    yield from double_convolutions(blocks, VGG_BLOCK)
    for step in range(4):
        yield f"ups.{step}.up", f"deconv{step + 1}.conv1"
        yield f"ups.{step}.norm", f"deconv{step + 1}.bn1"
    yield "head", "layer10_conv"


ORIGINS = {"seed001_unet8": (Form("Unet of double_conv2d_bn, of tutorials", "unet8", _read, _names),)}
