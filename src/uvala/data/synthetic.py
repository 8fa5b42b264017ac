"""Sample data: a seeded set of microscopy-like images with instance masks, for a first run and for tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.config import build
from uvala.data.cells import outline, populate, renumbered
from uvala.data.microscope import clutter, emission, expose
from uvala.data.synthetic_config import SyntheticConfig
from uvala.errors import StorageError
from uvala.files import claim_folder, write_bytes, write_text
from uvala.images.write import encode_png

__all__ = ["synthetic_sample", "write_sample_data"]

# The last line tells one set from another: a change of the drawing that changes pixels counts its version up.
README = """\
Sample data, drawn by `uvala sample-data`: no real cells, free to use for anything.

images/  fluorescence microscopy of stained nuclei as it could be: 8-bit grey PNG
masks/   of each image the objects: 16-bit PNG, 0 is background, every cell has its own number

Touching cells, cells of all brightnesses, uneven light, blur and noise, and debris, fibres and cells far out
of focus that are not marked because nobody would count them.

{count} images of {size}x{size}, seed {seed}, version 1 of the drawing
"""

DEFAULT = SyntheticConfig()


def synthetic_sample(config: SyntheticConfig, index: int) -> tuple[NDArray[np.uint8], LabelMap]:
    """Image number `index`, uint8 [size, size], and its labels, int32 [size, size].

    Labels 1..n (n >= 1) are one 4-connected piece each, without holes and without overlap; 0 is background.
    The same seed, size and index give the same picture, whatever else is drawn.
    """
    rng = np.random.default_rng([config.seed, index])
    cells = populate(rng, config.size)
    labels, distance = outline(cells, config.size)
    light = emission(rng, cells, labels, distance) + clutter(rng, config.size)
    return expose(rng, light), renumbered(labels)


def write_sample_data(
    folder: str | Path,
    *,
    count: int = DEFAULT.count,
    size: int = DEFAULT.size,
    seed: int = DEFAULT.seed,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """`folder`, with `count` images in images/, their masks in masks/, and a README.txt that explains them.

    Images are 8-bit grey PNG, masks 16-bit PNG with a number for each cell. What is already there of the very
    same set is kept, so that a second call is quick and an interrupted one goes on. `progress(done, total)`
    is called after each image. StorageError if `folder` holds anything else; ConfigError for a setting out of
    range.
    """
    config = build(
        SyntheticConfig, {"count": count, "size": size, "seed": seed}, where="the options of the sample data"
    )
    folder = Path(folder)
    _claim(folder, README.format(**config.model_dump()))
    for index in range(config.count):
        _write_sample(folder, config, index)
        if progress is not None:
            progress(index + 1, config.count)
    return folder


def _claim(folder: Path, readme: str) -> None:
    """Make the folder ours: its README is written first and says which set the files belong to."""
    path = folder / "README.txt"
    if path.is_file() and path.read_bytes() == readme.encode():
        return
    if path.is_file() and path.read_bytes().startswith(README[:40].encode()):
        raise StorageError(
            found=f"{folder}, which holds sample data of another count, size or seed",
            expected=readme.splitlines()[-1],
            fix="choose another folder or remove this one",
        )
    claim_folder(folder, purpose="the sample data")
    write_text(path, readme)


def _write_sample(folder: Path, config: SyntheticConfig, index: int) -> None:
    name = f"cell_{index:03d}.png"
    image, mask = folder / "images" / name, folder / "masks" / name
    if image.exists() and mask.exists():
        return
    pixels, labels = synthetic_sample(config, index)
    write_bytes(image, encode_png(pixels))
    write_bytes(mask, encode_png(labels.astype(np.uint16)))
