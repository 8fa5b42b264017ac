"""Numbers as words: what a careful colleague would say about them, caveats included.

Nothing here praises. A sentence states a number, the images it stands on, and what limits its worth.
"""

import math
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FEW_IMAGES",
    "UNSCORED",
    "accuracy_baseline",
    "case_words",
    "caveats",
    "confusion_words",
    "count",
    "distribution_words",
    "duration",
    "frequent_confusions",
    "interval",
    "listed",
    "moment",
    "percent",
    "plural",
    "quantity",
    "role",
    "score",
    "task_words",
    "verdict",
]

FEW_IMAGES = 5
"""Below this many images one odd image moves the mean by more than most differences one wants to see."""

UNSCORED = {
    "semantic": "any class to score",
    "instances": "any object, true or predicted",
    "membranes": "any true cell",
}
"""What an image without a score is without, by task."""

MISSING = "\N{EN DASH}"

# strftime's names follow the locale of the machine, and the page is in English.
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def score(value: float | None) -> str:
    """0.9371 as "0.937"; a dash if there is none. Only what is 1 reads as 1."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "> 0.999" if 0.9995 <= value < 1.0 else f"{value:.3f}"


def percent(share: float | None) -> str:
    """0.0312 as "3.1%". Only nothing at all is "0%", and only everything is "100%"."""
    if share is None or not math.isfinite(share):
        return MISSING
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.0005:
        return "< 0.1%"
    if share > 0.9995:
        return "> 99.9%"
    return f"{share:.1%}" if share < 0.0995 or share > 0.9905 else f"{share:.0%}"


def count(number: float) -> str:
    """1 940 817 as "1.94 million", 12 300 as "12,300"."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """1 and "image" as "1 image", 1200 and "image" as "1,200 images"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float | None) -> str:
    """Seconds in the two units that matter: "45 s", "9 min 41 s", "1 h 23 min"."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(text: str) -> str:
    """An ISO date and time in words: "21 November 2025, 14:02 UTC". Anything else stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when.day} {MONTHS[when.month - 1]} {when:%Y, %H:%M} {when.tzname() or ''}".strip()


def listed(words: Sequence[str], most: int = 4) -> str:
    """["a", "b", "c"] as "a, b and c"; beyond `most`: "a, b, c and 7 more"."""
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def interval(bounds: tuple[float, float] | None, unit: str = "") -> str:
    """(0.8512, 0.8944) as "0.851 to 0.894"; nothing if there is none."""
    if bounds is None:
        return ""
    return f"{quantity(bounds[0])} to {quantity(bounds[1], unit)}"


def quantity(value: float | None, unit: str = "") -> str:
    """A score with three decimals, or a distance or count beyond 1 with as many digits, and its unit."""
    if value is None or not math.isfinite(value):
        return MISSING
    words = score(value) if abs(value) <= 1.0 else f"{value:,.{max(0, 2 - int(math.log10(abs(value))))}f}"
    return f"{words} {unit}".strip()


def verdict(
    value: float | None,
    images: int,
    subset: str,
    selecting: str | None,
    title: str = "Mean Dice",
    task: str = "semantic",
) -> str:
    """The one sentence at the top: the score, on how many images, and what these images were to the model.

    selecting: the subset that chose the weights; None if nothing is known of how the model was made. title:
    the name of the measure that counts first.
    """
    if images == 0:
        return "This run has no scores yet."
    on = f"{plural(images, 'image')}"
    if value is None or not math.isfinite(value):
        return f"No score on {on} without {UNSCORED[task]}."
    found = f"{title} {score(value)} on"
    if selecting is None or subset == "all":
        return f"{found} {on}."
    if subset == "train":
        return f"{found} the very {on} it was trained on."
    if subset == selecting:
        return f"{found} {on} that chose the best weights but never trained them."
    if subset == "test":
        return f"{found} {plural(images, 'test image')} never used for training."
    return f"{found} {plural(images, f'{subset} image')}."


def task_words(task: str, reason: str, title: str) -> str:
    """What the data ask for and which measure therefore counts first. title: of that measure."""
    asked = {
        "semantic": "The class of each pixel is asked for",
        "instances": "Objects are asked for, one by one",
        "membranes": "Cells parted by membranes are asked for",
    }.get(task, task)
    return f"{asked}{f': {reason}' if reason else ''}. So {title} counts first."


def role(subset: str, selecting: str | None) -> str:
    """What the scored images were to the model, in the fewest words. subset, selecting: as of `verdict`."""
    if subset == "all":
        return "all images of the data"
    if selecting is None:
        return f"the {subset} subset of the data"
    if subset == "train":
        return "the images it was trained on"
    if subset == selecting:
        return f"the {subset} subset: chose the weights, trained on none"
    return f"the {subset} subset: never trained on"


def caveats(
    images: int, subset: str, selecting: str | None, chosen: Sequence[str] = ("the best weights",)
) -> list[str]:
    """What limits the worth of a score, the gravest first; empty if nothing does.

    subset, selecting: as of `verdict`. chosen: what was chosen on the selecting subset.
    """
    said = []
    if subset == "train" and selecting is not None:
        said.append(
            "These images trained the model, so the score says how well it remembers, not how well it does on"
            " new images. Keep a few labelled images out of training to find out."
        )
    elif subset == selecting and images:
        said.append(
            f"These images chose {listed(chosen)}, so the score is slightly flattering. A test subset that"
            " nothing was chosen on gives an unbiased one."
        )
    if 0 < images < FEW_IMAGES:
        few = "One image was" if images == 1 else f"Only {images} images were"
        said.append(
            f"{few} scored: a rough estimate. With so few, another choice of images can move it a lot."
        )
    return said


def distribution_words(scored: Sequence[tuple[str, float]]) -> str:
    """How the scores of single images spread: the middle half, and the lowest with its name."""
    if not scored:
        return ""
    name, low = min(scored, key=lambda item: item[1])
    if len(scored) == 1:
        return f"The only image, {name}, scores {score(low)}."
    values = [value for _, value in scored]
    best = max(values)
    if best - low < 0.005:
        return f"All {len(scored)} images score alike, at {score(statistics.median(values))}."
    worst = f"the lowest is {name} with {score(low)}"
    if len(scored) < FEW_IMAGES:
        return f"The images score between {score(low)} and {score(best)}; {worst}."
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return f"Half of the images score between {score(lower)} and {score(upper)}; {worst}."


def accuracy_baseline(confusion: NDArray[Any], names: Sequence[str]) -> str:
    """What pixel accuracy is worth here: the accuracy of calling every pixel the most frequent class.

    confusion: counts [K, K], rows are the truth.
    """
    total = float(confusion.sum())
    if total == 0.0:
        return ""
    largest = int(confusion.sum(axis=1).argmax())
    share = float(confusion[largest].sum()) / total
    return f"Calling every pixel '{names[largest]}' would already reach {percent(share)}."


def frequent_confusions(confusion: NDArray[Any], most: int) -> list[tuple[int, int, float, float]]:
    """The confusions that cost the most pixels: (true class, taken for, share of the true, of all errors).

    confusion: counts [K, K], rows are the truth.
    """
    wrong = confusion.astype(np.float64)
    np.fill_diagonal(wrong, 0.0)
    errors, rows = wrong.sum(), confusion.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(confusion)) for place in order]
    return [
        (truth, taken, float(wrong[truth, taken] / rows[truth]), float(wrong[truth, taken] / errors))
        for truth, taken in pairs
        if wrong[truth, taken] > 0.0
    ]


def confusion_words(confusion: NDArray[Any], names: Sequence[str]) -> str:
    """The costliest confusion as a sentence."""
    worst = frequent_confusions(confusion, most=1)
    if not worst:
        return "No pixel was given a wrong class." if confusion.sum() else ""
    truth, taken, share, of_errors = worst[0]
    return (
        f"The costliest confusion: {percent(share)} of '{names[truth]}' is taken for '{names[taken]}', which"
        f" is {percent(of_errors)} of all wrong pixels."
    )


def case_words(confusion: NDArray[Any], names: Sequence[str]) -> str:
    """What is wrong in one image, in a sentence. confusion: counts [K, K], rows are the truth."""
    total, right = int(confusion.sum()), int(np.trace(confusion))
    if not total:
        return "No pixel of this image is labelled."
    if right == total:
        return "Every pixel is right."
    if len(names) == 2:
        return _binary_words(confusion, names[1])
    truth, taken, *_ = frequent_confusions(confusion, most=1)[0]
    return (
        f"{percent((total - right) / total)} of the pixels are wrong; most often '{names[truth]}' is taken"
        f" for '{names[taken]}'."
    )


def _binary_words(confusion: NDArray[Any], name: str) -> str:
    spurious, missed, found = (int(confusion[place]) for place in ((0, 1), (1, 0), (1, 1)))
    parts = []
    if missed:
        parts.append(f"{percent(missed / (missed + found))} of '{name}' is missed")
    if spurious:
        parts.append(
            f"{percent(spurious / (spurious + found))} of what is marked as '{name}' is something else"
        )
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."
