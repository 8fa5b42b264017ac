"""Decisions about patches: how large, and how many in a step."""

import math

import numpy as np

from uvala.plan.choices import Choices
from uvala.plan.decisions.candidates import is_open
from uvala.plan.decisions.resolution import coarsest_fold
from uvala.plan.situation import Situation

__all__ = ["choose_batch", "choose_patch"]

_LARGEST = {"cpu": 256, "cuda": 512, "mps": 256}
_BATCH = {"cpu": 4, "cuda": 16, "mps": 8}
_SMALLEST = 32


def choose_patch(choices: Choices, case: Situation) -> None:
    """The side of a patch: what fits into the images, up to what gives enough different patches.

    By the resolution of the network, as far as it is decided: to be asked once more when it is.
    """
    fold = choices.model_options().get("fold")
    if fold is None:
        fold = coarsest_fold(case)[0] if is_open(choices, "fold") else 1
    largest = _LARGEST[case.machine.kind] * (3 if fold == 4 else 2) // 2
    side = float(np.median([min(size) for size in case.sizes]))
    size = int(min(largest, max(_SMALLEST, math.ceil(side / _SMALLEST) * _SMALLEST)))
    reason = (
        f"enough context, and many different patches, from images of about {side:.0f} pixels"
        if size < side
        else f"the images' shorter side is about {side:.0f} pixels"
    )
    choices.choose("patches.size", size, reason)


def choose_batch(choices: Choices, case: Situation) -> None:
    """How many patches there are in a step, to begin with."""
    reason = "enough patches for a steady gradient, few enough for many steps"
    batch = _BATCH[case.machine.kind]
    if case.ranks > 1:
        # even, because patches may be mixed in pairs
        batch = case.ranks * 2 * max(1, round(batch / case.ranks / 2))
        reason += f"; a multiple of {case.ranks} processes, an even number for each"
    choices.choose("patches.batch", batch, reason)
