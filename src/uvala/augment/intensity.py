"""Changes of intensity: what another day, another camera or another lamp would have done to the image.

In the order in which an image comes about: optics (blur), sampling (low resolution), light and electronics
(contrast, gain, brightness, colour, gamma), noise; then what hides parts of it. Image by image and in place:
only those that get a change cost time, what one becomes cannot depend on the others of the batch, and an
image of usual size stays in the processor's cache meanwhile. The numbers are known on the CPU, so nothing
waits for the device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.augment.draws import Draws

__all__ = ["bend", "change_intensity", "coarsen", "smooth"]

_SHARPEN_SIGMA = 1.0  # pixels
_REACH = 3  # standard deviations of a Gaussian beyond which its weights are left out


def change_intensity(images: Tensor, draws: Draws) -> Tensor:
    """`images`, float [B, C, H, W], changed in place as `draws` says.

    Normalised so that black is about -1 and white about 1, or to mean 0 and standard deviation 1.
    """
    for change, apply in _CHANGES.items():
        for sample in draws.chosen(change).tolist():
            apply(images[sample], draws, sample)
    return images


def _blur(image: Tensor, draws: Draws, sample: int) -> None:
    image.copy_(smooth(image, draws.factor("blur", draws.config.blur)[sample].item()))


def _sharpen(image: Tensor, draws: Draws, sample: int) -> None:
    """Unsharp masking: what a blur takes away is added once more, in part."""
    amount = draws.amount("sharpen", 0, draws.config.sharpen)[sample].item()
    image.add_(image - smooth(image, _SHARPEN_SIGMA), alpha=amount)


def _low_resolution(image: Tensor, draws: Draws, sample: int) -> None:
    coarsen(image, draws.factor("low_resolution", draws.config.low_resolution)[sample].item())


def _contrast(image: Tensor, draws: Draws, sample: int) -> None:
    factor = draws.factor("contrast", draws.config.contrast)[sample].item()
    mean = image.mean(dim=(1, 2), keepdim=True)
    image.mul_(factor).add_(mean, alpha=1 - factor)


def _gain(image: Tensor, draws: Draws, sample: int) -> None:
    image.mul_(draws.factor("gain", draws.config.gain)[sample].item())


def _brightness(image: Tensor, draws: Draws, sample: int) -> None:
    image.add_(draws.config.brightness * draws.offsets[sample, 0].item())


def _colour(image: Tensor, draws: Draws, sample: int) -> None:
    if len(image) > 1:  # an offset of a single channel would be more brightness
        for channel, offset in zip(image, draws.offsets[sample, 1:].tolist(), strict=True):
            channel.add_(draws.config.colour * offset)


def _gamma(image: Tensor, draws: Draws, sample: int) -> None:
    inverted = draws.amount("gamma_inverted")[sample].item() < draws.config.gamma_inverted
    bend(image, draws.factor("gamma", draws.config.gamma)[sample].item(), inverted=inverted)


def _noise(image: Tensor, draws: Draws, sample: int) -> None:
    # a number per pixel is drawn where it is needed, from a seed that the sample's generator gave
    there = torch.Generator(image.device).manual_seed(draws.seeds[sample][0])
    noise = torch.randn(image.shape, generator=there, device=image.device, dtype=image.dtype)
    image.add_(noise, alpha=draws.amount("noise", 0, draws.config.noise)[sample].item())


def _cutout(image: Tensor, draws: Draws, sample: int) -> None:
    """Rectangles behind the mean of each channel (DeVries and Taylor 2017, arXiv:1708.04552).

    The truth stays: what is hidden has to be found from what is around it.
    """
    mean = image.mean(dim=(1, 2), keepdim=True)
    for row, column, tall, wide in draws.holes[sample].tolist():
        rows = _interval(row, tall * draws.config.cutout, image.shape[1])
        columns = _interval(column, wide * draws.config.cutout, image.shape[2])
        image[:, rows, columns] = mean


_CHANGES = {
    "blur": _blur,
    "sharpen": _sharpen,
    "low_resolution": _low_resolution,
    "contrast": _contrast,
    "gain": _gain,
    "brightness": _brightness,
    "colour": _colour,
    "gamma": _gamma,
    "noise": _noise,
    "cutout": _cutout,
}
"""By the name in `AugmentConfig`, in the order in which they are applied."""


def smooth(image: Tensor, sigma: float) -> Tensor:
    """An image, float [C, H, W], through a Gaussian of `sigma` pixels, cut off at 3 sigma, mirrored."""
    for axis in (1, 2):
        length = image.shape[axis]
        radius = min(math.ceil(_REACH * sigma), length - 1)
        weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(radius + 1)]
        total = 2 * sum(weights) - 1
        padded = F.pad(image, (0, 0, radius, radius) if axis == 1 else (radius, radius), mode="reflect")
        # sums of shifted copies take a third of the time of a convolution here
        image = image * (weights[0] / total)
        for offset in range(1, radius + 1):
            for start in (radius - offset, radius + offset):
                image.add_(padded.narrow(axis, start, length), alpha=weights[offset] / total)
    return image


def coarsen(image: Tensor, left: float) -> None:
    """An image, float [C, H, W], in place: as if it had only the share `left` of its rows and columns."""
    size = [max(1, round(length * left)) for length in image.shape[1:]]
    small = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)
    image.copy_(F.interpolate(small, size=image.shape[1:], mode="bilinear")[0])


def bend(image: Tensor, gamma: float, *, inverted: bool) -> None:
    """Gamma between the darkest and the brightest value of each channel, in place: float [C, H, W].

    inverted: from the bright end. Mean and standard deviation of each channel are restored: they are the
    business of brightness and contrast, and a bend means the same whatever the normalisation.
    """
    # on a CPU, torch.aminmax and torch.std_mean would take 25 and 50 times as long, and pow twice
    low, high = image.amin(dim=(1, 2), keepdim=True), image.amax(dim=(1, 2), keepdim=True)
    start, end = (high, low) if inverted else (low, high)
    extent = torch.where(high > low, end - start, 1.0)  # a constant channel stays what it is
    image.sub_(start).div_(extent)
    mean, spread = _centre(image)
    image.add_(mean).clamp_(min=0).log2_().mul_(gamma).exp2_()  # 0 goes to minus infinity and back
    _, bent_spread = _centre(image)
    scale = extent * spread / torch.where(bent_spread > 0, bent_spread, 1.0)
    image.mul_(scale).add_(start + extent * mean)


def _centre(image: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract its mean from each channel in place; the means and the roots of the sums of squares left."""
    mean = image.mean(dim=(1, 2), keepdim=True)
    return mean, torch.linalg.vector_norm(image.sub_(mean), dim=(1, 2), keepdim=True)


def _interval(centre: float, share: float, length: int) -> slice:
    """The part of 0..length around a centre, both as shares of the length; cut off at the ends."""
    return slice(
        max(0, round((centre - share / 2) * length)), min(length, round((centre + share / 2) * length))
    )
