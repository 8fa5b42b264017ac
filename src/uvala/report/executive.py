"""What the page says first: how good the model is, where it fails, and how far its numbers can be trusted.

Every sentence is computed from the scores, and none that would need a number that is not there is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uvala.evaluation.scores import ClassScore, Scores
from uvala.metrics.intervals import FEW_GROUPS
from uvala.report.measures import Main, main_measure, measure_named
from uvala.report.object_words import (
    cell_words,
    error_words,
    object_words,
    size_words,
    split_or_merge_words,
)
from uvala.report.sentences import (
    caveats,
    distribution_words,
    interval,
    listed,
    percent,
    plural,
    quantity,
    score,
)

__all__ = ["Finding", "findings"]

WIDE = 0.1  # an interval wider than this hides most differences between models that one wants to see
ASKED = 0.9  # the confidence that a reader has a feeling for
NEAR = 0.06  # a bin this near to it may speak for it
HONEST = 0.02  # confidence and accuracy nearer than this agree


@dataclass(frozen=True)
class Finding:
    """One line of the box at the top: what it is about, and its sentences."""

    topic: str
    words: str


def findings(
    scores: Scores, subset: str, selecting: str | None, chosen: Sequence[str] = ("the best weights",)
) -> list[Finding]:
    """The lines of the box, the most telling first. subset, selecting, chosen: as of `ReportData`."""
    main = main_measure(scores)
    lines = [
        ("How good", _how_good(scores, main)),
        ("In practice", _in_practice(scores)),
        ("Where it fails", _where_it_fails(scores)),
        ("From image to image", distribution_words(main.images)),
        ("Outlines", _outlines(scores)),
        ("Probabilities", _probabilities(scores)),
        (
            "How far to trust this",
            _trust(scores, main, caveats(len(scores.images), subset, selecting, chosen)),
        ),
    ]
    return [Finding(topic, words) for topic, words in lines if words]


def _said(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _how_good(scores: Scores, main: Main) -> str:
    if main.value is None:
        return ""
    images, groups = len(scores.images), len({image.group for image in scores.images if image.group})
    of = plural(images, "image") + (f" in {plural(groups, 'group')}" if 0 < groups < images else "")
    value = f"{main.title} is {score(main.value)}"
    if main.interval is not None:
        return f"{value}, with a {main.sure} of {interval(main.interval)} from {of}."
    # with many, it is an older evaluation that has no intervals
    few = (groups or images) < FEW_GROUPS
    return f"{value} on {of}: too few for an interval." if few else f"{value} on {of}."


def _in_practice(scores: Scores) -> str:
    """What the score means for somebody who uses the masks."""
    if scores.partition is not None and scores.task == "membranes":
        return cell_words(scores)
    if scores.objects is not None and scores.task == "instances":
        return object_words(scores.objects)
    if len(scores.classes) == 2:
        return _area(scores, 1)
    return ""


def _area(scores: Scores, index: int) -> str:
    """How much of a class's area is found, and how much too much or too little is marked."""
    one = scores.classes[index]
    true = sum(scores.confusion[index])
    marked = sum(row[index] for row in scores.confusion)
    if not true or one.recall is None:
        return f"No image holds '{one.name}'." if not true and marked else ""
    if one.precision is None:
        return f"It finds nothing of the area of '{one.name}'."
    excess = marked / true - 1.0
    amount = "as much area as" if abs(excess) < 0.005 else (
        f"{percent(abs(excess))} {'more' if excess > 0 else 'less'} area than"
    )  # fmt: skip
    return (
        f"It finds {percent(one.recall)} of the area of '{one.name}', and {percent(1.0 - one.precision)} of"
        f" what it marks as that is something else. In sum it marks {amount} there is."
    )


def _where_it_fails(scores: Scores) -> str:
    said = []
    if scores.task == "membranes":
        said.append(split_or_merge_words(scores))
    if scores.task == "instances" and scores.objects is not None:
        said += [error_words(scores.objects), size_words(scores.objects.sizes)]
    said += [_weakest(scores), *_empty_cases(scores)]
    return _said(*said)


def _weakest(scores: Scores) -> str:
    """The class with the lowest Dice, of several that the images hold, and what that means for its area."""
    held = [
        (one.dice, index)
        for index, one in enumerate(scores.classes)
        if one.dice is not None and any(scores.confusion[index])
    ]
    if len(held) < 3:
        return ""
    low, index = min(held)
    one = scores.classes[index]
    sure = f" ({interval(one.dice_interval)})" if one.dice_interval else ""
    return _said(f"The weakest class is {one.name} with a Dice of {score(low)}{sure}.", _area(scores, index))


def _empty_cases(scores: Scores) -> Iterator[str]:
    """Classes of interest that are missed in whole images, or marked in images without them."""
    of_interest = _of_interest(scores)
    missed = [(one.images_missed, one.name, _holding(one)) for one in of_interest if one.images_missed]
    if missed:
        named = [
            f"{name} in {number:,} of {holding:,}" for number, name, holding in sorted(missed, reverse=True)
        ]
        yield f"In whole images it finds nothing of what they hold: {listed(named)}."
    spurious = [
        (one.images_false_alarm, one.name, len(scores.images) - _holding(one))
        for one in of_interest
        if one.images_false_alarm
    ]
    if spurious:
        named = [
            f"{name} in {number:,} of {without:,}" for number, name, without in sorted(spurious, reverse=True)
        ]
        yield f"In images without any it marks some: {listed(named)}."


def _of_interest(scores: Scores) -> Sequence[ClassScore]:
    """The classes whose outlines were measured, a membrane of index 0 among them; else all but the first."""
    measured = [one for one in scores.classes if measure_named(scores, f"hd95/{one.name}") is not None]
    return measured or scores.classes[1:] or scores.classes


def _holding(one: ClassScore) -> int:
    """Images that hold a class in truth."""
    return one.images_present - one.images_false_alarm


def _outlines(scores: Scores) -> str:
    """How far outlines are off: of the only class, or of the one that is off most."""
    measured = [measure_named(scores, f"hd95/{one.name}") for one in _of_interest(scores)]
    known = [
        (each.mean, each)
        for each in measured
        # where a class is only ever missed or only spurious, no outline was compared with another
        if each is not None and each.mean is not None and each.images > each.missed + each.spurious
    ]
    if not known:
        return ""
    mean, worst = max(known, key=lambda pair: pair[0])
    name = worst.name.partition("/")[2]
    which = f"of '{name}'" if len(known) == 1 else f"of '{name}', which is off most,"
    sure = f", {interval(worst.interval)}" if worst.interval else ""
    alone = worst.missed + worst.spurious
    if alone:
        sure += f"; {alone:,} of them hold it in truth or prediction only and count with the diagonal"
    said = (
        f"95% of the outline {which} lies within {quantity(mean, worst.unit)} of the true one (HD95, mean of"
        f" {plural(worst.images, 'image')}{sure})."
    )
    near = measure_named(scores, f"nsd/{name}")
    if near is None or near.mean is None:
        return said
    return f"{said} {percent(near.mean)} lies within {scores.tolerance:g} {scores.unit}."


def _probabilities(scores: Scores) -> str:
    """What a probability of 90% is worth, or of what the model says most often below certainty."""
    found = scores.probabilities
    bins = [
        (each.confidence, each.accuracy, each.pixels)
        for each in (found.reliability if found else ())
        if each.confidence is not None and each.accuracy is not None and each.pixels
    ]
    if found is None or not bins:
        return ""
    sure, right, _ = min(bins, key=lambda each: abs(each[0] - ASKED))
    if abs(sure - ASKED) > NEAR:
        sure, right, _ = max(bins, key=lambda each: each[2])
    cases = percent(right).replace("> ", "more than ").replace("< ", "fewer than ")
    said = f"When it says {percent(sure)} it is right in {cases} of the cases."
    pixels = sum(number for *_, number in bins)
    excess = sum((sure - right) * number for sure, right, number in bins) / pixels
    if found.calibration_error is not None:
        said += f" On average the two differ by {percent(found.calibration_error)} (ECE)"
        if abs(excess) >= HONEST:
            said += f": it is too {'sure' if excess > 0 else 'modest'}"
        said += "."
    return said


def _trust(scores: Scores, main: Main, said: list[str]) -> str:
    """What limits the worth of the score. said: what does by the choice of the images."""
    width = main.interval[1] - main.interval[0] if main.interval else 0.0
    if width > WIDE:
        said.append(
            f"The interval is {width:.2f} wide: these images can hardly tell apart two models whose scores"
            " differ by less, unless both are scored on them and compared image by image."
        )
    if scores.objects is not None and scores.objects.from_components and scores.task == "instances":
        said.append(f"{scores.objects.components_words} Touching ones count as one.")
    return _said(*said)
