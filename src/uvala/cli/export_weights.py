"""uvala export-weights"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "export-weights"


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    to: Annotated[str, typer.Option(help="Project whose names the weights get.", metavar="ORIGIN")],
    out: Annotated[Path, typer.Option(help="New file: .pth or .safetensors.", metavar="FILE")],
) -> None:
    """Write a run's weights as another project's code loads them: the way back of import-weights."""
    from uvala.api.importing import export_weights
    from uvala.cli.terminal import console

    keys, options = export_weights(run, out, to=to)
    console.print(f"{keys} tensors under the names of {to} in {out}", markup=False)
    if options:
        said = ", ".join(f"{name} = {value}" for name, value in options.items())
        console.print(f"the names do not tell: build its network with {said}", markup=False)
