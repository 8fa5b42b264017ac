"""pytorch-nested-unet: https://github.com/4uiiurz1/pytorch-nested-unet, archs.py, read at commit 21ff02c."""

from collections.abc import Iterable, Iterator

from uvala.models.unet_variants import VGGBlockUNetConfig
from uvala.models.unetpp import LEVELS, UNetPPConfig
from uvala.weights.form import Form, Options, Shapes
from uvala.weights.unet_names import VGG_BLOCK, double_convolutions

__all__ = ["ORIGINS", "heads", "nested_names", "nodes", "read_heads", "read_nested"]

# ImageNet's numbers on 0..255, and after that once more a division by 255
_SCALE = ((0.485, 0.456, 0.406), (0.229 * 255, 0.224 * 255, 0.225 * 255))


def read_nested(shapes: Shapes, hints: Options) -> Options:
    """The options of `unetpp`, from the keys of NestedUNet."""
    width, in_channels, *_ = shapes["conv0_0.conv1.weight"]
    return {"in_channels": in_channels, "width": width, **read_heads(shapes)}


def read_heads(shapes: Shapes) -> Options:
    """Deep supervision has four heads, from final1 to final4."""
    deep = "final1.weight" in shapes
    return {
        "num_classes": shapes["final1.weight" if deep else "final.weight"][0],
        "deep_supervision": deep,
    }


def nested_names(config: UNetPPConfig) -> Iterator[tuple[str, str]]:
    """The names of NestedUNet, for a `unetpp`."""
    yield from double_convolutions(nodes(), VGG_BLOCK)
    yield from heads(config)


def nodes(inside: str = "") -> Iterable[tuple[str, str]]:
    """Node (level, place): its block with us and with them."""
    for level in range(LEVELS):
        for place in range(LEVELS - level):
            yield f"nodes.{level}.{place}", f"conv{level}_{place}{inside}"


def heads(config: UNetPPConfig) -> Iterable[tuple[str, str]]:
    """The heads of a `unetpp` with deep supervision or without."""
    names = [f"final{place}" for place in range(1, LEVELS)] if config.deep_supervision else ["final"]
    return [(f"heads.{index}", name) for index, name in enumerate(names)]


def _read_plain(shapes: Shapes, hints: Options) -> Options:
    width, in_channels, *_ = shapes["conv0_0.conv1.weight"]
    return {"in_channels": in_channels, "num_classes": shapes["final.weight"][0], "width": width}


def _plain_names(config: VGGBlockUNetConfig) -> Iterator[tuple[str, str]]:
    # the U of UNet++ without what stands between: the nodes (i, 0) and (i, 4 - i)
    blocks = [(f"encoders.{level}", f"conv{level}_0") for level in range(LEVELS)]
    blocks += [(f"decoders.{step}", f"conv{LEVELS - 2 - step}_{step + 1}") for step in range(LEVELS - 1)]
    yield from double_convolutions(blocks, VGG_BLOCK)
    yield "head", "final"


ORIGINS = {
    "nested_unet": (
        Form(
            "NestedUNet of archs.py",
            "unetpp",
            read_nested,
            nested_names,
            usual={"width": 32},
            blue_first=True,
            scale=_SCALE,
        ),
        Form("UNet of archs.py", "vgg_block_unet", _read_plain, _plain_names, blue_first=True, scale=_SCALE),
    )
}
