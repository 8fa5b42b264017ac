"""torchvision's fcn_resnet50 and fcn_resnet101: https://github.com/pytorch/vision, read at version 0.29."""

from collections.abc import Iterator

from uvala.models.fcn_resnet import ResNetFCNConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.resnet_names import count_blocks, resnet_names

__all__ = ["ORIGINS"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["backbone.conv1.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["classifier.4.weight"][0],
        "width": width,
        "layers": count_blocks(shapes, prefix="backbone."),
        "aux": "aux_classifier.0.weight" in shapes,
    }


def _names(config: ResNetFCNConfig) -> Iterator[tuple[str, str]]:
    yield from resnet_names("trunk", "backbone", layers=config.layers)
    for ours, theirs in [("head", "classifier"), ("aux", "aux_classifier")]:
        # convolution, norm, ReLU, dropout, convolution in one row
        yield f"{ours}.0.0", f"{theirs}.0"
        yield f"{ours}.0.1", f"{theirs}.1"
        yield f"{ours}.2", f"{theirs}.4"


ORIGINS = {
    "torchvision_fcn": (
        Form("fcn_resnet50 and fcn_resnet101", "fcn_resnet50", _read, _names, scale=IMAGENET),
    )
}
