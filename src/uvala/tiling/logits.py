"""The small door to exact tiling: a network, an image, and its logits."""

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from uvala.config import build
from uvala.errors import ConfigError, ShapeError
from uvala.models.catalog import recipe_of
from uvala.models.facts import measure
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_probabilities, probabilities_whole
from uvala.tiling.seams import Blend
from uvala.tiling.use import TiledUse

__all__ = ["logits_in_tiles", "predict_logits"]


def predict_logits(model: nn.Module, image: ArrayLike | Tensor, tile: int | None = None) -> Tensor:
    """The logits of an image: [C, H, W] -> float32 [K, H, W] on the CPU.

    model: of `create_model`, or any that gives logits [B, K, H, W] of images [B, C, H, W] and says in its
    attribute `multiple` in which squares it pools; it runs in eval mode, where its weights lie, and gets its
    modes back. image: numbers as the network wants them, of any height and width. tile: None for the whole
    image at once; otherwise the side of the square that each tile contributes, in pixels, from 32 on, and
    memory for tiles of that size and what the network must see around them. The numbers are the same. A
    number of the whole image (instance norm, squeezes) costs a pass over the image each.

    Only where no tile can be exact (attention over the whole image, padding that depends on its size) are
    tiles blended; `uvala models` tells which, and the logger `uvala` that it happened. With `tile`, a second
    or two go into finding out what a pixel depends on. Raises ShapeError for an image of another form or
    number of channels, and ConfigError for a tile below 32 pixels.
    """
    if tile is None:
        pixels, device = _as_network_wants(model, image)
        return probabilities_whole(model, pixels, device, _as_they_are)
    wanted = {"size": tile, "whole_below": 0, "statistics": 10**6}
    return logits_in_tiles(model, image, build(TileConfig, wanted, where="tile"))


def logits_in_tiles(model: nn.Module, image: ArrayLike | Tensor, tiles: TileConfig) -> Tensor:
    """As `predict_logits`, in tiles as they are wanted."""
    pixels, device = _as_network_wants(model, image)
    _require_multiple(model)
    facts = measure(model, len(pixels))
    use = TiledUse(
        model,
        device=device,
        halo=facts.halo,
        multiple=facts.multiple,
        tiles=tiles,
        activate=_as_they_are,
        on_blended=_say_so if tiles.mode == "exact" else None,
    )
    return predict_probabilities(use, pixels)


def _say_so(blend: Blend) -> None:
    logging.getLogger("uvala").warning(
        "logits are those of blended tiles of %d pixels, not of the whole image: %s", blend.tile, blend.why
    )


def _as_network_wants(model: nn.Module, image: ArrayLike | Tensor) -> tuple[Tensor, torch.device]:
    """The image in the precision of the weights, and where these lie; ShapeError."""
    pixels = image if isinstance(image, Tensor) else _as_tensor(np.asarray(image))
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ShapeError(
            found=f"an image of shape {tuple(pixels.shape)}",
            expected="[C, H, W], none of them 0",
            fix="give one image with its channels first",
        )
    channels = _channels_of(model)
    if channels not in (None, len(pixels)):
        raise ShapeError(
            found=f"an image of {len(pixels)} channel{'s' * (len(pixels) != 1)}, shape {tuple(pixels.shape)}",
            expected=f"{channels}, as the network takes them",
            fix="give an image [C, H, W] with that many channels, or a network with another `in_channels`",
        )
    weight = next(model.parameters(), torch.empty(0))
    return pixels.to(weight.dtype if weight.is_floating_point() else torch.float32), weight.device


def _as_tensor(array: NDArray[Any]) -> Tensor:
    """The same numbers; torch takes neither mirrored arrays nor those of the other byte order."""
    if array.dtype.kind not in "buif":
        raise ShapeError(
            found=f"an image of dtype {array.dtype}",
            expected="real numbers [C, H, W]",
            fix="give the pixels as an array or a tensor of numbers",
        )
    # writable: torch warns of memory that it might be asked to alter
    return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


def _channels_of(model: nn.Module) -> int | None:
    """How many channels a network takes; None if it does not say."""
    try:
        return int(getattr(recipe_of(model).config, "in_channels", 0)) or None
    except ConfigError:
        return None


def _require_multiple(model: nn.Module) -> None:
    """ConfigError of a network of one's own that strides and does not say where its squares begin."""
    strides = (getattr(module, "stride", 1) for module in model.modules())
    if hasattr(model, "multiple") or all(each in (1, (1, 1)) for each in strides):
        return
    raise ConfigError(
        found=f"a {type(model).__name__} that pools or strides, and does not say in which squares",
        expected="an attribute `multiple`: the product of its strides, such as 16 after four poolings",
        fix="set model.multiple before cutting images into tiles",
    )


def _as_they_are(logits: Tensor) -> Tensor:
    return logits
