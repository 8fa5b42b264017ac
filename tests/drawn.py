"""Shapes drawn as data: small images with masks that a pocket network learns in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image


def discs(size: tuple[int, int] = (48, 64), seed: int = 0, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A grey image uint8 [H, W] with bright discs, and their class indices uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    image = rng.normal(60, 8, size)
    mask = np.zeros(size, np.uint8)
    for number in range(5):
        row, column, radius = rng.integers(height), rng.integers(width), rng.integers(4, 9)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        kind = 1 + number % (classes - 1)
        mask[inside] = kind
        image[inside] = 60 + 150 * kind / (classes - 1) + rng.normal(0, 8, int(inside.sum()))
    return image.clip(0, 255).astype(np.uint8), mask


def write_discs(
    folder: Path,
    count: int = 8,
    *,
    size: tuple[int, int] = (48, 64),
    values: tuple[int, ...] = (0, 255),
    suffix: str = ".png",
) -> Path:
    """A data set images/ + masks/ of drawn discs; class k is written as values[k]."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index in range(count):
        image, mask = discs(size, seed=index, classes=len(values))
        Image.fromarray(image).save(folder / "images" / f"{index:02d}{suffix}")
        Image.fromarray(np.array(values, np.uint8)[mask]).save(folder / "masks" / f"{index:02d}.png")
    return folder


def write_touching_squares(folder: Path, count: int = 6, *, ignore: bool = False) -> Path:
    """A data set images/ + masks/ whose 16-bit masks number squares, of which two touch.

    The first image holds, in rows 4 to 9: object 1 in columns 4 to 9, object 2 in columns 10 to 15, object 3
    in columns 19 to 24; in the others they lie lower and further right. ignore: value 9 is to be ignored.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        mask = np.zeros((32, 32), np.uint16)
        for number, column in enumerate((4, 10, 19), start=1):
            mask[4 + index : 10 + index, column + index // 2 : column + 6 + index // 2] = number
        levels = np.array([40, 140, 230, 180])  # each object has its own: one can see where two meet
        image = (levels[mask] + rng.normal(0, 5, mask.shape)).clip(0, 255).astype(np.uint8)
        if ignore:
            mask[28:, :4] = 9
        Image.fromarray(image).save(folder / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:02d}.png")
    if ignore:
        (folder / "dataset.toml").write_text('task = "instances"\nignore = [9]\n')
    else:
        (folder / "dataset.toml").write_text('task = "instances"\n')
    return folder


def write_cells(folder: Path, count: int = 6, *, membrane: int = 0) -> Path:
    """A data set images/ + masks/ of 16 cells of 14x14 that a network of dark membranes, 2 wide, parts.

    membrane: its value in the masks, 0 or 255; the cells have the other one.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        lines = (np.arange(64) + index) % 16 < 2
        wall = lines[:, None] | lines[None, :]
        image = (np.where(wall, 60, 180) + rng.normal(0, 8, wall.shape)).clip(0, 255).astype(np.uint8)
        mask = np.where(wall, membrane, 255 - membrane).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:02d}.png")
    return folder
