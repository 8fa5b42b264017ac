"""attention_unet.py of UNET-ZOO: https://github.com/Andy-zhujunwen/UNET-ZOO, read at commit 34c219f.

Its code is that of https://github.com/LeeJunHyun/Image_Segmentation, and so are the names of its parts, which
R2U-Net and the networks of bigmb have as well.
"""

from collections.abc import Iterable, Iterator

from uvala.models.attention_unet import AttentionUNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["HALVES", "ORIGINS", "conv_blocks", "gates", "nearest_ups"]

HALVES = ((0.5,), (0.5,))
"""How UNET-ZOO and bigmb normalise an image: 0..1 becomes -1..1."""

_STEPS = range(4)


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["Conv1.conv.0.weight"]
    return {
        "in_channels": in_channels,
        "num_classes": shapes["Conv_1x1.weight"][0],
        "width": width,
    }


def _names(config: AttentionUNetConfig) -> Iterator[tuple[str, str]]:
    yield from double_convolutions(conv_blocks("Conv", "Up_conv", inside=".conv"), IN_A_ROW)
    yield from nearest_ups()
    yield from gates()
    yield "head", "Conv_1x1"


def conv_blocks(down: str, up: str, inside: str = "") -> Iterable[tuple[str, str]]:
    """Our and their blocks: numbered from 1 on the way down, from 5 to 2 on the way up."""
    yield from ((f"encoders.{level}", f"{down}{level + 1}{inside}") for level in range(5))
    yield from ((f"decoders.{step}", f"{up}{5 - step}{inside}") for step in _STEPS)


def nearest_ups() -> Iterator[tuple[str, str]]:
    """Interpolation, convolution, norm, ReLU in one row."""
    for step in _STEPS:
        yield f"ups.{step}.convolution.0", f"Up{5 - step}.up.1"
        yield f"ups.{step}.convolution.1", f"Up{5 - step}.up.2"


def gates() -> Iterator[tuple[str, str]]:
    """W_g is of what came up, W_x of the skip, psi of their sum."""
    for step in _STEPS:
        ours, theirs = f"merges.{step}.gate", f"Att{5 - step}"
        yield f"{ours}.of_gate", f"{theirs}.W_g"
        yield f"{ours}.of_skip", f"{theirs}.W_x"
        yield f"{ours}.weigh", f"{theirs}.psi"


ORIGINS = {
    "zoo_attention": (Form("AttU_Net of attention_unet.py", "attention_unet", _read, _names, scale=HALVES),),
}
