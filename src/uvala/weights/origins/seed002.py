"""The least of a U-Net that circulates in tutorials: blocks without norm, two levels, and no output layer."""

from collections.abc import Iterator

from uvala.models.unet_forms import MinimalUNetConfig
from uvala.weights.form import Form, NotThisForm, Options, Shapes

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["down1.conv.net.0.weight"]
    if "head.weight" in shapes:
        raise NotThisForm("network without an output layer")
    return {"in_channels": in_channels, "num_classes": width, "width": width, "with_head": False}


def _names(config: MinimalUNetConfig) -> Iterator[tuple[str, str]]:
    blocks = ["down1.conv", "down2.conv", "bottleneck", "up1.conv", "up2.conv"]
    parts = [*(f"encoders.{level}" for level in range(3)), *(f"decoders.{step}" for step in range(2))]
    for ours, theirs in zip(parts, blocks, strict=True):
        # convolution, ReLU, convolution, ReLU in one row
        yield f"{ours}.0.0", f"{theirs}.net.0"
        yield f"{ours}.1.0", f"{theirs}.net.2"
    yield "head", "head"  # theirs has none, and `read` refuses it


ORIGINS = {
    "seed002": (Form("DoubleConv, Down, Up without norm, of tutorials", "minimal_unet", _read, _names),)
}
