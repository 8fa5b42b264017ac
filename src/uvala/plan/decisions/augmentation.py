"""Decisions about augmentation: which directions are equal, and how strongly images are changed."""

from uvala.plan.choices import Choices
from uvala.plan.situation import Situation

__all__ = ["choose_directions", "choose_strength"]

# how often an image is seen before its copies have to differ more from each other
_SELDOM, _OFTEN = 8, 150
_THIN = 5.0  # pixels; a blur of 1 pixel takes half the contrast of a line of 3


def choose_directions(choices: Choices, case: Situation) -> None:
    """Flips and turns."""
    found = case.orientation
    choices.choose("augment.flip_vertical", not found.vertical, found.reason)
    choices.choose("augment.flip_horizontal", not found.horizontal, found.reason)
    upright = found.vertical or found.horizontal
    choices.choose("augment.quarter_turns", not upright, found.reason)
    choices.choose("augment.rotation", 10.0 if upright else 180.0, found.reason)


def choose_strength(choices: Choices, case: Situation, steps: float | None) -> None:
    """How much else changes, by how often the network will see each image."""
    if case.finest < _THIN:
        reason = f"the smallest structures are {case.finest:.1f} pixels wide, and a blur would hide them"
        choices.choose("augment.blur_probability", 0.05, reason)
    if steps is None:
        return
    seen = steps * choices["patches.batch"] * choices["patches.size"] ** 2 / max(1, case.area)
    if seen < _SELDOM:
        reason = f"each image is seen about {seen:.1f} times, and rarely the same way anyway"
        strength = 0.5
    elif seen > _OFTEN:
        reason = f"each image is seen about {seen:,.0f} times"
        strength = 1.5
    else:
        return
    for name, usual in (("rotation", 0.5), ("scale", 0.5), ("elastic", 0.3)):
        choices.choose(f"augment.{name}_probability", round(min(0.8, strength * usual), 2), reason)
