"""Drawn cells: nuclei of many shapes, alone and pressed together, and which pixel belongs to which.

Ours. An outline is an ellipse waved by a few harmonics; where two cells meet, a pixel belongs to the one
whose centre is nearer, measured in that cell's own radius. Lengths are in pixels, light in units of a typical
cell's brightness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import LabelMap

__all__ = ["Cell", "Field", "lone_cell", "outline", "populate", "renumbered"]

Field = NDArray[np.float32]
"""A quantity per pixel: [H, W]."""

SMALLEST = 24  # pixels; what the border or a neighbour leaves of a cell below this, nobody would annotate
HARMONICS = np.arange(2, 6)  # the first would only move the outline, those above 5 would make it ragged


@dataclass(frozen=True)
class Cell:
    """One nucleus: where it lies, its outline, and how it shines."""

    y: float
    x: float
    radius: float  # of the circle of about equal area
    elongation: float  # long axis over short axis
    angle: float
    waves: tuple[complex, ...]  # of each harmonic, height (share of the radius) and phase
    brightness: float
    slope: tuple[float, float]  # relative change of brightness per pixel, down and to the right
    depth: int  # steps out of focus: 0, 1 or 2
    grain: float  # contrast of the chromatin
    nucleoli: int

    def distance(self, rows: Field, columns: Field) -> Field:
        """0 in the centre and 1 on the outline, linear along each ray: [H, 1] and [1, W] -> [H, W]."""
        turned = (columns - self.x + 1j * (rows - self.y)) * np.exp(-1j * self.angle)
        round_again = (turned.real / self.elongation + 1j * turned.imag).astype(np.complex64)
        length = np.abs(round_again) + np.float32(1e-6)
        direction = round_again / length
        outline, power = np.ones_like(length), direction
        for wave in self.waves:
            power = power * direction
            outline += (power * np.complex64(wave)).real
        return length * np.float32(self.elongation**0.5 / self.radius) / outline


def populate(rng: Generator, size: int) -> list[Cell]:
    """Cells on a glass of `size` x `size`: few or many, loners and clusters, some cut by the border."""
    radius = rng.uniform(9.5, 16.5)
    coverage = np.exp(rng.uniform(np.log(0.08), np.log(0.55)))
    wanted = max(1, round(coverage * size**2 / (np.pi * radius**2)))
    company = rng.uniform(0.2, 0.85)  # probability that a cell settles beside another
    faint = rng.uniform(0.05, 0.25)  # probability that a cell took little stain
    cells = [_cell(rng, rng.uniform(0.3, 0.7, 2) * size, radius, faint)]
    taken = np.empty((wanted, 3))  # y, x, radius of each
    taken[0] = cells[0].y, cells[0].x, cells[0].radius
    for _ in range(8 * wanted):  # enough for all but the most crowded, which then stay a little emptier
        if len(cells) == wanted:
            break
        beside = cells[rng.integers(len(cells))] if rng.random() < company else None
        cell = _cell(rng, rng.uniform(-0.03, 1.03, 2) * size, radius, faint, beside)
        others = taken[: len(cells)]
        apart = np.hypot(others[:, 0] - cell.y, others[:, 1] - cell.x) / (others[:, 2] + cell.radius)
        # loners keep clear of everybody; neighbours are pressed against each other, not into each other
        if apart.min() > (1.25 if beside is None else 0.75):
            taken[len(cells)] = cell.y, cell.x, cell.radius
            cells.append(cell)
    return cells


def lone_cell(rng: Generator, size: int, radius: float) -> Cell:
    """A cell anywhere in the image."""
    return _cell(rng, rng.uniform(0, size, 2), radius, faint=0)


def outline(cells: Sequence[Cell], size: int) -> tuple[LabelMap, Field]:
    """Labels int32 [size, size], cells[i] as i + 1, and each pixel's distance from its cell's centre, 0 to 1.

    Every label is one 4-connected piece without holes; what is left too small of a cell is background.
    """
    labels = np.zeros((size, size), np.int32)
    nearest = np.ones((size, size), np.float32)
    axis = np.arange(size, dtype=np.float32)
    for number, cell in enumerate(cells, start=1):
        reach = 1.5 * cell.radius * cell.elongation**0.5  # the waves stay below a third of it
        rows, columns = _around(cell.y, reach), _around(cell.x, reach)
        distance = cell.distance(axis[rows, None], axis[None, columns])
        closer = distance < nearest[rows, columns]
        nearest[rows, columns][closer] = distance[closer]
        labels[rows, columns][closer] = number
    _drop_fragments(labels)
    _fill_holes(labels)
    return labels, nearest


def renumbered(labels: LabelMap) -> LabelMap:
    """The same objects with the numbers 1..n, none left out."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    return (np.cumsum(present) * present).astype(np.int32)[labels]


def _cell(
    rng: Generator, place: NDArray[np.float64], radius: float, faint: float, beside: Cell | None = None
) -> Cell:
    dividing = rng.random() < 0.04  # the chromosomes of a dividing cell are a bright, narrow, even plate
    radius *= np.exp(rng.normal(0, 0.17)) * (0.75 if dividing else 1.0)
    if beside is not None:
        turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.82, 0.98) * (radius + beside.radius)
        place = np.array([beside.y + reach * np.sin(turn), beside.x + reach * np.cos(turn)])
    waves = (rng.normal(size=4) + 1j * rng.normal(size=4)) * 0.11 / HARMONICS
    brightness = np.exp(rng.normal(0, 0.28)) * (rng.uniform(0.3, 0.5) if rng.random() < faint else 1.0)
    return Cell(
        y=float(place[0]),
        x=float(place[1]),
        radius=float(radius),
        elongation=rng.uniform(1.8, 2.4) if dividing else 1 + rng.gamma(2.0, 0.14),
        angle=rng.uniform(0, np.pi),
        waves=tuple(waves / max(1.0, np.abs(waves).sum() / 0.3)),
        brightness=1.9 if dividing else float(brightness),
        slope=(rng.normal(0, 0.2 / radius), rng.normal(0, 0.2 / radius)),
        depth=int(rng.choice(3, p=[0.65, 0.25, 0.1])),
        grain=0.0 if dividing else rng.uniform(0.08, 0.22),
        nucleoli=0 if dividing else int(rng.integers(1, 6)),
    )


def _around(centre: float, reach: float) -> slice:
    return slice(max(0, int(centre - reach)), max(0, int(centre + reach) + 2))


def _drop_fragments(labels: LabelMap) -> None:
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        own = labels[box] == number
        pieces, count = ndimage.label(own)
        areas = np.bincount(pieces.ravel(), minlength=2)[1:]
        if areas.max() < SMALLEST:
            labels[box][own] = 0
        elif count > 1:  # a neighbour cut the cell in two
            labels[box][own & (pieces != areas.argmax() + 1)] = 0


def _fill_holes(labels: LabelMap) -> None:
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            labels[box][ndimage.binary_fill_holes(labels[box] == number)] = number
