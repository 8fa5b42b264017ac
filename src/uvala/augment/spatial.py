"""All geometry in one resampling: flips, quarter turns, rotation, scale, shear and elastic bending at once.

One interpolation instead of five keeps the image sharp; the mask goes through the same coordinates by nearest
neighbour, so no class can appear that was not there.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig

__all__ = ["identity_grid", "random_grid", "warp", "window_margin"]


def window_margin(config: AugmentConfig, patch: int) -> int:
    """Pixels around a patch that its changes may reach for, on each side.

    Bounded at half a patch: what lies further outside (a rotated corner of a shrunk patch) is mirrored
    instead.
    """
    turned = math.sqrt(2) if config.rotation and config.rotation_probability else 1.0
    shrunk = 1 / config.scale[0] if config.scale_probability else 1.0
    reach = patch / 2 * (turned * max(1.0, shrunk) * (1 + config.shear) - 1)
    if config.elastic_probability:
        reach += 2 * config.elastic
    return min(math.ceil(reach), patch // 2)


def identity_grid(batch: int, patch: int, device: torch.device | None = None) -> Tensor:
    """Coordinates [B, patch, patch, 2] (x, y) in pixels relative to the centre of the patch."""
    axis = torch.arange(patch, dtype=torch.float32, device=device) - (patch - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], dim=-1).expand(batch, patch, patch, 2)


def random_grid(
    config: AugmentConfig,
    batch: int,
    patch: int,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> Tensor:
    """Coordinates [B, patch, patch, 2] (x, y) from which each pixel is read, from the patch's centre.

    generator: one of the CPU, from which a few numbers per patch are drawn; the grid is computed on `device`.
    """

    def happens(probability: float) -> Tensor:
        return (torch.rand(batch, generator=generator) < probability).float()

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator)

    flip_x = 1 - 2 * happens(0.5) * config.flip_horizontal
    flip_y = 1 - 2 * happens(0.5) * config.flip_vertical
    quarter = torch.randint(0, 4, (batch,), generator=generator) * config.quarter_turns * (math.pi / 2)
    angle = (
        between(-config.rotation, config.rotation) * (math.pi / 180) * happens(config.rotation_probability)
    )
    angle = angle + quarter
    magnified = happens(config.scale_probability)
    # uniform in the logarithm: half as large is as likely as twice as large
    zoom = torch.exp(magnified * between(math.log(config.scale[0]), math.log(config.scale[1])))
    shear = between(-config.shear, config.shear)

    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    matrix = torch.stack(
        [
            torch.stack([cos * flip_x, (shear * cos - sin) * flip_y], dim=-1),
            torch.stack([sin * flip_x, (shear * sin + cos) * flip_y], dim=-1),
        ],
        dim=-2,
    )  # [B, 2, 2]
    grid = identity_grid(batch, patch, device).reshape(batch, -1, 2) @ matrix.transpose(1, 2).to(device)
    grid = grid.reshape(batch, patch, patch, 2)
    if config.elastic and config.elastic_probability:
        bent = happens(config.elastic_probability).view(-1, 1, 1, 1).to(device)
        grid = grid + _elastic(config, batch, patch, generator, device) * bent
    return grid


def warp(windows: Tensor, masks: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Image and mask read at `grid`: float [B, C, P, P] and uint8 [B, P, P].

    windows: float [B, C, W, W]. masks: uint8 [B, W, W]. grid: float [B, P, P, 2] (x, y) in pixels relative
    to the window's centre. Outside the window the image is mirrored and the mask is IGNORE.
    """
    side = windows.shape[-1]
    scaled = grid * (2 / side)  # align_corners=False: -1 and 1 are the outer edges of the outermost pixels
    image = functional.grid_sample(
        windows, scaled, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    # shifted so that the zeros which grid_sample puts outside mean IGNORE and not class 0
    shifted = (masks.to(image.dtype) - IGNORE).unsqueeze(1)
    mask = functional.grid_sample(shifted, scaled, mode="nearest", padding_mode="zeros", align_corners=False)
    return image, (mask[:, 0] + IGNORE).round().to(torch.uint8)


def _elastic(
    config: AugmentConfig, batch: int, patch: int, generator: torch.Generator, device: torch.device | None
) -> Tensor:
    """Smooth random displacements in pixels [B, patch, patch, 2]: Gaussian on a coarse grid, bicubic between.

    The grid of the U-Net paper (Ronneberger et al. 2015, section 3.1), spaced by pixels, not 3x3 per tile.
    """
    points = max(2, round(patch / config.elastic_spacing) + 1)
    coarse = torch.randn(batch, 2, points, points, generator=generator).to(device) * config.elastic
    fine = functional.interpolate(coarse, size=(patch, patch), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)
