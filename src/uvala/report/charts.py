"""Charts as inline SVG: lines over time, and one dot per image.

Written out by hand because the page has to work offline and follow the reader's light or dark theme: every
colour is a CSS class of the page's own style sheet, or the colour of a class of the data.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["Dot", "Line", "dot_chart", "line_chart", "smooth", "thin_out", "ticks"]

# Drawn at the width of a phone, so that the text keeps its size there; a laptop shows two side by side.
WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 40

DOTS_HIGH = 150  # the tallest stack of dots
MAX_DOTS = 600  # beyond that a bar a bin is easier to read than dots, and the page stays small

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart: points (x, y) from left to right, and how it looks.

    style: a CSS class of the page ("raw", "smooth", "mean", "class"). colour: a CSS colour that replaces the
    style's own. dots: mark each point. best: the index of a point to mark with a ring and its value.
    """

    points: Sequence[Point]
    style: str
    colour: str | None = None
    dots: bool = False
    best: int | None = None
    title: str = ""


@dataclass(frozen=True)
class Dot:
    """One image of a dot chart: its value, its name, and the place in the page that shows it, if any."""

    value: float
    name: str
    target: str | None = None


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    x_label: str,
    low: float | None = None,
    high: float | None = None,
    height: int = HEIGHT,
) -> Markup:
    """Lines over one x axis that starts at 0. `label` is what a screen reader says.

    low, high: ends of the y axis; None: what the lines that are not raw need. A raw line may leave the chart
    and is cut off there: one early outlier would else flatten everything that matters.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup()
    shown = [y for line in lines if line.style != "raw" for _, y in line.points] or [y for _, y in points]
    low, high = _range(shown, low, high)
    end = max(x for x, _ in points) or 1.0
    x_axis = _Axis(0.0, end, LEFT, WIDTH - RIGHT)
    y_axis = _Axis(low, high, height - BOTTOM, TOP)
    frame = Markup('<clipPath id="{0}"><rect x="{1}" y="{2}" width="{3}" height="{4}"/></clipPath>').format(
        _slug(label), LEFT - 6, TOP - 8, WIDTH - LEFT - RIGHT + 14, height - TOP - BOTTOM + 12
    )
    grid = _y_grid(y_axis, WIDTH) + _x_ticks(x_axis, height, x_label)
    drawn = _join(_draw(line, x_axis, y_axis) for line in lines)
    body = Markup('{}{}<g clip-path="url(#{})">{}</g>').format(frame, grid, _slug(label), drawn)
    return _svg(body, WIDTH, height, label)


def dot_chart(dots: Sequence[Dot], *, label: str, x_label: str) -> Markup:
    """A dot per image, stacked where they meet, on an axis that ends at 1; each dot is titled with its name.

    The axis begins just below the lowest value, so that good scores stay apart. The median is a line.
    """
    if not dots:
        return Markup()
    ordered = sorted(dots, key=lambda dot: dot.value)
    low = _floor_to(min(ordered[0].value, 0.9), 0.1)
    axis = _Axis(low, 1.0, 14, WIDTH - 14)
    radius = _radius(len(ordered))
    columns = _columns(ordered, axis, radius)
    tallest = max(len(column) for column in columns.values())
    step = min(2.0 * radius + 1.0, DOTS_HIGH / tallest)
    floor = round(max(90.0, tallest * step + 34.0))
    height = floor + BOTTOM
    if len(ordered) > MAX_DOTS:
        marks = _join(_bar(x, column, step, radius, floor) for x, column in columns.items())
    else:
        marks = _join(
            _dot(dot, x, floor - 4 - radius - row * step, radius)
            for x, column in columns.items()
            for row, dot in enumerate(column)
        )
    median = _median_line(axis, statistics.median([dot.value for dot in ordered]), floor)
    return _svg(_x_ticks(axis, height, x_label, base=True) + median + marks, WIDTH, height, label)


def smooth(points: Sequence[Point], share: float = 0.04) -> list[Point]:
    """The mean of y over the neighbours on both sides, each side `share` of the points or what there is.

    Both sides shrink together at the ends, so that the line neither lags behind nor leaves the points.
    """
    reach = max(1, round(share * len(points)))
    sums = [0.0, *itertools.accumulate(y for _, y in points)]
    result = []
    for index, (x, _) in enumerate(points):
        side = min(reach, index, len(points) - 1 - index)
        first, last = index - side, index + side + 1
        result.append((x, (sums[last] - sums[first]) / (last - first)))
    return result


def thin_out(points: Sequence[Point], most: int = 300) -> list[Point]:
    """At most about `most` points that look the same: the lowest and the highest of each bucket, in order."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * len(points) / most)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        kept += sorted({min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])})
    return kept


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within low to high, at most `most` + 1 of them."""
    span = high - low
    if span <= 0.0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= span * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class _Axis:
    """Maps low..high to the pixels start..end."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)


def _range(shown: Sequence[float], low: float | None, high: float | None) -> tuple[float, float]:
    lowest = min(shown) if low is None else low
    highest = max(shown) if high is None else high
    room = 0.06 * ((highest - lowest) or abs(highest) or 1.0)
    return lowest - (room if low is None else 0.0), highest + (room if high is None else 0.0)


def _y_grid(axis: _Axis, width: int) -> Markup:
    line = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    marks = ticks(axis.low, axis.high)
    return _join(
        line.format(
            LEFT, width - RIGHT, axis.place(value), LEFT - 8, axis.place(value) + 4, _number(value, marks)
        )
        for value in marks
    )


def _x_ticks(axis: _Axis, height: int, name: str, *, base: bool = False) -> Markup:
    floor = height - BOTTOM
    marks = ticks(axis.low, axis.high, 6)
    tick = Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
    text = _join(
        tick.format(axis.place(value), floor + 18, _anchor(axis, value), _number(value, marks))
        for value in marks
    )
    lines = _join(
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="10" y2="{1}"/>').format(
            axis.place(value), floor
        )
        for value in marks
        if base
    )
    title = Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
        axis.end, height - 5, name
    )
    rule = Markup('<line class="rule" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>').format(
        axis.start, axis.end, floor
    )
    return lines + rule + text + title


def _anchor(axis: _Axis, value: float) -> str:
    """Numbers at the very ends of an axis lean inwards, so that none is cut off."""
    place = axis.place(value)
    if axis.end - place < 6:
        return "end"
    return "start" if place - axis.start < 6 and axis.start < 20 else "middle"


def _draw(line: Line, x_axis: _Axis, y_axis: _Axis) -> Markup:
    if not line.points:
        return Markup()
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in line.points]
    style = Markup(' style="--class:{}"').format(line.colour) if line.colour else Markup()
    path = Markup('<polyline class="line {}"{} points="{}"><title>{}</title></polyline>').format(
        line.style, style, " ".join(f"{x:.1f},{y:.1f}" for x, y in places), line.title
    )
    # A single point has no length; without a dot it could not be seen at all.
    dots = (
        _join(
            Markup(
                '<circle class="point {}"{} cx="{:.1f}" cy="{:.1f}" r="2.6"><title>{:.3f}</title></circle>'
            ).format(line.style, style, x, y, value)
            for (x, y), (_, value) in zip(places, line.points, strict=True)
        )
        if line.dots or len(places) == 1
        else Markup()
    )
    return path + dots + _ring(line, places)


def _ring(line: Line, places: Sequence[Point]) -> Markup:
    if line.best is None:
        return Markup()
    x, y = places[line.best]
    anchor = "end" if x > WIDTH - 70 else "start" if x < LEFT + 40 else "middle"
    below = y < TOP + 24
    return Markup(
        '<circle class="ring" cx="{0:.1f}" cy="{1:.1f}" r="6"/>'
        '<text class="best" x="{0:.1f}" y="{2:.1f}" text-anchor="{3}">best {4:.3f}</text>'
    ).format(x, y, y + 22 if below else y - 12, anchor, line.points[line.best][1])


def _median_line(axis: _Axis, value: float, floor: float) -> Markup:
    x = axis.place(value)
    left = x > WIDTH / 2  # the half in which there is room for the words
    return Markup(
        '<line class="median" x1="{0:.1f}" x2="{0:.1f}" y1="6" y2="{1}"/>'
        '<text class="median-name" x="{2:.1f}" y="15" text-anchor="{3}">median {4:.3f}</text>'
    ).format(x, floor, x + (-6 if left else 6), "end" if left else "start", value)


def _columns(dots: Sequence[Dot], axis: _Axis, radius: float) -> dict[float, list[Dot]]:
    """The dots that share a place, keyed by the middle of that place in pixels."""
    width = 2.0 * radius + 1.0
    columns: dict[float, list[Dot]] = {}
    for dot in dots:
        bin_number = math.floor((axis.place(dot.value) - axis.start) / width)
        last = math.floor((axis.end - axis.start) / width) - 1
        columns.setdefault(axis.start + (min(bin_number, last) + 0.5) * width, []).append(dot)
    return columns


def _dot(dot: Dot, x: float, y: float, radius: float) -> Markup:
    circle = Markup(
        '<circle class="dot{}" cx="{:.1f}" cy="{:.1f}" r="{:g}"><title>{}: {:.3f}</title></circle>'
    ).format(" shown" if dot.target else "", x, y, radius, dot.name, dot.value)
    return Markup('<a href="#{}">{}</a>').format(dot.target, circle) if dot.target else circle


def _bar(x: float, column: Sequence[Dot], step: float, radius: float, floor: float) -> Markup:
    height = len(column) * step
    return Markup(
        '<rect class="dot" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
        "<title>{} images, {:.3f} to {:.3f}: {}</title></rect>"
    ).format(
        x - radius,
        floor - height,
        2 * radius,
        height,
        len(column),
        column[0].value,
        column[-1].value,
        ", ".join(dot.name for dot in column[:5]) + (" ..." if len(column) > 5 else ""),
    )


def _radius(count: int) -> float:
    return 6.0 if count <= 20 else 4.5 if count <= 100 else 3.0


def _svg(body: Markup, width: int, height: int, label: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, label, body
    )


def _number(value: float, marks: Sequence[float]) -> str:
    """`value` with as many decimals as tell the marks of one axis apart."""
    step = min((b - a for a, b in itertools.pairwise(marks)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1.0 else 0
    return f"{value:.{decimals}f}"


def _floor_to(value: float, step: float) -> float:
    return max(0.0, math.floor(value / step + 1e-9) * step)


def _slug(label: str) -> str:
    return "clip-" + "".join(character if character.isalnum() else "-" for character in label.lower())


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup().join(parts)
