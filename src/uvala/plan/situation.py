"""What decisions are made from: the data, the time and the machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uvala.arrays import Size
from uvala.data.facts import Facts
from uvala.data.object_facts import ObjectFacts
from uvala.plan.machine import Machine
from uvala.plan.orientation import Orientation, orientation_of

__all__ = ["Situation", "Task", "membrane_of"]

Task = Literal["objects", "membranes", "classes"]

# as the evaluation tells them: membranes are thin, and part many cells that make up most of the image
_CELL_SHARE, _CELLS, _WALL = 0.5, 8, 0.4
# Classes besides the first of which the thinnest counts. Of many it may be a pole of 3 pixels, for whose sake
# ten minutes on CamVid (10 such classes) are not spent at full resolution.
_FEW_CLASSES = 4
_COLOUR = 3  # channels


def membrane_of(facts: Facts) -> int | None:
    """The class that is a thin network between many cells; None if there is no such class of two."""
    objects = facts.objects
    if objects is None or len(facts.class_shares) != 2:
        return None
    for wall, cell in ((0, 1), (1, 0)):
        if (
            0 < objects.thickness[wall] <= _WALL * objects.thickness[cell]
            and objects.pieces[cell] >= _CELLS
            and objects.pieces[cell] > objects.pieces[wall]
            and facts.class_shares[cell] >= _CELL_SHARE
        ):
            return wall
    return None


@dataclass(frozen=True)
class Situation:
    """facts: of the training images. names: of the classes. numbered: whether masks number objects.

    sizes: of each training image. pixels_after: pixels to be predicted after the training. seconds: of the
    budget that are left; None without a budget. budget: the whole of it. ranks: processes that share a batch.
    given: whether the training begins with weights of another one.
    """

    facts: Facts
    names: tuple[str, ...]
    numbered: bool
    sizes: Sequence[Size]
    pixels_after: int
    machine: Machine
    budget: float | None
    seconds: float | None
    ranks: int = 1
    given: bool = False

    @property
    def objects(self) -> ObjectFacts:
        """What the things in the masks are like."""
        assert self.facts.objects is not None, "a plan is made from a fingerprint"
        return self.facts.objects

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def area(self) -> int:
        """Pixels of all training images."""
        return sum(math.prod(size) for size in self.sizes)

    @property
    def orientation(self) -> Orientation:
        """Whether up and down, left and right are told apart."""
        return orientation_of(self.objects.leanings, self.names, photographs=self._photographs)

    @property
    def upright(self) -> str:
        """Why the images are photographs of scenes with an up and a down; empty if nothing shows it."""
        found = orientation_of(self.objects.leanings, self.names)
        return found.reason if self._photographs and found.vertical else ""

    @property
    def _photographs(self) -> bool:
        """Whether the images may be photographs."""
        return self.facts.channels == _COLOUR and self.facts.dtype == "uint8"

    @property
    def task(self) -> Task:
        """What the masks ask for."""
        if self.numbered:
            return "objects"
        return "classes" if self.membrane is None else "membranes"

    @property
    def membrane(self) -> int | None:
        """The class that is a thin network between many cells; None if there is no such class."""
        return None if self.numbered else membrane_of(self.facts)

    @property
    def finest(self) -> float:
        """Size of the smallest things that count, pixels."""
        return self._finest[0]

    @property
    def finest_words(self) -> str:
        """What is so small, and how small, in words."""
        size, what = self._finest
        return f"{what} {size:.0f} pixels wide"

    @property
    def _finest(self) -> tuple[float, str]:
        """Size and words: of objects that a tenth is no wider; of what hangs together, how thick it is."""
        if self.membrane is not None:
            return self.objects.thickness[self.membrane], "the membranes are about"
        if self.classes == 2 and self.objects.width[0] > 0:
            return max(1.0, self.objects.width[0]), "a tenth of the objects is at most"
        thick = sorted(
            (value, name)
            for value, name in zip(self.objects.thickness[1:], self.names[1:], strict=True)
            if value > 0
        )
        if not thick:
            return float(min(self.facts.median)), "nothing was found in the masks, and the images are"
        if len(thick) <= _FEW_CLASSES:
            return thick[0][0], f"'{thick[0][1]}' is about"
        return thick[(len(thick) - 1) // 2][0], f"half of the classes besides '{self.names[0]}' are at most"
