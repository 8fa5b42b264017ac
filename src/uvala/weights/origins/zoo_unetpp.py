"""unetpp.py of UNET-ZOO: https://github.com/Andy-zhujunwen/UNET-ZOO, read at commit 34c219f."""

from collections.abc import Iterator

from uvala.models.unetpp import UNetPPConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.origins.nested_unet import heads, nodes, read_heads
from uvala.weights.origins.zoo_attention import HALVES
from uvala.weights.unet_names import IN_A_ROW, double_convolutions

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv0_0.conv.0.weight"]
    return {"in_channels": in_channels, "width": width, **read_heads(shapes)}


def _names(config: UNetPPConfig) -> Iterator[tuple[str, str]]:
    yield from double_convolutions(nodes(inside=".conv"), IN_A_ROW)
    yield from heads(config)


ORIGINS = {
    "zoo_unetpp": (Form("NestedUNet of unetpp.py", "unetpp", _read, _names, scale=HALVES),),
}
