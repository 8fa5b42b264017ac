"""The random numbers behind the changes: those of a sample come from its own generator and from nothing else.

So a patch is changed alike in whatever batch, slot or process it is, and a resumed training repeats it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvala.augment.config import AugmentConfig

__all__ = ["Draws", "draw", "elastic_points"]

_CHANGES = tuple(
    name.removesuffix("_probability") for name in AugmentConfig.model_fields if name.endswith("_probability")
)
_AMOUNTS = (
    "flip_horizontal",
    "flip_vertical",
    "quarter_turns",
    "rotation",
    "scale",
    "shear",
    "contrast",
    "gain",
    "gamma",
    "gamma_inverted",
    "blur",
    "sharpen",
    "low_resolution",
    "noise",
    "cutmix_area",
    "cutmix_row",
    "cutmix_column",
)


@dataclass(frozen=True, eq=False)
class Draws:
    """The random numbers of B samples, on the CPU; row n of each is a function of generator n alone.

    chances, amounts: float64 [B, changes] and [B, amounts], evenly from 0 to 1. offsets: float64 [B, 1 + C],
    of standard deviation 1, for all channels and for each. holes: float64 [B, holes, 4], evenly from 0 to 1:
    centre row, centre column, height, width. displacements: float64 [B, 2, N, N], of standard deviation 1.
    seeds: two for each sample, of what needs a number per pixel or per object.
    """

    config: AugmentConfig
    chances: Tensor
    amounts: Tensor
    offsets: Tensor
    holes: Tensor
    displacements: Tensor
    seeds: tuple[tuple[int, int], ...]

    def happens(self, change: str) -> Tensor:
        """Whether each sample gets a change: bool [B]. The setting `change`_probability says how often."""
        chance: float = getattr(self.config, f"{change}_probability")
        return self.chances[:, _CHANGES.index(change)] < chance

    def chosen(self, change: str) -> Tensor:
        """Indices of the samples that get a change, int64 [up to B]."""
        return self.happens(change).nonzero()[:, 0]

    def amount(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A number per sample, evenly from `low` to `high`: float64 [B]."""
        return low + (high - low) * self.amounts[:, _AMOUNTS.index(name)]

    def factor(self, name: str, bounds: tuple[float, float]) -> Tensor:
        """A number per sample, evenly in the logarithm: half as much is as likely as twice. float64 [B]."""
        return torch.exp(self.amount(name, math.log(bounds[0]), math.log(bounds[1])))


def elastic_points(config: AugmentConfig, patch: int) -> int:
    """Points along each side of a patch that elastic bending displaces; 0 where nothing is bent."""
    if not (config.elastic and config.elastic_probability):
        return 0
    return max(2, config.elastic_points or round(patch / config.elastic_spacing) + 1)


def draw(config: AugmentConfig, patch: int, channels: int, generators: Sequence[torch.Generator]) -> Draws:
    """Draw for samples with `channels` channels, one for each generator (of the CPU).

    How many numbers a sample takes depends on the settings, the patch and the channels, never on the numbers:
    what is drawn after them from the same generator is the same whatever happens to the sample.
    """
    points = elastic_points(config, patch)
    sizes = len(_CHANGES), len(_AMOUNTS), 4 * config.cutout_holes
    even, normal, seeds = [], [], []
    for generator in generators:
        even.append(torch.rand(sum(sizes), generator=generator, dtype=torch.float64))
        first, second = torch.randint(2**62, (2,), generator=generator).tolist()
        seeds.append((first, second))
        normal.append(torch.randn(1 + channels + 2 * points**2, generator=generator, dtype=torch.float64))
    chances, amounts, holes = torch.stack(even).split(sizes, dim=1)
    offsets, displacements = torch.stack(normal).split([1 + channels, 2 * points**2], dim=1)
    return Draws(
        config,
        chances,
        amounts,
        offsets,
        holes.unflatten(1, (-1, 4)),
        displacements.reshape(len(seeds), 2, points, points),
        tuple(seeds),
    )
