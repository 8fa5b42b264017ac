"""Decisions about what happens after the training: how images are predicted."""

from dataclasses import replace

from uvala.plan.choices import Choices
from uvala.plan.decisions.candidates import candidate_of
from uvala.plan.prices import Prices
from uvala.plan.probe import autocast_dtype
from uvala.plan.situation import Situation

__all__ = ["choose_test_time", "seconds_per_pixel"]

_SHARE = 0.06  # of the budget that predicting the validation and test images may take
_IN_FULL = 2.0  # times that of half precision: twice the bytes, and at most half the multiply-adds a second
_FORWARD = 0.35  # of a training step, the forward pass and what is around it


def choose_test_time(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """Mirrored and turned views: of those directions that are equal, as many as there is time for."""
    found = case.orientation
    views = {
        "flip_vertical": not found.vertical,
        "flip_horizontal": not found.horizontal,
        "quarter_turns": not (found.vertical or found.horizontal),
    }
    if prices is None or case.budget is None:
        reason = "one view of an image: with a number of steps nobody said how much time there is"
        chosen = dict.fromkeys(views, False)
    else:
        seconds = seconds_per_pixel(choices, case, prices) * case.pixels_after
        chosen, reason = _affordable(views, seconds, _SHARE * case.budget)
        reason = f"{reason}; one view of the images to be scored takes about {seconds:.1f} s"
    for name, value in chosen.items():
        choices.choose(f"test_time.{name}", value, reason)


def seconds_per_pixel(choices: Choices, case: Situation, prices: Prices) -> float:
    """Seconds that predicting one view of an image takes for each of its pixels, about."""
    # what predicts is not in half precision; on a GPU nobody measures how long it takes otherwise
    candidate = replace(candidate_of(choices, case).part, precision="auto")
    each = _FORWARD * prices.seconds(candidate) / (candidate.batch * candidate.patch**2)
    device = case.machine.device
    if device.type == "cuda" and autocast_dtype(choices["precision"], device) is not None:
        each *= _IN_FULL
    return each


def _affordable(views: dict[str, bool], seconds: float, limit: float) -> tuple[dict[str, bool], str]:
    """All views that are possible, or the flips, or one flip, or none."""
    flips = {**views, "quarter_turns": False}
    one = {**flips, "flip_vertical": False}
    for chosen in (views, flips, one):
        number = 2 ** sum(chosen.values())
        if number > 1 and number * seconds <= limit:
            return chosen, f"the mean of {number} views is better than one"
    return dict.fromkeys(views, False), "one view of an image: more would take time from the training"
