"""The charts of the page: lines, bars, and confidence against accuracy."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from uvala.report.drawing import ACCENT, BAD, BOTTOM, INK, MUTED, SOFT, Sheet

__all__ = [
    "Bar",
    "Bin",
    "Chart",
    "Line",
    "LineKey",
    "Mark",
    "Point",
    "bar_chart",
    "line_chart",
    "reliability_chart",
    "smooth",
    "thin_out",
]

Point = tuple[float, float]

# colour, width, opacity and dashes of each style of line; the style sheet has the same for the legends
STYLES: dict[str, tuple[str, float, float, str]] = {
    "raw": (ACCENT, 1.0, 0.28, "-"),
    "smooth": (ACCENT, 2.4, 1.0, "-"),
    "mean": (INK, 2.2, 1.0, "-"),
    "check": (BAD, 1.8, 1.0, "--"),
    "class": (MUTED, 1.4, 1.0, "-"),
    "first": (ACCENT, 1.6, 1.0, "-"),
    "second": (BAD, 1.6, 1.0, "-"),
    "other": (MUTED, 1.6, 1.0, "--"),
}


@dataclass(frozen=True)
class Line:
    """One line of a chart: points (x, y) from left to right, and how it looks.

    style: one of STYLES. colour: "#rrggbb" that replaces the style's own. dots: mark each point. best: the
    index of a point to mark with a ring and its value.
    """

    points: Sequence[Point]
    style: str
    colour: str | None = None
    dots: bool = False
    best: int | None = None


@dataclass(frozen=True)
class Mark:
    """A place on the x axis that is marked with a line from top to bottom, and its few words."""

    x: float
    words: str


@dataclass(frozen=True)
class Bar:
    """One bar: its value, 0 to 1, what it stands on (two short lines), and what it says when pointed at."""

    value: float
    words: str
    title: str


@dataclass(frozen=True)
class Bin:
    """Pixels of about the same confidence: its mean, the share of them that is right, their share of all."""

    confidence: float
    accuracy: float
    share: float


@dataclass(frozen=True)
class LineKey:
    """One entry under a chart: the style of its line, its colour if the style has none, and its name."""

    style: str
    name: str
    colour: str | None = None


@dataclass(frozen=True)
class Chart:
    """One drawn chart with its heading and the keys to its lines."""

    name: str
    svg: Markup
    keys: list[LineKey]


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    x_label: str,
    low: float | None = None,
    high: float | None = None,
    x_range: Point | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """Lines over one x axis, from 0 to their end or over `x_range`. `label` is what a screen reader says.

    low, high: ends of the y axis; None: what the lines that are not raw need. A raw line may leave the chart
    and is cut off there: one early outlier would else flatten everything that matters.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup()
    shown = [y for line in lines if line.style != "raw" for _, y in line.points] or [y for _, y in points]
    low, high = _range(shown, low, high)
    start, end = x_range or (0.0, max(x for x, _ in points))
    with Sheet(label) as sheet:
        sheet.axes.set(xlim=(start, end if end > start else start + 1.0), ylim=(low, high))
        for line in lines:
            _draw(sheet, line)
        for mark in marks:
            _mark(sheet, mark)
        sheet.x_label(x_label)
        return sheet.svg()


def bar_chart(bars: Sequence[Bar], *, label: str, x_label: str) -> Markup:
    """A bar from 0 to at most 1 for each group of things, with its value above and its words below."""
    if not bars:
        return Markup()
    with Sheet(label, bottom=BOTTOM + 20) as sheet:
        drawn = sheet.axes.bar(range(len(bars)), [bar.value for bar in bars], width=0.62, color=ACCENT)
        for place, (bar, patch) in enumerate(zip(bars, drawn, strict=True)):
            patch.set_url(sheet.link(bar.title))
            sheet.axes.annotate(
                f"{100 * bar.value:.0f}%", (place, bar.value), (0, 5), textcoords="offset points",
                ha="center", color=INK,
            )  # fmt: skip
        sheet.axes.set_xticks(range(len(bars)), [bar.words for bar in bars], linespacing=1.35)
        sheet.axes.set(ylim=(0.0, 1.12), xlim=(-0.6, len(bars) - 0.4), yticks=(0.0, 0.25, 0.5, 0.75, 1.0))
        sheet.x_label(x_label)
        return sheet.svg()


def reliability_chart(bins: Sequence[Bin], *, label: str) -> Markup:
    """How often the model is right, for each confidence it has; the diagonal is where the two agree.

    The faint bars are the shares of the pixels. Lines from the diagonal are what confidence is off by.
    """
    if not bins:
        return Markup()
    low = math.floor(min(0.5, *(min(one.confidence, one.accuracy) for one in bins)) * 10 - 1e-9) / 10
    low = max(0.0, low)
    x, y = [one.confidence for one in bins], [one.accuracy for one in bins]
    with Sheet(label, height=300) as sheet:
        axes = sheet.axes
        axes.set(xlim=(low, 1.0), ylim=(low, 1.02))
        width = 0.6 * min([b - a for a, b in itertools.pairwise(x)] or [0.1])
        tallest = max(one.share for one in bins)
        heights = [0.3 * (1.0 - low) * one.share / tallest for one in bins]
        axes.bar(x, heights, width=width, bottom=low, color=MUTED, alpha=0.3)
        axes.plot([low, 1.0], [low, 1.0], color=MUTED, linewidth=1.2, linestyle="--")
        axes.vlines(x, x, y, color=BAD, linewidth=2.2, alpha=0.8)
        axes.plot(x, y, color=ACCENT, linewidth=1.6)
        dots = axes.scatter(x, y, s=34, color=ACCENT, zorder=3)
        dots.set_urls(
            [
                sheet.link(
                    f"confidence {one.confidence:.3f}: right in {one.accuracy:.1%}, {one.share:.1%} of pixels"
                )
                for one in bins
            ]
        )
        sheet.x_label("how sure it is: probability of the class it chose")
        return sheet.svg()


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


def _range(shown: Sequence[float], low: float | None, high: float | None) -> tuple[float, float]:
    lowest = min(shown) if low is None else low
    highest = max(shown) if high is None else high
    room = 0.06 * ((highest - lowest) or abs(highest) or 1.0)
    return lowest - (room if low is None else 0.0), highest + (room if high is None else 0.0)


def _draw(sheet: Sheet, line: Line) -> None:
    if not line.points:
        return
    usual, width, opacity, dashes = STYLES[line.style]
    x, y = zip(*line.points, strict=True)
    colour = line.colour or usual
    # A single point has no length; without a dot it could not be seen at all.
    marker = "o" if line.dots or len(x) == 1 else None
    sheet.axes.plot(
        x, y, color=colour, linewidth=width, alpha=opacity, linestyle=dashes, marker=marker, markersize=5.2,
        markeredgewidth=0, solid_capstyle="round", clip_on=line.style == "raw",
    )  # fmt: skip
    if line.best is not None:
        _ring(sheet, x[line.best], y[line.best], f"best {y[line.best]:.3f}")


def _ring(sheet: Sheet, x: float, y: float, words: str) -> None:
    """A ring around a point with its words above, or below where there is no room above."""
    axes = sheet.axes
    across = (x - axes.get_xlim()[0]) / (axes.get_xlim()[1] - axes.get_xlim()[0])
    up = (y - axes.get_ylim()[0]) / (axes.get_ylim()[1] - axes.get_ylim()[0])
    axes.plot(
        [x], [y], marker="o", markersize=12, fillstyle="none", color=INK, markeredgewidth=1.6, clip_on=False
    )
    axes.annotate(
        words, (x, y), (0, -20 if up > 0.88 else 12), textcoords="offset points", color=INK, weight="bold",
        ha="right" if across > 0.85 else "left" if across < 0.12 else "center", annotation_clip=False,
    )  # fmt: skip


def _mark(sheet: Sheet, mark: Mark) -> None:
    low, high = sheet.axes.get_xlim()
    left = mark.x > (low + high) / 2  # the half in which there is room for the words
    sheet.axes.axvline(mark.x, color=INK, linewidth=1.2, linestyle=(0, (3, 3)), alpha=0.7)
    sheet.axes.annotate(
        mark.words, (mark.x, 0.0), (-6 if left else 6, 6), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="right" if left else "left", color=SOFT,
    )  # fmt: skip
