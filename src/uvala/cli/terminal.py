"""What the commands share on the terminal: progress bars, tables, help texts read from the schema."""

import time
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
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from uvala.config import Config, options

__all__ = [
    "console",
    "counting",
    "counting_pixels",
    "encoding_table",
    "labelled",
    "say_error",
    "setting_help",
]

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


@contextmanager
def counting_pixels(
    what: str,
) -> Iterator[tuple[Callable[[int, int], None], Callable[[int, float], None]]]:
    """A progress bar with megapixels a second and the time left, in this block.

    Call the first with (done, total) images. The second with the pixels that were done just now and the
    share of their image that is done by now: of an image that takes an hour, too, one sees how it goes.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    pixels, seen, unseen, part = 0, 0, 0, 0.0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, speed="")

        def progress(done: int, total: int) -> None:
            nonlocal unseen
            unseen = max(unseen, done - seen)  # skipped, or damaged
            bar.update(task, completed=seen + unseen + part, total=total)

        def watch(more: int, share: float) -> None:
            nonlocal pixels, seen, part
            pixels, part = pixels + more, share
            if share >= 1:
                seen, part = seen + 1, 0.0
            speed = pixels / 1e6 / max(time.monotonic() - began, 1e-3)
            bar.update(task, completed=seen + unseen + part, speed=f"{speed:.3g} megapixels/s")

        yield progress, watch


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
