"""UNET-ZOO's SegNet: https://github.com/Andy-zhujunwen/UNET-ZOO, segnet.py."""

from collections.abc import Iterator

from uvala.models.segnet import COUNTS, SegNetConfig
from uvala.weights.form import Form, Options, Shapes

__all__ = ["ORIGINS"]

SCALE = ((0.5,), (0.5,))  # main.py: ToTensor, Normalize


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv11.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["conv11d.weight"][0],
        "width": width,
        # theirs is always 1; the paper's 2 has the same keys, and others have it under these names
        "pool_stride": hints.get("pool_stride", 1),
    }


def _names(config: SegNetConfig) -> Iterator[tuple[str, str]]:
    for level, count in enumerate(COUNTS):
        for index in range(count):
            # theirs count from 1, and on the way up backwards: conv53d is the first and conv11d the head
            down, up = f"{level + 1}{index + 1}", f"{level + 1}{count - index}d"
            yield f"encoders.{level}.{index}.0", f"conv{down}"
            yield f"encoders.{level}.{index}.1", f"bn{down}"
            yield f"decoders.{len(COUNTS) - 1 - level}.{index}.0", f"conv{up}"
            yield f"decoders.{len(COUNTS) - 1 - level}.{index}.1", f"bn{up}"
    yield "head", "conv11d"


SLOW = "its pooling keeps the resolution: an image takes 48 times as long as with a SegNet that halves"

ORIGINS = {
    "zoo_segnet": (
        Form(
            "SegNet of segnet.py",
            "segnet",
            _read,
            _names,
            assumes=("pool_stride",),
            fixed=("pool_stride",),
            scale=SCALE,
        ),
    )
}
