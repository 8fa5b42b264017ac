"""A comparison of two evaluations in words: the answer first, then the measures, then the images."""

from collections.abc import Sequence
from pathlib import Path

from uvala.evaluation.compare import NOISE, Comparison, MeasureDifference

__all__ = ["comparison_sentence", "comparison_text", "distinct_names"]

SHOWN_MEASURES, SHOWN_IMAGES = 40, 5  # the JSON file holds all
HOLM = 6  # place of p (Holm) among the columns
TITLES = {"dice": "Dice", "iou": "IoU", "ap": "AP", "v_rand": "V_rand", "v_info": "V_info"}


def distinct_names(a: Path, b: Path) -> tuple[str, str]:
    """What to call two runs or files: the ends of their paths, as long as it takes to tell them apart."""
    one, other = (str(path.expanduser().resolve()).removesuffix(".json").split("/") for path in (a, b))
    for length in range(1, max(len(one), len(other)) + 1):
        names = "/".join(one[-length:]), "/".join(other[-length:])
        if names[0] != names[1]:
            return names
    return "A", "B"


def comparison_sentence(comparison: Comparison) -> str:
    """Who is better by the main measure, by how much, and whether that is noise."""
    main, names = comparison.main, comparison.names
    if main.difference is None:
        return f"Neither has a {_title(main.name)} on the images that both scored: nothing can be compared."
    if main.alike == main.images:
        return f"{names[0]} and {names[1]} have the same {_title(main.name)} on each of {_images(main)}."
    if main.p_value is None:
        return f"Nothing can be told from {_images(main)} of one group: compare on more."
    better, worse = names[main.better], names[1 - main.better]
    wins = (main.a_better, main.b_better)
    counts = f"{wins[main.better]} better, {wins[1 - main.better]} worse, {main.alike} alike"
    by = f"{abs(main.difference):.{_digits(main)}f}{_unit(main)} {_title(main.name)}"
    facts = f"({_interval(main)}p {_p(main.p_value, equal='= ')}, {_images(main)}; {counts})"
    if not main.is_noise:
        return f"{better} is better than {worse} by {by} {facts}."
    return (
        f"No difference between {names[0]} and {names[1]} can be told from noise: {better} is ahead by {by} "
        f"{facts}. {_power(main)}"
    )


def comparison_text(comparison: Comparison) -> str:
    """The comparison for a terminal: answer, what is unfair about it, measures, images that differ most."""
    lines = [comparison_sentence(comparison), *comparison.notes, "", *_measure_lines(comparison)]
    rows = [
        (each.name, f"{each.a:.4f}", f"{each.b:.4f}", f"{each.difference:+.4f}")
        for each in comparison.images[:SHOWN_IMAGES]
        if each.difference
    ]
    if rows:
        head = f"largest differences of {comparison.main.name}", *comparison.names, "difference"
        lines += ["", *_columns([head, *rows])]
    return "\n".join(lines)


def _measure_lines(comparison: Comparison) -> list[str]:
    """A table of the measures, the main one first, and what its p-values mean."""
    others, shown = comparison.measures, comparison.measures[:SHOWN_MEASURES]
    a, b = comparison.names
    lines = [
        f"difference: {b} minus {a}; the first line says by how much the better one is ahead, without a sign"
    ]
    tests = sum(each.p_value is not None for each in others)
    hopeless = _hopeless(comparison)
    if hopeless:
        lines.append(hopeless)
    head = "mean over images", a, b, "difference", "95% interval", "p", "p (Holm)", ""
    rows = [_row(each, comparison.names) for each in (comparison.main, *shown)]
    # where no p (Holm) can be small, a column of them would read as if there had been a chance
    columns = [place for place in range(len(head)) if place != HOLM or not hopeless]
    lines += _columns([tuple(row[place] for place in columns) for row in (head, *rows)])
    if tests > 1 and not hopeless:
        lines += [
            "",
            f"Beside {comparison.main.name}, {tests} measures are tested at once: by chance alone about "
            f"{max(1, round(NOISE * tests))} of them would have p < {NOISE}. p (Holm) accounts for that, and "
            f"'better' stands where it is below {NOISE}.",
        ]
    twins = [f"{name} = {each.name}" for each in (comparison.main, *others) for name in each.equal]
    if twins:
        lines.append(f"Left out, for they are equal on each image: {', '.join(twins)}.")
    if len(others) > len(shown):
        lines.append(f"{len(others) - len(shown)} more measures are in the file that --json FILE writes.")
    return lines


def _hopeless(comparison: Comparison) -> str:
    """Why no p (Holm) can be small: the smallest p of so few images, times the measures that are tested."""
    tested = [each for each in comparison.measures if each.p_value is not None]
    least = len(tested) * min((each.least_p for each in tested), default=0.0)
    if least < NOISE:
        return ""
    groups = max(each.groups for each in tested)
    return (
        f"{_plural(groups, 'independent image')} cannot show a difference in any of the "
        f"{_plural(len(tested), 'measure')} beside {comparison.main.name}: their p, corrected for that "
        f"number, cannot fall below {min(1.0, least):.2g}."
    )


def _power(main: MeasureDifference) -> str:
    """What would have been noticed."""
    if main.detectable is None:
        return f"None could be: p cannot fall below {main.least_p:.2g} for so few."
    return (
        f"A true difference of {main.detectable:.{_digits(main)}f}{_unit(main)} would be noticed in 4 of 5 "
        "comparisons on as many images."
    )


def _row(each: MeasureDifference, names: tuple[str, str]) -> tuple[str, ...]:
    digits = _digits(each)
    numbers = (each.a, each.b, each.difference)
    interval = (
        "-" if each.low is None or each.high is None else f"{each.low:+.{digits}f} to {each.high:+.{digits}f}"
    )
    p = each.p_value if each.p_holm is None else each.p_holm  # the main measure is tested first, on its own
    told = p is not None and p < NOISE
    return (
        f"{each.name}{_unit(each)}",
        *(
            "-" if x is None else f"{x:{sign}.{digits}f}"
            for x, sign in zip(numbers, ("", "", "+"), strict=True)
        ),
        interval,
        _p(each.p_value),
        _p(each.p_holm),
        f"{names[each.better]} better" if told else "",
    )


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns two spaces apart: the first one flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _digits(measure: MeasureDifference) -> int:
    """After the point: a difference in the third digit of a share matters, of a distance in pixels hardly."""
    return 2 if measure.unit else 4


def _title(name: str) -> str:
    kind, _, of_class = name.partition("/")
    title = TITLES.get(kind, kind.replace("_", " "))
    return f"{title} of {of_class}" if of_class else title


def _unit(measure: MeasureDifference) -> str:
    return f" {measure.unit}" if measure.unit else ""


def _interval(main: MeasureDifference) -> str:
    """The interval of how much the better one is ahead."""
    if main.low is None or main.high is None or main.difference is None:
        return ""
    ends = sorted((main.low, main.high) if main.difference > 0 else (-main.low, -main.high))
    return f"95% interval {ends[0]:.{_digits(main)}f} to {ends[1]:.{_digits(main)}f}, "


def _p(value: float | None, equal: str = "") -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{equal}{value:.3f}"


def _images(main: MeasureDifference) -> str:
    images = _plural(main.images, "image")
    return images if main.groups == main.images else f"{images} in {_plural(main.groups, 'group')}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
