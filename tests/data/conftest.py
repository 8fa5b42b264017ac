"""Small data sets on disk, drawn from seeds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = 64


class Drawn:
    """Draws discs, images of them and photographs, and saves them as pairs in images/ and masks/."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def discs(self, seed: int, number: int = 5, size: int = SIZE, radius: float = 5.0) -> np.ndarray:
        """Object numbers, int32 [size, size]: `number` discs that do not touch, numbered from 1."""
        cells = size // 16
        places = np.random.default_rng(seed).permutation(cells * cells)[:number]
        rows, columns = np.mgrid[:size, :size]
        labels = np.zeros((size, size), np.int32)
        for label, place in enumerate(places, start=1):
            row, column = 16 * (place // cells) + 8, 16 * (place % cells) + 8
            labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = label
        return labels

    def image_of(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """A noisy grey picture of the objects, uint8 [H, W]."""
        noise = np.random.default_rng(seed).normal(0, 12, labels.shape)
        return np.clip(60 + 110 * (labels > 0) + noise, 0, 255).astype(np.uint8)

    def photograph(self, seed: int, size: int = SIZE, channels: int = 3) -> np.ndarray:
        """Noise in colour, uint8 [size, size, channels]."""
        return np.random.default_rng(seed).integers(0, 256, (size, size, channels), np.uint8)

    def save(self, path: str, array: np.ndarray, **options: object) -> Path:
        """Write an array as the kind of file that the ending says; `palette` makes a palette PNG."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        palette = options.pop("palette", None)
        if file.suffix == ".npy":
            np.save(file, array)
            return file
        picture = Image.fromarray(array)
        if palette is not None:
            picture = Image.fromarray(array, mode="L")
            picture.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
        picture.save(file, **options)
        return file

    def pair(self, name: str, image: np.ndarray, mask: np.ndarray, **options: object) -> None:
        """images/NAME.png and masks/NAME.png."""
        self.save(f"images/{name}.png", image)
        self.save(f"masks/{name}.png", mask, **options)

    def pairs(self, number: int, *, value: int = 255, start: int = 0) -> None:
        """Pairs s00, s01, ... with masks of 0 and `value`."""
        for seed in range(start, start + number):
            labels = self.discs(seed)
            self.pair(f"s{seed:02d}", self.image_of(labels, seed), ((labels > 0) * value).astype(np.uint8))


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    """An empty data set that can be drawn into."""
    return Drawn(tmp_path / "data")
