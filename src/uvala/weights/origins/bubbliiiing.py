"""unet-pytorch: https://github.com/bubbliiiing/unet-pytorch, nets/unet.py.

Images there are divided by 255 and not normalised further.
"""

from collections.abc import Iterator

from uvala.models.backbone_unet import ResNet50UNetConfig, VGG16UNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.resnet_names import count_blocks, resnet_names
from uvala.weights.vgg_names import vgg16_names

__all__ = ["ORIGINS"]


def _read_vgg16(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["vgg.features.0.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["final.weight"][0], "width": width}


def _read_resnet50(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["resnet.conv1.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["final.weight"][0],
        "layers": count_blocks(shapes, prefix="resnet."),
        "width": width,
    }


def _vgg16_names(config: VGG16UNetConfig) -> Iterator[tuple[str, str]]:
    yield from vgg16_names("encoder", "vgg.features")
    yield from _way_up()


def _resnet50_names(config: ResNet50UNetConfig) -> Iterator[tuple[str, str]]:
    yield from resnet_names("encoder", "resnet", layers=config.layers)
    yield "last.1.0", "up_conv.1"
    yield "last.2.0", "up_conv.3"
    yield from _way_up()


def _way_up() -> Iterator[tuple[str, str]]:
    for step in range(4):
        for index in range(2):
            yield f"decoders.{step}.{index}.0", f"up_concat{4 - step}.conv{index + 1}"
    yield "head", "final"


ORIGINS = {
    "bubbliiiing": (
        Form("Unet of nets/unet.py on vgg", "vgg16_unet", _read_vgg16, _vgg16_names),
        Form("Unet of nets/unet.py on resnet50", "resnet50_unet", _read_resnet50, _resnet50_names),
    )
}
