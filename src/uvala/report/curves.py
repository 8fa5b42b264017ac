"""How a training went: the curves among its events, drawn, and what they say about its length."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvala.report.charts import Chart, Line, LineKey, Point, line_chart, smooth, thin_out
from uvala.report.pictures import Colour, css
from uvala.report.sentences import duration

__all__ = ["Progress", "charts", "progress", "remarks"]

HOURS_FROM = 3 * 3600.0  # seconds; from here on the time axis counts hours
MOST_CLASS_LINES = 12  # more lines than this cannot be told apart
FEWEST_CHECKS = 5  # fewer validations draw no curve worth a remark


@dataclass(frozen=True)
class Progress:
    """The curves of a training as (seconds, value), oldest first, without values that are not finite.

    best: where in mean_dice the weights that were kept are.
    """

    loss: list[Point]
    mean_dice: list[Point]
    validation_loss: list[Point]
    class_dice: list[list[Point]]
    best: int | None


def progress(events: Iterable[Mapping[str, Any]]) -> Progress:
    """The curves among the events of a log."""
    timed = list(_one_clock(events))
    steps = [event for event in timed if event.get("event") == "step"]
    checks = [event for event in timed if event.get("event") == "validation"]
    scored = [event for event in checks if _finite(event.get("mean_dice"))]
    marked = [index for index, event in enumerate(scored) if event.get("best")]
    classes = max((len(event.get("dice") or ()) for event in checks), default=0)
    return Progress(
        loss=_series(steps, "loss"),
        mean_dice=_series(checks, "mean_dice"),
        validation_loss=_series(checks, "loss"),
        class_dice=[_series(checks, "dice", index) for index in range(classes)],
        best=marked[-1] if marked else None,
    )


def remarks(curves: Progress) -> str:
    """What the curves say about the length of the training: too short, long enough, or past its best."""
    scores = [value for _, value in curves.mean_dice]
    if len(scores) < FEWEST_CHECKS:
        return ""
    best, last = max(scores), scores[-1]
    if best < 0.1:
        return "The validation score never left the ground: the network has learned next to nothing."
    at = curves.mean_dice[scores.index(best)][0]
    if best - last > 0.02 and at < 0.8 * curves.mean_dice[-1][0] and _still_falling(curves.loss, at):
        return (
            f"After {duration(at)} the validation score fell from {best:.3f} to {last:.3f} while the training"
            " loss went on falling: overfitting. The weights of the best moment were kept; more labelled"
            " images would help more than more time."
        )
    late = best - max(scores[: -(len(scores) // 3)])
    if late > 0.01:
        return (
            f"The score was still rising at the end, by {late:.3f} in the last third of the checks: a longer"
            " training is likely to help."
        )
    gain = best - max(scores[: -(len(scores) // 2)])
    if gain < 0.003:
        return (
            f"The second half of the training added {gain:.3f} to the score: longer training alone is"
            " unlikely to help."
        )
    return ""


def charts(curves: Progress, names: Sequence[str], colours: Colour) -> list[Chart]:
    """The loss and the validation score over time; a chart without points is left out."""
    end = max((time for time, _ in [*curves.loss, *curves.mean_dice]), default=0.0)
    unit, seconds = ("hours", 3600.0) if end >= HOURS_FROM else ("minutes", 60.0)

    def scaled(points: Sequence[Point]) -> list[Point]:
        return [(time / seconds, value) for time, value in points]

    drawn = []
    if curves.loss or curves.validation_loss:
        drawn.append(_loss_chart(curves, scaled, unit))
    if curves.mean_dice:
        drawn.append(_score_chart(curves, scaled, unit, names, colours))
    return drawn


Scale = Callable[[Sequence[Point]], list[Point]]


def _loss_chart(curves: Progress, scaled: Scale, unit: str) -> Chart:
    lines, keys = [], []
    if curves.loss:
        lines = [
            Line(thin_out(scaled(curves.loss)), "raw"),
            Line(thin_out(scaled(smooth(curves.loss))), "smooth"),
        ]
        keys = [LineKey("smooth", "training, smoothed"), LineKey("raw", "training, each step logged")]
    if curves.validation_loss:
        lines.append(Line(thin_out(scaled(curves.validation_loss)), "check"))
        keys.append(LineKey("check", "validation"))
    svg = line_chart(lines, label="Loss over time", x_label=unit)
    return Chart("Loss", svg, keys)


def _score_chart(curves: Progress, scaled: Scale, unit: str, names: Sequence[str], colours: Colour) -> Chart:
    lines, keys = [], []
    if len(curves.class_dice) == len(names) <= MOST_CLASS_LINES:
        for name, colour, points in zip(names, colours, curves.class_dice, strict=True):
            if points:
                lines.append(Line(thin_out(scaled(points)), "class", colour=css(colour)))
                keys.append(LineKey("class", name, css(colour)))
    few = len(curves.mean_dice) <= 60  # beyond that the points run into a band
    lines.append(
        Line(
            scaled(curves.mean_dice),
            "mean",
            dots=few,
            best=curves.best,
        )
    )
    svg = line_chart(lines, label="Validation Dice over time", x_label=unit, high=1.0)
    return Chart("Dice of the validation images", svg, [LineKey("mean", "mean"), *keys])


def _still_falling(loss: Sequence[Point], since: float) -> bool:
    """Whether the loss is clearly lower at the end than it was around `since`."""
    after = [value for time, value in loss if time >= since]
    third = len(after) // 3
    return third > 1 and statistics.fmean(after[-third:]) < 0.95 * statistics.fmean(after[:third])


def _one_clock(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The events with a time that never jumps back: a resumed training starts its clock anew."""
    offset = last = 0.0
    for event in events:
        if not _finite(event.get("time")):
            continue
        time = float(event["time"])
        if time + offset < last:
            offset = last
        last = time + offset
        yield {**event, "time": last}


def _series(events: Sequence[Mapping[str, Any]], key: str, index: int | None = None) -> list[Point]:
    found: list[tuple[float, Any]] = [(event["time"], event.get(key)) for event in events]
    if index is not None:
        found = [(time, values[index]) for time, values in found if values and index < len(values)]
    return [(time, float(value)) for time, value in found if _finite(value)]


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
