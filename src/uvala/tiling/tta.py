"""Test-time augmentation: mirrored and turned views of an image, whose probabilities are averaged.

A tile is seen in every view before the next one, so that nothing as large as the image is held. In each view
it is what it would be as a tile of the whole view. So that all views are pooled in the same squares, an image
whose sides are no multiples is first extended at its right and bottom, in its own frame, by what the network
would repeat there itself. A network that gives a mirrored image mirrored logits then gives the same numbers
in every view.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import Box, Size
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["View", "read_beyond", "views_of"]


@dataclass(frozen=True)
class View:
    """One of the eight ways to lay an image on itself: first transposed, then mirrored.

    down: mirrored top to bottom. across: left to right. Transposed and mirrored once it is a quarter turn.
    """

    transposed: bool = False
    down: bool = False
    across: bool = False

    def size(self, size: Size) -> Size:
        """The size of the view of an image of `size`."""
        return Size(size.width, size.height) if self.transposed else size

    def of(self, image: Tensor) -> Tensor:
        """The view of an image [..., H, W]."""
        turned = image.transpose(-2, -1) if self.transposed else image
        return turned.flip(self._axes) if self._axes else turned

    def back(self, view: Tensor) -> Tensor:
        """The image [..., H, W] of which `view` is the view."""
        mirrored = view.flip(self._axes) if self._axes else view
        return mirrored.transpose(-2, -1) if self.transposed else mirrored

    def box(self, box: Box, size: Size) -> Box:
        """Where a box of the view lies in the image of `size`."""
        top, left, bottom, right = self._mirrored(box, self.size(size))
        return Box(left, top, right, bottom) if self.transposed else Box(top, left, bottom, right)

    def within(self, box: Box, size: Size) -> Box:
        """Where a box of an image of `size` lies in the view."""
        turned = Box(box.left, box.top, box.right, box.bottom) if self.transposed else box
        return self._mirrored(turned, self.size(size))

    def _mirrored(self, box: Box, size: Size) -> Box:
        """A box of the transposed image, mirrored as this view is."""
        (top, left, bottom, right), (height, width) = box, size
        if self.down:
            top, bottom = height - bottom, height - top
        if self.across:
            left, right = width - right, width - left
        return Box(top, left, bottom, right)

    @property
    def _axes(self) -> list[int]:
        return [axis for axis, mirrored in ((-2, self.down), (-1, self.across)) if mirrored]


def views_of(config: TestTimeConfig | None) -> tuple[View, ...]:
    """The views that `config` asks for, the image itself first, and with two of them what they make together.

    Flips alone: 1, 2 or 4 views. Quarter turns alone: 4; with a flip: all 8.
    """
    if config is None:
        return (View(),)
    down, across = config.flip_vertical, config.flip_horizontal
    if not config.quarter_turns:
        choices = [(False, True)[: 1 + on] for on in (down, across)]
        return tuple(View(False, *flips) for flips in product(*choices))
    every = [View(*parts) for parts in product((False, True), repeat=3)]
    # a transposition is a mirroring: an even number of the three is a turn
    return tuple(
        view for view in every if down or across or (view.transposed + view.down + view.across) % 2 == 0
    )


def read_beyond(read: Callable[[Box], Tensor], size: Size) -> Callable[[Box], Tensor]:
    """Reads boxes that reach beyond an image of `size`, where its last row and column are repeated."""

    def extended(box: Box) -> Tensor:
        bottom, right = min(box.bottom, size.height), min(box.right, size.width)
        part = read(Box(box.top, box.left, bottom, right))
        down, across = box.bottom - bottom, box.right - right
        if not down and not across:
            return part
        return F.pad(part[None], (0, across, 0, down), mode="replicate")[0]

    return extended
