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
