"""A drawn fluorescence microscope: how cells shine, what else is in the picture, what the camera makes of it.

Ours, in the order of events: `emission` of the cells, `clutter` that nobody asked for, `expose`. The optics
blur after the labels are drawn, so labels stay exact where the picture is soft. Light is in units of a
typical cell's brightness.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.interpolate import BSpline

from uvala.arrays import LabelMap
from uvala.data.cells import Cell, Field, lone_cell

__all__ = ["clutter", "emission", "expose"]


def emission(rng: Generator, cells: Sequence[Cell], labels: LabelMap, distance: Field) -> Field:
    """The cells' light behind the optics: each with its gradient, chromatin, nucleoli, focus and glow."""

    def of_cell(values: Iterable[float]) -> Field:
        return np.array([0, *values], np.float32)[labels]

    size = len(labels)
    axis = np.arange(size, dtype=np.float32)
    down, right = axis[:, None] - of_cell(cell.y for cell in cells), axis - of_cell(cell.x for cell in cells)
    slope = of_cell(cell.slope[0] for cell in cells) * down + of_cell(cell.slope[1] for cell in cells) * right
    thickness = 0.45 + 0.55 * np.sqrt(np.clip(1 - distance**4, 0, 1))
    rim = 1 + 0.12 * np.exp(-(((distance - 0.85) / 0.13) ** 2))  # chromatin is denser along the envelope
    chromatin = np.exp(
        of_cell(cell.grain for cell in cells) * (_grain(rng, size) + 0.8 * _drift(rng, size, 7))
    )
    light = of_cell(cell.brightness for cell in cells) * thickness * rim * chromatin
    light *= np.clip(1 + slope, 0.4, 1.6) * _nucleoli(rng, cells, size)
    light[_contacts(labels)] *= rng.uniform(0.45, 0.8)
    return _focused(rng, light, of_cell(cell.depth for cell in cells))


def clutter(rng: Generator, size: int) -> Field:
    """Light that belongs to no labelled cell: ghosts far out of focus, specks, fibres and haze."""
    area = (size / 256) ** 2
    haze = 0.3 * _drift(rng, size, size / 2.5) + 0.15 * _drift(rng, size, size / 8)
    light = np.float32(rng.uniform(0.05, 0.35)) * np.exp(1.5 * haze)
    light += _ghosts(rng, size, count=rng.poisson(rng.uniform(0, 5) * area))
    specks = rng.poisson(rng.uniform(0, 12) * area)
    for sigma in (0.8, 1.5):
        light += _dots(size, rng.uniform(0, size, (specks, 2)), rng.gamma(1.2, 0.7, specks), sigma)
    fibres = [_fibre(rng, size) for _ in range(rng.poisson(rng.uniform(0, 1.1) * area))]
    heights = [np.full(len(fibre), rng.uniform(0.05, 0.2)) for fibre in fibres]
    if fibres:
        light += _dots(size, np.concatenate(fibres), np.concatenate(heights), sigma=1.1)
    return light


def expose(rng: Generator, light: Field) -> NDArray[np.uint8]:
    """The picture: uneven illumination, shot and read noise, a gain that uses more or less of 8 bits."""
    height, width = light.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    (centre_y, centre_x), (tilt_y, tilt_x) = rng.uniform(-0.4, 0.4, 2), rng.normal(0, 0.25, 2)
    vignette = 1 - rng.uniform(0.1, 0.4) * ((y - centre_y) ** 2 + (x - centre_x) ** 2)
    lamp = np.clip(vignette * (1 + tilt_y * y + tilt_x * x), 0.2, None)
    photons = np.exp(rng.uniform(np.log(40), np.log(200)))  # of a typical cell, per pixel
    read_noise = rng.normal(0, rng.uniform(1.5, 4.0), light.shape)
    electrons = rng.poisson(np.clip(light * lamp, 0, None) * photons) + read_noise
    offset = rng.uniform(2, 14)
    brightest = np.percentile(electrons, 99.7)
    grey = offset + (255 - offset) * rng.uniform(0.5, 1.15) * electrons / brightest
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _grain(rng: Generator, size: int) -> Field:
    """Noise of about the size of a chromatin clump, variance 1."""
    white = rng.standard_normal((size, size), np.float32)
    sigma = 1.5
    return ndimage.gaussian_filter(white, sigma) * np.float32(2 * sigma * np.pi**0.5)


def _drift(rng: Generator, size: int, scale: float) -> Field:
    """Smooth noise with hills of about `scale` pixels, variance about 1/4."""
    knots = int(np.ceil(size / scale)) + 4
    return _stretched(rng.standard_normal((knots, knots), np.float32), np.arange(size) / scale)


def _stretched(grid: Field, places: NDArray[np.float64]) -> Field:
    """A cubic B-spline surface over `grid`, at all pairs of `places`; the grid's second point is place 0."""
    # sparse products, not a matrix product: BLAS may add in another order on another number of threads
    weights = BSpline.design_matrix(places, np.arange(-3.0, len(grid) + 1), 3).astype(np.float32)
    return np.ascontiguousarray((weights @ (weights @ grid).T).T)


def _dots(size: int, places: ArrayLike, heights: ArrayLike, sigma: float) -> Field:
    """Gaussian spots of given heights at (y, x), rounded to pixels; those outside are not seen."""
    y, x = np.rint(np.asarray(places, float).reshape(-1, 2)).astype(int).T
    seen = (y >= 0) & (x >= 0) & (y < size) & (x < size)
    points = np.zeros((size, size), np.float32)
    np.add.at(points, (y[seen], x[seen]), np.asarray(heights, np.float32)[seen])
    return ndimage.gaussian_filter(points, sigma) * np.float32(2 * np.pi * sigma**2)


def _nucleoli(rng: Generator, cells: Sequence[Cell], size: int) -> Field:
    """What nucleoli make of the light around them: most stains leave them dark, some light them up."""
    kind = rng.choice([-0.6, -0.4, 0.8])
    sigma = float(np.mean([cell.radius for cell in cells])) * 0.13
    places, heights = [], []
    for cell in cells:
        for _ in range(cell.nucleoli):
            away, turn = 0.6 * cell.radius * rng.random() ** 0.5, rng.uniform(0, 2 * np.pi)
            places.append((cell.y + away * np.sin(turn), cell.x + away * np.cos(turn)))
            heights.append(kind * rng.uniform(0.5, 1))
    return np.clip(1 + _dots(size, places, heights, sigma), 0.3, 2.2)


def _contacts(labels: LabelMap) -> NDArray[np.bool_]:
    """Pixels that have another cell above, below or beside them: there, both are thin."""
    touching = np.zeros(labels.shape, bool)
    for one, other, marked_one, marked_other in (
        (labels[1:], labels[:-1], touching[1:], touching[:-1]),
        (labels[:, 1:], labels[:, :-1], touching[:, 1:], touching[:, :-1]),
    ):
        contact = (one != other) & (one > 0) & (other > 0)
        marked_one |= contact
        marked_other |= contact
    return touching


def _focused(rng: Generator, light: Field, depth: Field) -> Field:
    """`light` through the objective: the deeper a cell, the softer; and a glow that scatters far."""
    sharpest = rng.uniform(0.7, 1.4)
    size = len(light)
    seen = sum(
        (
            ndimage.gaussian_filter(np.where(depth == step, light, 0), sharpest + 0.6 * step)
            for step in range(3)
        ),
        start=np.zeros_like(light),
    )
    return seen + np.float32(rng.uniform(0.05, 0.15)) * _enlarged(
        ndimage.gaussian_filter(light[::4, ::4], 2.5), size
    )


def _ghosts(rng: Generator, size: int, count: int) -> Field:
    """Cells so far out of focus that nobody would outline them."""
    axis = np.arange(0, size, 4, dtype=np.float32)  # too soft to need every pixel
    light = np.zeros((len(axis), len(axis)), np.float32)
    for _ in range(count):
        ghost = lone_cell(rng, size, radius=rng.uniform(13, 24))
        light += np.clip(4 * (1 - ghost.distance(axis[:, None], axis[None])), 0, 1) * rng.uniform(0.12, 0.45)
    return _enlarged(ndimage.gaussian_filter(light, rng.uniform(1.5, 3.0)), size)


def _enlarged(quarter: Field, size: int) -> Field:
    """A field known at every fourth pixel, at every pixel."""
    return _stretched(np.pad(quarter, ((1, 2), (1, 2)), mode="edge"), np.arange(size) / 4)


def _fibre(rng: Generator, size: int) -> NDArray[np.float64]:
    """Points along a lint fibre, float [N, 2], that bends one way and wavers."""
    length = int(rng.integers(40, 220))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.02) + rng.normal(0, 0.05, length))
    return rng.uniform(0, size, 2) + 0.7 * np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1), axis=0)
