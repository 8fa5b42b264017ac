"""VGGFCN32, VGGFCN16, VGGFCN8: classes on torchvision's VGG16 that many tutorials carry.

The whole VGG16 is in their checkpoints, with the classifier that they replace by convolutions.
"""

from collections.abc import Iterator
from functools import partial

from uvala.models.fcn import FCNConfig
from uvala.weights.form import Form, NotThisForm, Options, Shapes
from uvala.weights.vgg_names import vgg16_names

__all__ = ["ORIGINS"]

IMAGENET = (1000,)  # classes of torchvision's VGG16
FIELD = 7 * 7  # pixels of a map that its first fully connected layer takes
SCORES = ("score4", "score3")
UPS = ("upscale5", "upscale4")


def _read(skips: int, shapes: Shapes, hints: Options) -> Options:
    if [name for name in SCORES if f"{name}.weight" in shapes] != list(SCORES[:skips]):
        raise NotThisForm
    width, in_channels, *_ = shapes["vgg16.features.0.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["classifier.6.weight"][0],
        "width": width,
        "fc_width": shapes["classifier.0.weight"][0],
    }


def _names(skips: int, config: FCNConfig) -> Iterator[tuple[str, str]]:
    yield from vgg16_names("trunk", "vgg16.features")
    yield "classify.0.0", "classifier.0"
    yield "classify.2.0", "classifier.3"
    yield "classify.4", "classifier.6"
    for index in range(skips):
        yield f"scores.{index}", SCORES[index]
        yield f"ups.{index}", UPS[index]


def _unused(config: FCNConfig) -> Shapes:
    inputs = 8 * config.width * FIELD  # 25088
    shapes = {"0": (config.fc_width, inputs), "3": (config.fc_width,) * 2, "6": (*IMAGENET, config.fc_width)}
    weights = {f"vgg16.classifier.{layer}.weight": shape for layer, shape in shapes.items()}
    biases = {f"vgg16.classifier.{layer}.bias": shape[:1] for layer, shape in shapes.items()}
    return weights | biases


def _form(title: str, model: str, skips: int) -> Form:
    return Form(title, model, partial(_read, skips), partial(_names, skips), _unused)


ORIGINS = {
    "seed001_vggfcn": (
        _form("VGGFCN32", "fcn32s", 0),
        _form("VGGFCN16", "fcn16s", 1),
        _form("VGGFCN8", "fcn8s", 2),
    )
}
