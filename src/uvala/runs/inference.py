"""From an image to what a network says about it: the one path, which validation and prediction share."""

import math
from collections.abc import Callable, Collection, Generator
from contextlib import closing
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvala.arrays import Box, ImageArray, Size
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise, scale_of
from uvala.images.lazy import LazyImage
from uvala.runs.card import NetworkCard
from uvala.tiling.ahead import Reader
from uvala.tiling.config import TileConfig
from uvala.tiling.network import Activation, class_probabilities
from uvala.tiling.run import predict_blocks, predict_from_reader
from uvala.tiling.seams import Blend
from uvala.tiling.shelf import Scratch
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.use import TiledUse

__all__ = ["Outputs", "Use", "activation", "output_blocks", "parted", "predict_outputs", "with_entropy"]


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

    @property
    def maps(self) -> dict[str, NDArray[np.float32]]:
        """Those that are there, by their names."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values for name, values in every.items() if values is not None}

    def by_map(self, change: Callable[..., NDArray[np.float32]], *others: "Outputs") -> "Outputs":
        """`change` of each map that is there, and of the same map of the others."""
        several = [each.maps for each in (self, *others)]
        return Outputs(**{name: change(*(maps[name] for maps in several)) for name in self.maps})


@dataclass(frozen=True, eq=False)
class Use:
    """A network, and all that decides what it says about an image.

    device: where it lies. temperature: by which logits are divided. test_time: mirrored and turned views
    whose outputs are averaged; None: only the image as it is.
    """

    model: nn.Module
    network: NetworkCard
    normalisation: Normalisation
    tiles: TileConfig
    device: torch.device
    temperature: float = 1.0
    test_time: TestTimeConfig | None = None

    def in_tiles(
        self, *, spread: bool = False, on_blended: Callable[[Blend], object] | None = None
    ) -> TiledUse:
        """What `tiling` is to know of it; spread, on_blended: as of `predict_outputs`."""
        network = self.network
        activate = activation(network.objects, self.temperature)
        return TiledUse(
            self.model,
            device=self.device,
            halo=network.halo,
            multiple=network.multiple,
            tiles=self.tiles,
            activate=with_entropy(activate, network.num_classes) if spread else activate,
            test_time=self.test_time,
            on_blended=on_blended,
        )


def predict_outputs(
    use: Use,
    image: ImageArray | LazyImage,
    *,
    spread: bool = False,
    on_blended: Callable[[Blend], object] | None = None,
) -> Outputs:
    """What a network says about an image [C, H, W] in the units of its file.

    spread: whether the entropy of each view is asked for, too. on_blended: hears that its tiles are not
    exact. The image is normalised tile by tile, so that one on disk may be larger than the memory.
    """
    read, size = _normalised(image, use.normalisation)
    maps = predict_from_reader(use.in_tiles(spread=spread, on_blended=on_blended), read, size)
    return parted(maps, use.network.objects, spread)


def output_blocks(
    use: Use,
    image: ImageArray | LazyImage,
    *,
    grid: int,
    finished: Collection[Box] = (),
    spread: bool = False,
    on_blended: Callable[[Blend], object] | None = None,
    scratch: Scratch | None = None,
) -> Generator[tuple[Box, Outputs]]:
    """As `predict_outputs`, box by box, cut at multiples of `grid`; see `tiling.run.predict_blocks`.

    finished: areas that need not come again. scratch: for what blended tiles have no room for in memory. The
    result as a whole is never held. To be closed where it is left early: nothing reads the image then.
    """
    read, size = _normalised(image, use.normalisation)
    in_tiles = use.in_tiles(spread=spread, on_blended=on_blended)
    blocks = predict_blocks(in_tiles, read, size, grid=grid, finished=finished, scratch=scratch)
    with closing(blocks):
        for box, maps in blocks:
            yield box, parted(maps, use.network.objects, spread)


def _normalised(image: ImageArray | LazyImage, normalisation: Normalisation) -> tuple[Reader, Size]:
    """What reads an image as the network wants it, and its size."""
    scale = scale_of(image, normalisation)
    size = image.size if isinstance(image, LazyImage) else Size(*image.shape[-2:])

    def read(box: Box) -> Tensor:
        part = image.read(box) if isinstance(image, LazyImage) else image[:, *box.slices]
        return torch.from_numpy(normalise(part, scale))

    return read, size


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
        # step by step: OpenVINO 2026.4 makes a single number of an image's log-sum-exp
        highest = logits[..., 1:].amax(dim=-1, keepdim=True)
        objects = highest + (logits[..., 1:] - highest).exp().sum(dim=-1, keepdim=True).log()
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
