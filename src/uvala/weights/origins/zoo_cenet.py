"""UNET-ZOO's CE-Net: https://github.com/Andy-zhujunwen/UNET-ZOO, cenet.py."""

from collections.abc import Iterator

from uvala.models.resnet_unet import AdditiveUNetConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.origins.seed001_resnet34_unet import SCALE, additive_unet_names, additive_unet_options

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    return additive_unet_options(shapes)


def _names(config: AdditiveUNetConfig) -> Iterator[tuple[str, str]]:
    yield from additive_unet_names(config.layers)
    for index in range(3):
        yield f"bottom.0.atrous.{index}", f"dblock.dilate{index + 1}"
    yield "bottom.0.mix", "dblock.conv1x1"
    yield "bottom.1.reduce", "spp.conv"


ORIGINS = {"zoo_cenet": (Form("CE_Net_ of cenet.py", "cenet", _read, _names, scale=SCALE),)}
