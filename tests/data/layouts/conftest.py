"""Data sets of a few small files, laid out as published ones are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path) -> Make:
    """Makes files below a folder and returns the folder; the ending says the format.

    Files whose name or folder says mask hold two values, all others noise; "volume" and "labels" TIFFs are
    stacks of `pages`.
    """
    root = tmp_path / "data"

    def make(*names: str, pages: int = 1) -> Path:
        rng = np.random.default_rng(len(names))
        root.mkdir(exist_ok=True)
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(0, 256, (pages, 24, 24), dtype=np.uint8)
            squares = np.zeros_like(noise)
            squares[:, 6:15, 4:20] = 255
            is_mask = any(word in name.lower() for word in ("mask", "label", "seg", "gt", "truth", "roads"))
            array = squares if is_mask else noise
            if path.suffix.lower() in {".tif", ".tiff"}:
                tifffile.imwrite(path, array if pages > 1 else array[0], photometric="minisblack")
            elif path.suffix.lower() in {".png", ".jpg", ".bmp", ".gif"}:
                PIL.Image.fromarray(array[0]).save(path)
            else:
                path.write_text("")
        return root

    return make
