"""From an image to class probabilities: the one path, which validation and prediction share."""

import torch
from torch import Tensor, nn

from uvala.arrays import ImageArray
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise
from uvala.runs.card import NetworkCard
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_probabilities

__all__ = ["class_probabilities"]


def class_probabilities(
    model: nn.Module,
    image: ImageArray,
    normalisation: Normalisation,
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
) -> Tensor:
    """Probabilities, float32 [K, H, W] on the CPU, of an image [C, H, W] in the units of its file."""
    return predict_probabilities(
        model,
        torch.from_numpy(normalise(image, normalisation)),
        num_classes=network.num_classes,
        halo=network.halo,
        multiple=network.multiple,
        tiles=tiles,
        device=device,
    )
