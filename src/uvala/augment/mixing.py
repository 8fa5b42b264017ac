"""Parts of one sample in another: rectangles (CutMix) and whole objects (copy-paste).

Samples mix in pairs: slots 0 and 1 of a step, 2 and 3, and so on. What a sample becomes is then a function of
two generators, its own and its neighbour's, and as long as no pair is torn apart a step is the same on one
process as on several. A training therefore mixes even numbers alone (`require_pairs` refuses others); `mix`
leaves the last of an odd number, which has no neighbour, as it is.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from uvala.arrays import IGNORE, ClassMap
from uvala.augment.config import AugmentConfig
from uvala.augment.draws import Draws
from uvala.errors import ConfigError
from uvala.instances.components import connected_components

__all__ = ["mix", "mixes", "pasted_objects", "require_pairs"]

_SQUARE = np.ones((3, 3), bool)
_TAKEN = 0.5  # share of the objects that fit which are pasted


def mixes(config: AugmentConfig) -> bool:
    """Whether any sample may get a part of another one."""
    return bool(config.cutmix_probability or config.copy_paste_probability)


def require_pairs(config: AugmentConfig, slots: range) -> None:
    """ConfigError where samples are to be mixed and `slots`, those augmented together, are not whole pairs.

    So it is for any odd number, also on a single process: its last sample would never be mixed.
    """
    if mixes(config) and (slots.start % 2 or len(slots) % 2):
        raise ConfigError(
            found=f"patches {slots.start} to {slots.stop - 1} of a step at a time, which mix in pairs",
            expected="an even number of patches at a time",
            fix="choose a patches.batch of which each process gets an even number, or set "
            "augment.cutmix_probability and augment.copy_paste_probability to 0",
        )


def mix(images: Tensor, targets: Tensor, maps: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Each sample with a part of its neighbour, where `draws` says so.

    images: float [B, C, P, P]. targets: uint8 [B, P, P]. maps: float [B, M, P, P]. All three take the same
    pixels; the last of an odd B stays as it is. Objects are looked for on the CPU; there is a copy from the
    device where they are pasted.
    """
    cut, paste = (draws.happens(change).tolist() for change in ("cutmix", "copy_paste"))
    parts: dict[int, Tensor] = {}
    for sample in range(len(images) // 2 * 2):
        if cut[sample]:
            parts[sample] = _rectangle(draws, sample, targets.shape[-1])
        elif paste[sample]:
            own, other = (targets[slot].cpu().numpy() for slot in (sample, sample ^ 1))
            rng = np.random.default_rng(draws.seeds[sample][1])
            largest = draws.config.copy_paste_largest * other.size
            parts[sample] = torch.from_numpy(pasted_objects(other, own, largest, rng))
    if not parts:
        return images, targets, maps
    before = images.clone(), targets.clone(), maps.clone()
    for sample, part in parts.items():
        here = part.to(images.device)
        for mixed, unmixed in zip((images, targets, maps), before, strict=True):
            mixed[sample] = torch.where(here, unmixed[sample ^ 1], mixed[sample])
    return images, targets, maps


def pasted_objects(
    theirs: ClassMap, own: ClassMap, largest: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The pixels of `theirs` that are put over `own`, class maps [P, P] both: bool [P, P].

    An object is what hangs together of all classes but 0. Half of those are taken that have at most `largest`
    pixels, are not cut off by an ignored region, and would lie on background (class 0) of `own` without
    touching anything: so each is whole, nothing is half covered, and outlines, distances and classes stay
    true. Weight maps lack the gaps between these objects and those of `own`: they were made of each image by
    itself. Source: Ghiasi et al. (2021), "Simple copy-paste", arXiv:2012.07177, which also covers objects.
    """
    labels = connected_components((theirs != 0) & (theirs != IGNORE), connectivity=2)
    sizes = np.bincount(labels.ravel())
    unfit = ndimage.binary_dilation(own != 0, _SQUARE) | ndimage.binary_dilation(theirs == IGNORE, _SQUARE)
    fits = (sizes <= largest) & (np.bincount(labels[unfit], minlength=len(sizes)) == 0)
    fits &= rng.random(len(sizes)) < _TAKEN
    fits[0] = False
    return fits[labels]


def _rectangle(draws: Draws, sample: int, side: int) -> Tensor:
    """A rectangle of a random share of the patch (Yun et al. 2019, arXiv:1905.04899): bool [P, P]."""
    area, row, column = (draws.amount(f"cutmix_{name}")[sample].item() for name in ("area", "row", "column"))
    half = math.sqrt(area) * side / 2
    place = torch.arange(side) + 0.5
    return ((place - row * side).abs() < half)[:, None] & ((place - column * side).abs() < half)
