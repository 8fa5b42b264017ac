"""Decisions about augmentation: which directions are equal, and how strongly images are changed."""

from uvala.augment.config import AugmentConfig
from uvala.plan.choices import Choices
from uvala.plan.situation import Situation

__all__ = ["choose_directions", "choose_strength"]

# How often an image is seen. AP and Dice of DSB2018's validation images, one seed, half the resolution:
# seen 26 times 0.550 and 0.912 with flips and turns alone, 0.532 and 0.909 with the usual changes; seen 61
# times 0.567 and 0.964 (mean of both classes), with the usual changes and 7% more steps 0.543 and 0.962.
_SELDOM = 100
_OFTEN = 150  # from here on its copies have to differ more from each other
_STRONGER = 1.5
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
        reason = f"each image is seen about {seen:.1f} times, and flips and turns make enough different ones"
        for name, field in AugmentConfig.model_fields.items():
            if name.endswith("_probability") and field.default:
                choices.choose(f"augment.{name}", 0.0, reason)
    elif seen > _OFTEN:
        reason = f"each image is seen about {seen:,.0f} times"
        for name in ("rotation_probability", "scale_probability", "elastic_probability"):
            usual = AugmentConfig.model_fields[name].default
            choices.choose(f"augment.{name}", round(min(0.8, _STRONGER * usual), 2), reason)
