"""`data.normalise` as a layer: the same numbers from images in units of their file, in any runtime."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uvala.data.image_facts import MOST_PIXELS, PERCENTILES
from uvala.data.normalisation import Normalisation

__all__ = ["Scaling"]


class Scaling(nn.Module):
    """Images, float32 [B, C, H, W], in units of the file -> most of them in -1..1, as a network sees them.

    NaN becomes -1, infinities the limit. Where each image is scaled by its own levels, these are those of the
    image that is given (of a channel without contrast, those of the settings, if there are any), or `levels`
    [B, C, 2], what becomes -1 and 1, where they are numbers.
    """

    middle: Tensor
    rest: Tensor
    reach: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, settings: Normalisation) -> None:
        super().__init__()
        self.settings = settings
        low, high = (
            torch.tensor(level, dtype=torch.float64)[:, None, None] for level in (settings.low, settings.high)
        )
        if settings.by == "dataset":
            for name, value in zip(("middle", "rest", "reach"), _middle_and_half(low, high), strict=True):
                self.register_buffer(name, value, persistent=False)
        else:
            self.register_buffer("low", low, persistent=False)
            self.register_buffer("high", high, persistent=False)

    def forward(self, image: Tensor, levels: Tensor | None = None) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        scaled = self._scaled(image, levels)
        end = self.settings.limit or float(np.finfo(np.float32).max)
        scaled = torch.where(torch.isnan(scaled), -1.0, scaled).clamp(-end, end)
        return scaled.flip(1) if self.settings.reverse_channels else scaled

    def _scaled(self, image: Tensor, levels: Tensor | None) -> Tensor:
        if self.settings.by == "dataset":
            middle, rest, half = self.middle, self.rest, self.reach
        else:
            own = _percentiles if self.settings.levels == "percentiles" else _deviation
            low, high = own(image)
            if len(self.low):
                contrast = high > low
                low, high = torch.where(contrast, low, self.low), torch.where(contrast, high, self.high)
            if levels is not None:
                given = levels[..., None, None].double()  # [B, C, 2, 1, 1]
                low, high = (
                    torch.where(torch.isnan(given[:, :, place]), level, given[:, :, place])
                    for place, level in enumerate((low, high))
                )
            middle, rest, half = _middle_and_half(low, high)
        # float32 has 24 bits: levels far from zero would lose those that tell pixels apart
        return ((image - middle) - rest) / half


def _middle_and_half(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What becomes 0, what rounding lost of it, and how far from it becomes 1: float32 [..., 1, 1]."""
    middle = (low + high) / 2
    half = torch.where(high > low, (high - low) / 2, 1.0)
    rounded = middle.float()
    return rounded, (middle - rounded.double()).float(), half.float()


def _percentiles(image: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high level of each channel by its percentiles, as `data.normalise`: float64 [B, C, 1, 1]."""
    flat = image.flatten(2)  # [B, C, N]
    count = flat.shape[2]
    step = _larger(count // MOST_PIXELS, 1)
    places = torch.arange((count + step - 1) // step) * step
    sample = flat.index_select(2, places)
    finite = sample.abs() < torch.inf
    # what is no number goes to the end, where no percentile looks
    ordered = torch.where(finite, sample, torch.inf).sort(dim=2).values
    last = (_count(finite).sum(dim=2, keepdim=True) - 1).double()  # [B, C, 1]
    levels = []
    for percentile in PERCENTILES:
        place = last.clamp(min=0) * (percentile / 100)
        below = place.floor()
        above = torch.minimum(below + 1, last.clamp(min=0))
        start, end = (ordered.gather(2, each.long()).double() for each in (below, above))
        level = start + (end - start) * (place - below)
        levels.append(torch.where(last < 0, 0.0, level)[..., None])
    return levels[0], levels[1]


def _deviation(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean less and plus the standard deviation of each channel: float64 [B, C, 1, 1]."""
    finite = image.abs() < torch.inf
    count = _count(finite).double().sum(dim=(2, 3), keepdim=True).clamp(min=1)
    values = torch.where(finite, image, 0.0).double()
    mean = values.sum(dim=(2, 3), keepdim=True) / count
    squares = torch.where(finite, (values - mean).square(), 0.0)
    spread = (squares.sum(dim=(2, 3), keepdim=True) / count).sqrt()
    return mean - spread, mean + spread


def _count(chosen: Tensor) -> Tensor:
    """Ones and zeros to be summed. As floats: OpenVINO 2026.4 sums integers of one channel across a batch."""
    return torch.where(chosen, 1.0, 0.0)


def _larger(length: Any, least: int) -> Any:
    """The larger one; a length is a tensor while torch records calls, so that it stays open in the graph."""
    if isinstance(length, Tensor):
        return torch.maximum(length, torch.tensor(least))
    return torch.sym_max(length, least)
