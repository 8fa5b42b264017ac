"""Files as users have them, written by Pillow and tifffile, not by the code under test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

Save = Callable[..., Path]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def rgb(rng) -> np.ndarray:
    """uint8 [20, 30, 3]."""
    return rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def grey(rgb) -> np.ndarray:
    """uint8 [20, 30]."""
    return rgb[..., 0]


@pytest.fixture
def save(tmp_path) -> Save:
    """Writes an array or a Pillow image under a name and returns the path."""

    def save(name: str, picture: np.ndarray | PIL.Image.Image, **options: Any) -> Path:
        path = tmp_path / name
        if isinstance(picture, np.ndarray):
            picture = PIL.Image.fromarray(picture)
        picture.save(path, **options)
        return path

    return save
