"""From an image to what a network says about it: the one path, which validation and prediction share."""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvala.arrays import Box, ImageArray, Size
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise, scale_of
from uvala.images.lazy import LazyImage
from uvala.runs.card import NetworkCard
from uvala.tiling.config import TileConfig
from uvala.tiling.network import Activation, class_probabilities
from uvala.tiling.run import predict_blocks, predict_from_reader
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["Outputs", "activation", "output_blocks", "parted", "predict_outputs", "with_entropy"]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says about each pixel.

    probabilities: float32 [K, H, W], which sum to 1 over the classes. borders: float32 [H, W], the part of
    class 1 that lies on the border of an object; distance: float32 [H, W], how far inside an object, 0 to 1;
    each only where the network learnt it. entropy: float32 [H, W], where it was asked for: how undecided each
    view of the image is by itself, 0 to 1, mean over the views.
    """

    probabilities: NDArray[np.float32]
    borders: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    entropy: NDArray[np.float32] | None = None


def predict_outputs(
    model: nn.Module,
    image: ImageArray | LazyImage,
    normalisation: Normalisation,
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
    temperature: float = 1.0,
    test_time: TestTimeConfig | None = None,
    *,
    spread: bool = False,
    on_blended: Callable[[str], None] | None = None,
) -> Outputs:
    """What `model` says about an image [C, H, W] in the units of its file.

    test_time: mirrored and turned views whose outputs are averaged; None: only the image as it is. spread:
    whether the entropy of each view is asked for, too. The image is normalised tile by tile, so that one that
    is mapped from disk may be larger than the memory. on_blended: hears why its tiles are not exact.
    """
    asked = _asked(model, image, normalisation, network, tiles, device, temperature, test_time, spread)
    return parted(predict_from_reader(**asked, on_blended=on_blended), network.objects, spread)


def output_blocks(
    model: nn.Module,
    image: ImageArray | LazyImage,
    normalisation: Normalisation,
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
    temperature: float = 1.0,
    test_time: TestTimeConfig | None = None,
    *,
    spread: bool = False,
    grid: int,
    finished: Collection[Box] = (),
    on_blended: Callable[[str], None] | None = None,
) -> Iterator[tuple[Box, Outputs]]:
    """As `predict_outputs`, box by box, cut at multiples of `grid`; see `tiling.run.predict_blocks`.

    finished: areas that need not come again. The result as a whole is never held.
    """
    asked = _asked(model, image, normalisation, network, tiles, device, temperature, test_time, spread)
    for box, outputs in predict_blocks(**asked, grid=grid, finished=finished, on_blended=on_blended):
        yield box, parted(outputs, network.objects, spread)


def _asked(
    model: nn.Module,
    image: ImageArray | LazyImage,
    normalisation: Normalisation,
    network: NetworkCard,
    tiles: TileConfig,
    device: torch.device,
    temperature: float,
    test_time: TestTimeConfig | None,
    spread: bool,
) -> dict[str, Any]:
    """What `tiling.run` is asked."""
    scale = scale_of(image, normalisation)
    size = image.size if isinstance(image, LazyImage) else Size(*image.shape[-2:])

    def read(box: Box) -> Tensor:
        part = image.read(box) if isinstance(image, LazyImage) else image[:, *box.slices]
        return torch.from_numpy(normalise(part, scale))

    activate = activation(network.objects, temperature)
    return {
        "model": model,
        "read": read,
        "size": size,
        "halo": network.halo,
        "multiple": network.multiple,
        "tiles": tiles,
        "device": device,
        "activate": with_entropy(activate, network.num_classes) if spread else activate,
        "test_time": test_time,
    }


def parted(maps: Tensor, objects: str, spread: bool) -> Outputs:
    """The maps [N, H, W] under their names."""
    values: NDArray[np.float32] = maps.numpy()
    classes, entropy = (values[:-1], values[-1]) if spread else (values, None)
    if objects == "classes":
        return Outputs(classes, entropy=entropy)
    classes, extra = classes[:-1], classes[-1]
    if objects == "distance":
        return Outputs(classes, distance=extra, entropy=entropy)
    return Outputs(classes, borders=extra, entropy=entropy)


def activation(objects: str, temperature: float) -> Activation:
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


def with_entropy(activate: Activation, num_classes: int) -> Activation:
    """The same and, last, the entropy of the class probabilities: each view's own, since views are averaged
    after it. In units of log K, so that it is 1 where all classes are equally likely.
    """

    def all_maps(logits: Tensor) -> Tensor:
        outputs = activate(logits)
        classes = outputs[..., :num_classes]
        entropy = -torch.xlogy(classes, classes).sum(dim=-1, keepdim=True) / math.log(num_classes)
        return torch.cat([outputs, entropy], dim=-1)

    return all_maps
