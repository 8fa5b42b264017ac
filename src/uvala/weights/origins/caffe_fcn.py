"""The paper's authors' FCNs: https://github.com/shelhamer/fcn.berkeleyvision.org.

The layers' names are those of the published prototxt files, and the keys those of PyTorch conversions such as
https://github.com/wkentaro/pytorch-fcn: the layer's name, then weight or bias.
"""

from collections.abc import Iterator
from functools import partial

from uvala.models.fcn import FCNConfig
from uvala.models.vgg import COUNTS
from uvala.weights.form import Form, NotThisForm, Options, Shapes

__all__ = ["ORIGINS"]

WHITE = 255
BLUE_GREEN_RED = (104.00699, 116.66877, 122.67892)
# they take the intensities as they are, less the mean
SCALE = (tuple(mean / WHITE for mean in BLUE_GREEN_RED), (1 / WHITE,) * 3)

SCORES = ("score_pool4", "score_pool3")
UPS = ("upscore2", "upscore_pool4")
LAST = ("upscore", "upscore16", "upscore8")


def _read(skips: int, shapes: Shapes, hints: Options) -> Options:
    if f"{LAST[skips]}.weight" not in shapes:
        raise NotThisForm
    width, in_channels, *_ = shapes["conv1_1.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["score_fr.weight"][0],
        "width": width,
        "fc_width": shapes["fc6.weight"][0],
    }


def _read_8s(shapes: Shapes, hints: Options) -> Options:
    return {**_read(2, shapes, hints), "at_once": hints.get("at_once", False)}


def _names(skips: int, config: FCNConfig) -> Iterator[tuple[str, str]]:
    for stage, count in enumerate(COUNTS):
        for index in range(count):
            yield f"trunk.stages.{stage}.{index}.0", f"conv{stage + 1}_{index + 1}"
    yield "classify.0", "fc6"
    yield "classify.3.0", "fc7"
    yield "classify.5", "score_fr"
    for step in range(skips):
        yield f"scores.{step}", SCORES[step]
        yield f"ups.{step}", UPS[step]
    yield "enlarge", LAST[skips]


ORIGINS = {
    "caffe_fcn": (
        Form(
            "voc-fcn32s",
            "fcn32s_caffe",
            partial(_read, 0),
            partial(_names, 0),
            blue_first=True,
            scale=SCALE,
        ),
        Form(
            "voc-fcn16s",
            "fcn16s_caffe",
            partial(_read, 1),
            partial(_names, 1),
            blue_first=True,
            scale=SCALE,
        ),
        Form(
            "voc-fcn8s (at_once=True: voc-fcn8s-atonce)",
            "fcn8s_caffe",
            _read_8s,
            partial(_names, 2),
            assumes=("at_once",),
            blue_first=True,
            scale=SCALE,
        ),
    )
}
