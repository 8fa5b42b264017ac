"""UNET-ZOO's FCN32s and FCN8s: https://github.com/Andy-zhujunwen/UNET-ZOO, read at commit b526ce5.

Both have the same keys, of which the first uses only some; the shape of the last layer tells them apart. Its
FCN16s and FCNs cannot be told from FCN8s by anything, and are taken for it; its own code never builds them.
"""

from collections.abc import Iterator
from functools import partial

from uvala.models.fcn_deconv import DeconvFCNConfig
from uvala.weights.form import Form, NotThisForm, Options, Shapes
from uvala.weights.vgg_names import vgg16_names

__all__ = ["ORIGINS"]

STEPS = 5
LAST_STAGE = ("features.24", "features.26", "features.28")


def _read(steps: int, shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["pretrained_net.features.0.weight"]
    num_classes, features, *_ = shapes["classifier.weight"]
    if features != 8 * width // 2 ** (steps - 1):
        raise NotThisForm
    return {"in_channels": in_channels, "num_classes": num_classes, "width": width}


def _names(steps: int, config: DeconvFCNConfig) -> Iterator[tuple[str, str]]:
    yield from vgg16_names("trunk", "pretrained_net.features")
    for step in range(steps):
        yield f"ups.{step}.0", f"deconv{step + 1}"
        yield f"norms.{step}", f"bn{step + 1}"
    yield "head", "classifier"


def _last_stage_and_step(config: DeconvFCNConfig) -> Shapes:
    wide, thin = 8 * config.width, config.width // 2
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in LAST_STAGE:
        shapes[f"pretrained_net.{layer}.weight"] = (wide, wide, 3, 3)
        shapes[f"pretrained_net.{layer}.bias"] = (wide,)
    shapes["deconv5.weight"] = (config.width, thin, 3, 3)
    shapes["deconv5.bias"] = (thin,)
    for name in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"bn5.{name}"] = (thin,)
    return {**shapes, "bn5.num_batches_tracked": ()}


SCALE = ((0.5,), (0.5,))  # main.py's

ORIGINS = {
    "zoo_fcn": (
        Form(
            "get_fcn32s of fcn.py",
            "fcn32s_deconv",
            partial(_read, STEPS - 1),
            partial(_names, STEPS - 1),
            _last_stage_and_step,
            scale=SCALE,
        ),
        Form(
            "get_fcn8s of fcn.py", "fcn8s_deconv", partial(_read, STEPS), partial(_names, STEPS), scale=SCALE
        ),
    )
}
