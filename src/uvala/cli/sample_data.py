"""uvala sample-data"""

from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.terminal import setting_help
from uvala.data.synthetic_config import SyntheticConfig

__all__ = ["NAME", "command"]

NAME = "sample-data"
_DEFAULTS = SyntheticConfig()


def command(
    folder: Annotated[Path, typer.Argument(help="New folder for images/ and masks/.", metavar="DIR")],
    count: Annotated[
        int, typer.Option(help=setting_help(SyntheticConfig, "count"), metavar="N")
    ] = _DEFAULTS.count,
    size: Annotated[
        int, typer.Option(help=setting_help(SyntheticConfig, "size"), metavar="S")
    ] = _DEFAULTS.size,
    seed: Annotated[
        int, typer.Option(help=setting_help(SyntheticConfig, "seed"), metavar="K")
    ] = _DEFAULTS.seed,
) -> None:
    """Write microscopy-like images of touching cells with masks that number each cell."""
    from uvala.cli.terminal import console, counting
    from uvala.data.synthetic import write_sample_data

    with counting("drawing") as progress:
        write_sample_data(folder, count=count, size=size, seed=seed, progress=progress)
    console.print(f"{count} images of {size}x{size} with masks in {folder}", markup=False)
