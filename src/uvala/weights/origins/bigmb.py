"""Models.py of https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets, read at commit 3b52146.

Its NestedUNet has the names of pytorch-nested-unet's; most others those of UNET-ZOO's, but for the head.
"""

from collections.abc import Callable, Iterator
from typing import Any

from uvala.models.unet_variants import UNetDictConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.origins.nested_unet import nested_names, read_nested
from uvala.weights.origins.zoo_attention import HALVES, conv_blocks, gates, nearest_ups
from uvala.weights.origins.zoo_r2unet import recurrent_blocks
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["ORIGINS"]

_STEPS = range(4)


def _reader(first: str, head: str, **more: Any) -> Callable[[Shapes, Options], Options]:
    """A `read` that looks at the first convolution and the head; more: what all checkpoints share."""

    def read(shapes: Shapes, hints: Options) -> Options:
        width, in_channels, *_ = shapes[f"{first}.weight"]
        return {
            "in_channels": in_channels,
            "num_classes": shapes[f"{head}.weight"][0],
            "width": width,
            **more,
        }

    return read


def _u_names(config: Any) -> Iterator[tuple[str, str]]:
    yield from double_convolutions(conv_blocks("Conv", "Up_conv", inside=".conv"), IN_A_ROW)
    yield from nearest_ups()
    yield "head", "Conv"


def _attention_names(config: Any) -> Iterator[tuple[str, str]]:
    yield from _u_names(config)
    yield from gates()


def _r2_names(config: Any) -> Iterator[tuple[str, str]]:
    yield from recurrent_blocks(enter="Conv")
    yield from nearest_ups()
    yield "head", "Conv"


def _r2_attention_names(config: Any) -> Iterator[tuple[str, str]]:
    yield from _r2_names(config)
    yield from gates()


def _dict_names(config: UNetDictConfig) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"contractive_{level}.c1") for level in range(4)]
    blocks += [("encoders.4", "bottleneck")]
    blocks += [(f"decoders.{step}", f"expansive_{3 - step}.c1") for step in _STEPS]
    # between our two convolutions stands the dropout
    yield from double_convolutions(blocks, ("c1", "b1", "c2", "b2"), places=(0, 2))
    yield from ((f"ups.{step}", f"expansive_{3 - step}.t1") for step in _STEPS)
    yield "head", "output"


# its recurrence overwrites the input at the first step, so that the number of steps makes no difference
_read_r2 = _reader("RRCNN1.Conv", "Conv", recurrence="doubled")

ORIGINS = {
    "bigmb": (
        Form("U_Net of Models.py", "upconv_unet", _reader("Conv1.conv.0", "Conv"), _u_names, scale=HALVES),
        Form(
            "AttU_Net of Models.py",
            "attention_unet",
            _reader("Conv1.conv.0", "Conv"),
            _attention_names,
            scale=HALVES,
        ),
        Form(
            "R2U_Net of Models.py",
            "r2unet",
            _read_r2,
            _r2_names,
            assumes=("steps",),
            arguments={"t": "steps"},
            scale=HALVES,
        ),
        Form(
            "R2AttU_Net of Models.py",
            "r2_attention_unet",
            _read_r2,
            _r2_attention_names,
            assumes=("steps",),
            arguments={"t": "steps"},
            scale=HALVES,
        ),
        Form(
            "NestedUNet of Models.py", "unetpp", read_nested, nested_names, usual={"width": 64}, scale=HALVES
        ),
        Form(
            "Unet_dict of Models.py",
            "unet_dict",
            _reader("contractive_0.c1.c1", "output"),
            _dict_names,
            assumes=("dropout",),
            scale=HALVES,
        ),
    )
}
