"""UNET-ZOO's resnet34_unet: https://github.com/Andy-zhujunwen/UNET-ZOO, UNet.py."""

from collections.abc import Iterator

from uvala.models.resnet import Layers
from uvala.models.resnet_unet import AdditiveUNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.resnet_names import ENCODER_NAMES, count_blocks, resnet_names

__all__ = ["ORIGINS", "SCALE", "additive_unet_names", "additive_unet_options"]

SCALE = ((0.5,), (0.5,))  # main.py: ToTensor, Normalize


def additive_unet_options(shapes: Shapes) -> Options:
    """What the keys of a network with such a way down and up tell."""
    width, in_channels, *_ = shapes["firstconv.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["finalconv3.weight"][0],
        "layers": count_blocks(shapes, names=ENCODER_NAMES),
        "width": width,
    }


def additive_unet_names(layers: Layers) -> Iterator[tuple[str, str]]:
    """The names of the way down and up; what is between them is another matter."""
    yield from resnet_names("encoder", "", layers=layers, names=ENCODER_NAMES)
    for step in range(4):
        ours, theirs = f"decoders.{step}", f"decoder{4 - step}"
        for index, conv in enumerate(["conv1", "deconv2", "conv3"]):
            yield f"{ours}.{index}.0", f"{theirs}.{conv}"
            yield f"{ours}.{index}.1", f"{theirs}.norm{index + 1}"
    yield "head.0", "finaldeconv1"
    yield "head.2", "finalconv2"
    yield "head.4", "finalconv3"


def _read(shapes: Shapes, hints: Options) -> Options:
    return additive_unet_options(shapes)


def _names(config: AdditiveUNetConfig) -> Iterator[tuple[str, str]]:
    return additive_unet_names(config.layers)


ORIGINS = {
    "seed001_resnet34_unet": (Form("resnet34_unet of UNet.py", "resnet34_unet", _read, _names, scale=SCALE),)
}
