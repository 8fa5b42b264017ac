"""How a network is used on images that may be cut into tiles."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import torch
from torch import nn

from uvala.tiling.config import TileConfig
from uvala.tiling.network import Activation, class_probabilities
from uvala.tiling.seams import Blend
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["TiledUse"]


@dataclass(frozen=True, eq=False)
class TiledUse:
    """A network, and all that decides how it goes over an image.

    model: gives logits [B, K, H, W] of images [B, C, H, W], or [B, 1, H, W] for a sigmoid; it runs in eval
    mode and gets its modes back. device: where it lies. halo, multiple: as `models.facts.measure` finds them;
    halo None: no tile is exact. tiles: how images are cut. activate: instead of the softmax, and what it
    gives of a pixel is then K. test_time: mirrored and turned views whose outputs are averaged; None: only
    the image as it is. on_smaller_tiles: hears how an image is cut again for which the device had no room.
    on_blended: hears, once for an image, that its tiles are not exact, and why.
    """

    model: nn.Module
    _: KW_ONLY
    device: torch.device
    halo: int | None
    multiple: int
    tiles: TileConfig
    activate: Activation = class_probabilities
    test_time: TestTimeConfig | None = None
    on_smaller_tiles: Callable[[TileConfig], None] | None = None
    on_blended: Callable[[Blend], object] | None = None
