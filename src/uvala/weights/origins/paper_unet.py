"""The paper's U-Net as in https://github.com/jvanvugt/pytorch-unet."""

from collections.abc import Iterator

from uvala.models.paper_unet import PaperUNetConfig
from uvala.weights.form import Form, Options, Shapes

__all__ = ["ORIGINS"]


def _read(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["down_path.0.block.0.weight"]
    # with a single level there is nothing to go up
    learned = "up_path.0.up.weight" in shapes or "up_path.0.up.1.weight" not in shapes
    return {
        "in_channels": in_channels,
        "num_classes": shapes["last.weight"][0],
        "depth": sum(key.startswith("down_path.") and key.endswith(".block.0.weight") for key in shapes),
        "width": width,
        "norm": "batch" if "down_path.0.block.2.running_mean" in shapes else "none",
        "up": "transposed" if learned else "bilinear",
        "padding": False,
        "borders": hints.get("borders", "valid"),  # which has no weights, and of which they know nothing
    }


def _names(config: PaperUNetConfig) -> Iterator[tuple[str, str]]:
    blocks = [(f"encoders.{level}", f"down_path.{level}.block") for level in range(config.depth)]
    for step in range(config.depth - 1):
        blocks.append((f"decoders.{step}", f"up_path.{step}.conv_block.block"))
        yield f"ups.{step}", f"up_path.{step}.up"
        yield f"ups.{step}.reduce", f"up_path.{step}.up.1"
    # convolution, ReLU, norm, twice; where there is no norm, theirs has no place for it
    places = {0: 0, 2: 2, 3: 3, 5: 5} if config.norm == "batch" else {0: 0, 3: 2}
    for ours, theirs in blocks:
        for our, their in places.items():
            yield f"{ours}.{our}", f"{theirs}.{their}"
    yield "head", "last"


ORIGINS = {
    "paper_unet": (Form("UNet of pytorch-unet's unet.py", "paper_unet", _read, _names, assumes=("padding",)),)
}
