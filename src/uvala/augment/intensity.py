"""Changes of intensity: what another day, another camera or another lamp would have done to the image."""

import torch
from torch import Tensor
from torch.nn import functional

from uvala.augment.config import AugmentConfig

__all__ = ["random_intensity"]


def random_intensity(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Images [B, C, H, W] with random contrast, gamma, brightness, colour, blur and noise.

    images: float, normalised so that black is about -1 and white about 1. `generator` is one of the CPU.
    """
    batch, channels = images.shape[:2]
    device = images.device

    def happens(probability: float) -> Tensor:
        return (torch.rand(batch, 1, 1, 1, generator=generator) < probability).to(device)

    def normal(spread: float, width: int = 1) -> Tensor:
        return (torch.randn(batch, width, 1, 1, generator=generator) * spread).to(device)

    centre = images.mean(dim=(2, 3), keepdim=True)
    changed = (images - centre) * torch.exp2(normal(config.contrast)) + centre
    unit = ((changed + 1) / 2).clamp(0, 1)
    # gamma bends what lies between black and white; what lies beyond keeps its distance to them
    bent = unit.clamp_min(1e-4) ** torch.exp2(normal(config.gamma))
    changed = changed + 2 * (bent - unit)
    changed = changed + normal(config.brightness)
    if channels > 1:
        changed = changed + normal(config.colour, channels)
    images = torch.where(happens(config.intensity_probability), changed, images)

    if config.blur and config.blur_probability:
        blurred = _blur(images, torch.rand(batch, generator=generator).to(device) * config.blur)
        images = torch.where(happens(config.blur_probability), blurred, images)
    if config.noise and config.noise_probability:
        spread = torch.rand(batch, 1, 1, 1, generator=generator).to(device) * config.noise
        spread = spread * happens(config.noise_probability)
        # a number per pixel is drawn where it is needed, from a seed that the CPU's generator gives
        there = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
        images = images + torch.randn(images.shape, generator=there, device=device) * spread
    return images


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Each image [C, H, W] of the batch through a Gaussian of its own sigma [B] (pixels)."""
    batch, channels, height, width = images.shape
    radius = 3
    if min(height, width) <= radius:
        return images
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-(offsets**2) / (2 * sigma.clamp_min(0.1).unsqueeze(1) ** 2))
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)  # [B*C, 7]
    flat = images.reshape(1, batch * channels, height, width)
    flat = functional.pad(flat, (radius,) * 4, mode="reflect")
    flat = functional.conv2d(flat, weights[:, None, :, None], groups=batch * channels)
    flat = functional.conv2d(flat, weights[:, None, None, :], groups=batch * channels)
    return flat.reshape(batch, channels, height, width)
