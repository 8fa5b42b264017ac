"""How numbers and columns are written on a terminal of 100 columns."""

from collections.abc import Iterable, Iterator, Sequence

from uvala.evaluation.scores import Bounds, Measure, Scores

__all__ = [
    "WIDTH",
    "Row",
    "aligned",
    "class_titles",
    "counts_of",
    "distance",
    "interval_title",
    "measures_of",
    "number",
    "span",
]

WIDTH = 100
_LONGEST = 24  # name of a class; a longer one loses its middle

Row = tuple[str, ...]


def number(value: float | None) -> str:
    """Four decimals; a dash for None."""
    return "-" if value is None else f"{value:.4f}"


def distance(value: float | None) -> str:
    """Two decimals; a dash for None."""
    return "-" if value is None else f"{value:.2f}"


def span(bounds: Bounds, digits: int = 3) -> str:
    """The ends of an interval, one number if they are written alike; a dash where there is none."""
    if bounds is None:
        return "-"
    low, high = (f"{end:.{digits}f}" for end in bounds)
    return low if low == high else f"{low} to {high}"


def aligned(rows: Iterable[Row]) -> list[str]:
    """Columns two spaces apart: the first one flush left, the others flush right."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *others in table:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def class_titles(scores: Scores) -> list[str]:
    """The classes' names, short enough for a column."""
    half = _LONGEST // 2 - 1
    return [
        name if len(name) <= _LONGEST else f"{name[:half]}..{name[-half:]}" for name in scores.class_names
    ]


def interval_title(scores: Scores) -> str:
    """The head of a column of intervals: "95% interval"."""
    return f"{100 * scores.confidence:g}% interval"


def measures_of(scores: Scores) -> dict[str, Measure]:
    """The measures by their names."""
    return {measure.name: measure for measure in scores.measures}


def counts_of(measures: Sequence[Measure]) -> Iterator[Row]:
    """Columns that say how many empty cases each measure stands on; undefined ones only if there are some."""
    heads = ["absent", "missed", "spurious"]
    if any(measure.undefined for measure in measures):
        heads.append("undefined")
    for head in heads:
        yield head, *(f"{getattr(measure, head):,}" for measure in measures)
