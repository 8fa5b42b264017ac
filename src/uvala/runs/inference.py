"""From an image to what a network says about it: the one path, which validation and prediction share."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvala.arrays import Box, ImageArray, Size
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise, scale_of
from uvala.runs.card import NetworkCard
from uvala.tiling.config import TileConfig
from uvala.tiling.run import Activation, class_probabilities, predict_from_reader
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["Outputs", "predict_outputs"]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says about each pixel.

    probabilities: float32 [K, H, W], which sum to 1 over the classes. borders: float32 [H, W], the part of
    class 1 that lies on the border of an object; distance: float32 [H, W], how far inside an object, 0 to 1;
    each only where the network learnt it.
    """

    probabilities: NDArray[np.float32]
    borders: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None


def predict_outputs(
    model: nn.Module,
    image: ImageArray,
    normalisation: Normalisation,
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
    temperature: float = 1.0,
    test_time: TestTimeConfig | None = None,
) -> Outputs:
    """What `model` says about an image [C, H, W] in the units of its file.

    test_time: mirrored and turned views whose outputs are averaged; None: only the image as it is. The image
    is normalised tile by tile, so that one that is mapped from disk may be larger than the memory.
    """
    scale = scale_of(image, normalisation)

    def read(box: Box) -> Tensor:
        return torch.from_numpy(normalise(image[:, *box.slices], scale))

    outputs = predict_from_reader(
        model,
        read,
        Size(*image.shape[-2:]),
        num_classes=network.num_classes + (network.objects != "classes"),
        halo=network.halo,
        multiple=network.multiple,
        tiles=tiles,
        device=device,
        activate=_activation(network.objects, temperature),
        test_time=test_time,
    ).numpy()
    if network.objects == "classes":
        return Outputs(outputs)
    classes, extra = outputs[:-1], outputs[-1]
    return (
        Outputs(classes, distance=extra) if network.objects == "distance" else Outputs(classes, borders=extra)
    )


def _activation(objects: str, temperature: float) -> Activation:
    """What makes outputs of logits [..., L], their channels last: the classes, and what is learnt besides."""

    def of_classes(logits: Tensor) -> Tensor:
        return class_probabilities(logits / temperature if temperature != 1.0 else logits)

    def with_distance(logits: Tensor) -> Tensor:
        return torch.cat([of_classes(logits[..., :-1]), logits[..., -1:].sigmoid()], dim=-1)

    def with_borders(logits: Tensor) -> Tensor:
        # The border is a part of the object, and the temperature is one of the classes: their logits are
        # those of all that belongs to them, so that it changes no class.
        objects = logits[..., 1:].logsumexp(dim=-1, keepdim=True)
        classes = of_classes(torch.cat([logits[..., :1], objects], dim=-1))
        share = (logits[..., -1:] - objects).exp()
        return torch.cat([classes, classes[..., 1:] * share], dim=-1)

    return {"classes": of_classes, "borders": with_borders, "distance": with_distance}[objects]
