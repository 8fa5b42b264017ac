"""uvala export"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from uvala.cli.terminal import setting_help
from uvala.export.config import ExportConfig

__all__ = ["NAME", "command"]

NAME = "export"


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    to: Annotated[str, typer.Option(help=setting_help(ExportConfig, "to"), metavar="KIND")],
    out: Annotated[Path, typer.Option(help="New file: .onnx, .xml, .pt2 or .zip.", metavar="FILE")],
    mask: Annotated[bool, typer.Option("--mask", help=setting_help(ExportConfig, "mask"))] = False,
    int8: Annotated[bool, typer.Option("--int8", help=setting_help(ExportConfig, "int8"))] = False,
    fold: Annotated[int | None, typer.Option(help=setting_help(ExportConfig, "fold"), metavar="N")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="How far the file may be from PyTorch, and what it is calibrated with, such as "
            "most_dice_lost=0.01 or calibration_images=300; may be repeated.",
            metavar="NAME=VALUE",
        ),
    ] = None,
) -> None:
    """Write a run as a file for other programs, unless it disagrees with PyTorch on the run's images."""
    from uvala.api.exporting import export
    from uvala.cli.terminal import console
    from uvala.config import parse_assignment
    from uvala.data.wording import count

    changed = dict(parse_assignment(text) for text in settings or [])
    written = export(run, out, to=to, mask=mask, int8=int8, fold=fold, settings=changed)
    found = written.verification
    console.print(f"compared with PyTorch on {found.images}", markup=False)
    console.print(_table(found.comparisons))
    speed = found.speed
    console.print(
        f"largest difference {found.difference:.1e}, classes alike {found.agreement:.4%}; "
        f"{speed.file:.3f} s per megapixel, PyTorch {speed.pytorch:.3f}",
        markup=False,
    )
    if written.dice:
        console.print(
            f"Dice on {count(written.dice.images, 'validation image')} {written.dice.file:.4f}, "
            f"PyTorch {written.dice.pytorch:.4f}",
            markup=False,
        )
    console.print(f"{written.path}, and the comparison in {written.report.name}", markup=False)


def _table(comparisons: Iterable[Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("images")
    for title in ("size", "batch", "dtype", "largest difference", "classes alike"):
        table.add_column(title, justify="right")
    for each in comparisons:
        table.add_row(
            each.images,
            f"{each.width}x{each.height}",
            str(each.batch),
            each.dtype,
            f"{each.difference:.1e}",
            f"{each.agreement:.4%}",
        )
    return table
