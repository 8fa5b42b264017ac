"""What the commands share on the terminal: progress bars, tables, help texts read from the schema."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from uvala.config import Config, options

__all__ = ["console", "counting", "encoding_table", "labelled", "say_error", "setting_help"]

console = Console(stderr=False, highlight=False)


def say_error(text: str) -> None:
    """A line on standard error."""
    Console(stderr=True, highlight=False).print(text, markup=False)


def labelled(label: str, text: str | Text, style: str = "") -> Table:
    """A line with a label in front; what does not fit goes on below the text, not below the label."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), text if isinstance(text, Text) else Text(text, style=style))
    return grid


def setting_help(kind: type[Config], path: str) -> str:
    """The sentence of a setting, for the help of the option that sets it."""
    description = dict(options(kind))[path].description
    assert description, f"{path} has no description"
    return description[0].upper() + description[1:] + "."


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar in this block: call it with (done, total)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def encoding_table(rows: Any) -> Table:
    """How masks are read: value -> class -> share of the pixels -> images that contain it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("value in the mask")
    table.add_column("class")
    table.add_column("pixels", justify="right")
    table.add_column("images", justify="right")
    for value, name, share, images in rows:
        table.add_row(value, name, f"{share:.2%}", f"{images:,}")
    return table
