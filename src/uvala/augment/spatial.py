"""All geometry in one resampling: flips, quarter turns, rotation, scale, shear and elastic bending at once.

One interpolation instead of five keeps the image sharp; the mask goes through the same coordinates by nearest
neighbour, so no class can appear that was not there. Where the settings ask for nothing but flips and quarter
turns, nothing is interpolated at all: a patch is a copy.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig
from uvala.augment.draws import Draws, elastic_points

__all__ = ["coordinates", "interpolates", "moved", "warp", "window_margin"]


def window_margin(config: AugmentConfig, patch: int) -> int:
    """Pixels around a patch that its changes may reach for, on each side.

    Bounded at half a patch: what lies further outside (a rotated corner of a shrunk patch) is mirrored
    instead.
    """
    turned = math.sqrt(2) if config.rotation and config.rotation_probability else 1.0
    shrunk = 1 / config.scale[0] if config.scale_probability else 1.0
    sheared = 1 + (config.shear if config.shear_probability else 0.0)
    reach = patch / 2 * (turned * max(1.0, shrunk) * sheared - 1)
    if elastic_points(config, patch):
        reach += 2 * config.elastic
    return min(math.ceil(reach), patch // 2)


def interpolates(config: AugmentConfig, patch: int) -> bool:
    """Whether any patch may be read from between the pixels: whether there is more than flips and turns."""
    free = config.rotation and config.rotation_probability
    zoomed = config.scale != (1.0, 1.0) and config.scale_probability
    sheared = config.shear and config.shear_probability
    return bool(free or zoomed or sheared or elastic_points(config, patch))


def moved(
    windows: Tensor, masks: Tensor, maps: Tensor, draws: Draws, patch: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Patches out of their windows: float [B, C, P, P], uint8 [B, P, P] and float [B, M, P, P].

    windows: float [B, C, S, S]. masks: uint8 [B, S, S]. maps: float [B, M, S, S]. S - P is even. Outside the
    window images and maps are mirrored and masks are IGNORE.
    """
    if interpolates(draws.config, patch):
        return warp(windows, masks, maps, coordinates(draws, patch, windows.shape[-1], windows.device))
    return _turned(windows, draws, patch), _turned(masks, draws, patch), _turned(maps, draws, patch)


def coordinates(draws: Draws, patch: int, side: int, device: torch.device | None = None) -> Tensor:
    """Where in its window of side S each pixel is read: float32 [B, 2, P, P], (x, y) in pixels.

    Displacements are those of the U-Net paper (Ronneberger et al. 2015, section 3.1): random on a coarse
    grid, bicubic in between.
    """
    points = draws.displacements.shape[-1]
    basis = _basis(points, patch)  # [P, N + 2]
    # As both the bicubic interpolation of a grid and an affine map are sums over products of a function of
    # the row and one of the column, all geometry is one small matrix per axis between two bases.
    inner = torch.zeros(len(draws.seeds), 2, points + 2, points + 2, dtype=torch.float64)
    bent = draws.happens("elastic") * draws.config.elastic
    inner[:, :, :points, :points] = draws.displacements * bent.view(-1, 1, 1, 1)
    matrix = _matrix(draws)
    inner[:, :, points, points] = (side - 1) / 2
    inner[:, :, points, points + 1] = matrix[:, :, 0]
    inner[:, :, points + 1, points] = matrix[:, :, 1]
    across = (inner @ basis.T).float().to(device)  # [B, 2, N + 2, P]
    down = basis.float().to(device)
    read = torch.empty(len(across), 2, patch, patch, device=device)
    # sample by sample: products of a whole batch may round otherwise, and a class would jump by a pixel
    for sample in range(len(across)):
        for axis in range(2):
            torch.mm(down, across[sample, axis], out=read[sample, axis])
    return read


def warp(windows: Tensor, masks: Tensor, maps: Tensor, read: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images, masks and maps at the coordinates `read`, float [B, 2, P, P], (x, y) in pixels of the window.

    Shapes as in `moved`. Images and maps bilinearly, mirrored outside; masks from the nearest pixel, IGNORE
    outside.
    """
    targets = _nearest(masks, read)
    # align_corners=False: -1 and 1 are the outer edges of the outermost pixels
    side = windows.shape[-1]
    grid = (read * (2 / side)).add_(1 / side - 1).permute(0, 2, 3, 1)
    return _bilinear(windows, grid), targets, _bilinear(maps, grid)


def _bilinear(images: Tensor, grid: Tensor) -> Tensor:
    if not images.shape[1]:
        return images.new_empty(len(images), 0, *grid.shape[1:3])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _nearest(masks: Tensor, read: Tensor) -> Tensor:
    """The class at the nearest pixel: uint8 [B, P, P]. Picked by index, for grid_sample knows no integers."""
    side = masks.shape[-1]
    targets = masks.new_empty(len(masks), *read.shape[2:])
    framed = masks.new_full((side + 2, side + 2), IGNORE)  # what lies outside falls on the frame
    # sample by sample, as a whole batch of indices would not stay in the processor's cache
    for sample, mask in enumerate(masks):
        framed[1:-1, 1:-1] = mask
        x, y = read[sample].round().clamp_(-1, side).int()
        index = torch.add(x, y, alpha=side + 2).add_(side + 3)
        targets[sample] = framed.view(-1).index_select(0, index.view(-1)).view_as(index)
    return targets


def _matrix(draws: Draws) -> Tensor:
    """From the place in the patch to that in the window, both from the centre: float64 [B, 2, 2], (x, y)."""
    config = draws.config
    angle = draws.amount("rotation", -config.rotation, config.rotation) * draws.happens("rotation")
    angle = torch.deg2rad(angle + 90.0 * _quarters(draws))
    zoom = torch.where(draws.happens("scale"), draws.factor("scale", config.scale), 1.0)
    shear = draws.amount("shear", -config.shear, config.shear) * draws.happens("shear")
    mirror_x, mirror_y = (1.0 - 2.0 * mirrored for mirrored in _mirrored(draws))
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = [
        torch.stack([cos * mirror_x, (shear * cos - sin) * mirror_y], dim=-1),
        torch.stack([sin * mirror_x, (shear * sin + cos) * mirror_y], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def _quarters(draws: Draws) -> Tensor:
    """Quarter turns of each sample, 0 to 3: int64 [B]."""
    return draws.amount("quarter_turns", 0, 4 * draws.config.quarter_turns).long()


def _mirrored(draws: Draws) -> tuple[Tensor, Tensor]:
    """Whether each sample is mirrored left to right, and top to bottom: bool [B] each."""
    config = draws.config
    return (
        (draws.amount("flip_horizontal") < 0.5) & config.flip_horizontal,
        (draws.amount("flip_vertical") < 0.5) & config.flip_vertical,
    )


def _turned(windows: Tensor, draws: Draws, patch: int) -> Tensor:
    """The middles of windows [B, ..., S, S], flipped and turned: [B, ..., P, P]."""
    margin = (windows.shape[-1] - patch) // 2
    middle = windows[..., margin : margin + patch, margin : margin + patch]
    across, down = (mirrored.tolist() for mirrored in _mirrored(draws))
    patches = []
    for each, quarters, x, y in zip(middle, _quarters(draws).tolist(), across, down, strict=True):
        axes = [-1] * x + [-2] * y
        patches.append(torch.rot90(each, quarters, (-2, -1)).flip(axes))
    return torch.stack(patches)


@lru_cache(maxsize=16)
def _basis(points: int, patch: int) -> Tensor:
    """Functions of the row or column, float64 [P, N + 2]: bicubic weights of N points, 1, the place."""
    place = torch.arange(patch, dtype=torch.float64) - (patch - 1) / 2
    affine = torch.stack([torch.ones_like(place), place], dim=1)
    if not points:
        return affine
    each_alone = torch.eye(points, dtype=torch.float64)[None, None]
    weights = F.interpolate(each_alone, size=(patch, points), mode="bicubic", align_corners=True)
    return torch.cat([weights[0, 0], affine], dim=1)
