"""How the scores of images spread: a dot for each, the middle half as a box, the mean with its interval."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from uvala.report.drawing import ACCENT, BAD, BOTTOM, INK, LINE, MUTED, PAPER, SOFT, WIDTH, Sheet

__all__ = ["Dot", "Spread", "spread_chart"]

MAX_DOTS = 600  # of a row; beyond that a bar a bin is easier to read than dots, and the page stays small
SIDE = 14.0  # left and right of a chart without an axis at its left
BOX, NAME = 26.0, 22.0  # pixels that the box of a row needs, and its name


@dataclass(frozen=True)
class Dot:
    """One image of a spread: its value, its name, and the place in the page that shows it, if any."""

    value: float
    name: str
    target: str | None = None


@dataclass(frozen=True)
class Spread:
    """The images of one row: their dots, and the 95% interval of their mean if it is known.

    name: written above the row; empty if the chart has only one. colour: "#rrggbb" instead of the accent.
    """

    dots: Sequence[Dot]
    interval: tuple[float, float] | None = None
    name: str = ""
    colour: str | None = None


def spread_chart(rows: Sequence[Spread], *, label: str, x_label: str) -> Markup:
    """A row for each spread: a dot per image, stacked where they meet, above a box and the mean.

    The box holds the middle half of the images, with a line at their median; the diamond is the mean with its
    95% interval. Values within 0 and 1 have an axis that ends at 1 and begins just below the lowest.
    """
    rows = [row for row in rows if row.dots]
    if not rows:
        return Markup()
    values = [dot.value for row in rows for dot in row.dots]
    low, high = _ends(values)
    radius = _radius(max(len(row.dots) for row in rows))
    wide = (high - low) * (2.0 * radius + 1.0) / (WIDTH - 2 * SIDE)  # of a column of dots, on the axis
    columns = [_columns(row.dots, wide) for row in rows]
    step = [min(2.0 * radius + 1.0, _room(rows) / max(map(len, each.values()))) for each in columns]
    tall = [
        (NAME if row.name else 6.0) + BOX + size * max(map(len, each.values())) + radius
        for row, each, size in zip(rows, columns, step, strict=True)
    ]
    height = max(sum(tall), 64.0)
    with Sheet(label, height=height + BOTTOM + 4.0, left=SIDE, right=SIDE, top=4.0) as sheet:
        axes = sheet.axes
        axes.set(xlim=(low, high), ylim=(0.0, height))
        axes.set_yticks([])
        axes.grid(axis="x", color=LINE, linewidth=1)
        base = sum(tall)
        for row, each, size, needed in zip(rows, columns, step, tall, strict=True):
            base -= needed
            _row(sheet, row, each, base, (size, radius))
            if row.name:
                axes.text(low, base + needed - 14.0, sheet.words(row.name), color=SOFT)
        _lean_inwards(sheet)
        sheet.x_label(x_label)
        return sheet.svg()


def _row(
    sheet: Sheet, row: Spread, columns: dict[float, list[Dot]], base: float, size: tuple[float, float]
) -> None:
    """Dots, box and mean of one row, `base` pixels above the axis. size: step and radius of the dots."""
    step, radius = size
    places = [
        (x, base + BOX + radius + number * step, dot)
        for x, column in columns.items()
        for number, dot in enumerate(column)
    ]
    if step < 1.3 * radius or len(places) > MAX_DOTS:
        _bars(sheet, columns, base + BOX, step, row.colour)
    else:
        for shown in (False, True):
            _dots(
                sheet, [each for each in places if bool(each[2].target) == shown], radius, shown, row.colour
            )
    _box(sheet, row, base + BOX / 2 - 1.0)


def _dots(
    sheet: Sheet, places: Sequence[tuple[float, float, Dot]], radius: float, shown: bool, colour: str | None
) -> None:
    if not places:
        return
    drawn = sheet.axes.scatter(
        [x for x, _, _ in places], [y for _, y, _ in places], s=(2 * radius) ** 2, clip_on=False,
        color=BAD if shown else colour or ACCENT, alpha=0.95 if shown else 0.62, linewidth=0, zorder=3,
    )  # fmt: skip
    drawn.set_urls([sheet.link(f"{dot.name}: {dot.value:.3f}", dot.target) for _, _, dot in places])


def _bars(
    sheet: Sheet, columns: dict[float, list[Dot]], base: float, step: float, colour: str | None
) -> None:
    """One bar for each column of dots, where there are too many dots to draw them one by one."""
    places = list(columns)
    width = 0.86 * min([b - a for a, b in itertools.pairwise(sorted(places))] or [0.01])
    heights = [len(column) * step for column in columns.values()]
    drawn = sheet.axes.bar(places, heights, width=width, bottom=base, color=colour or ACCENT, alpha=0.62)
    for patch, column in zip(drawn, columns.values(), strict=True):
        lowest, highest = min(dot.value for dot in column), max(dot.value for dot in column)
        named = ", ".join(dot.name for dot in column[:5]) + (" ..." if len(column) > 5 else "")
        patch.set_url(sheet.link(f"{len(column)} images, {lowest:.3f} to {highest:.3f}: {named}"))


def _box(sheet: Sheet, row: Spread, middle: float) -> None:
    """Range, middle half and median as a box; the mean as a diamond with its interval."""
    axes, values = sheet.axes, sorted(dot.value for dot in row.dots)
    if len(values) > 3:
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        axes.hlines(middle, values[0], values[-1], color=MUTED, linewidth=1.0, alpha=0.7)
        axes.broken_barh([(lower, upper - lower)], (middle - 7.0, 14.0), color=MUTED, alpha=0.28, linewidth=0)
        axes.vlines(median, middle - 7.0, middle + 7.0, color=SOFT, linewidth=1.6)
    mean = statistics.fmean(values)
    if row.interval is not None:
        axes.hlines(middle, *row.interval, color=INK, linewidth=2.6)
    axes.scatter([mean], [middle], s=64, marker="D", color=INK, edgecolor=PAPER, linewidth=1.2, zorder=4,
                 clip_on=False).set_urls([sheet.link(f"mean {mean:.3f}")])  # fmt: skip


def _ends(values: Sequence[float]) -> tuple[float, float]:
    lowest, highest = min(values), max(values)
    if lowest >= 0.0 and highest <= 1.0:
        return max(0.0, math.floor(min(lowest, 0.9) * 10 - 1e-9) / 10), 1.0
    room = 0.05 * ((highest - lowest) or 1.0)
    return (0.0 if 0.0 <= lowest < highest / 2 else lowest - room), highest + room


def _columns(dots: Sequence[Dot], wide: float) -> dict[float, list[Dot]]:
    """The dots that share a place, keyed by the lowest of them; two places are at least `wide` apart."""
    columns: dict[float, list[Dot]] = {}
    place = -math.inf
    for dot in sorted(dots, key=lambda dot: dot.value):
        if dot.value - place >= wide:
            place = dot.value
        columns.setdefault(place, []).append(dot)
    return columns


def _room(rows: Sequence[Spread]) -> float:
    """Pixels that the tallest stack of dots of a row may take."""
    return 130.0 if len(rows) == 1 else 56.0


def _radius(count: int) -> float:
    return 5.6 if count <= 20 else 4.4 if count <= 100 else 3.0


def _lean_inwards(sheet: Sheet) -> None:
    """Numbers at the very ends of an axis stay inside the picture."""
    low, high = sheet.axes.get_xlim()
    for label in sheet.axes.get_xticklabels():
        place = (label.get_position()[0] - low) / (high - low)
        label.set_horizontalalignment("left" if place < 0.02 else "right" if place > 0.98 else "center")
