"""ImageNet weights for the encoders that we write out ourselves, from timm's networks of the same layers."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from uvala.models.encoders import STRIDES, make_encoder
from uvala.models.resnet import BlockKind, Layers

__all__ = ["RESNETS", "load_imagenet", "require_published"]

WIDTH = 64  # of all that is published

RESNETS: Mapping[BlockKind, Mapping[Layers, str]] = {
    "basic": {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"},
    "bottleneck": {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"},
}


def require_published(pretrained: bool, options: Mapping[str, Any], block: BlockKind | None = None) -> bool:
    """`pretrained`, for a config's validator; ValueError if nobody has such weights for the other options.

    block: of the ResNet that the options are of; None: they are of a VGG16.
    """
    if not pretrained:
        return pretrained
    if options.get("width", WIDTH) != WIDTH:
        raise ValueError(f"needs width={WIDTH}: there are no such weights for width={options['width']}")
    if block is not None and options.get("layers") not in RESNETS[block]:
        known = ", ".join(str(list(layers)) for layers in RESNETS[block])
        raise ValueError(f"needs layers that there are such weights for: {known}")
    return pretrained


def load_imagenet(encoder: nn.Module, name: str, in_channels: int) -> None:
    """Give `encoder` the weights of timm's network of that name, downloaded if they are not in its cache.

    The first convolution is adapted to other channels than 3. Raises WeightsError if they cannot be had.
    """
    theirs = make_encoder(name, in_channels, depth=len(STRIDES), pretrained=True).net.state_dict()
    # the same layers in the same order, under other names
    encoder.load_state_dict(dict(zip(encoder.state_dict(), theirs.values(), strict=True)))
