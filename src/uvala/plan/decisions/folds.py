"""Whether the time is better spent on several networks than on one."""

from collections.abc import Mapping
from typing import Any

from uvala.plan.budget import format_duration

__all__ = ["folds_advice", "folds_for"]

FOLDS = 5
# Not measured. Ten minutes on two cores are all that ISBI's 20 slices can teach; of larger data, or for wider
# networks, more time for one still pays.
_SECONDS_OF_EACH = 3600.0
_SECONDS_FOR_ADVICE = 3600.0  # of which a fifth still trains a good network
_FEWEST = 10  # groups of images, or single ones


def folds_for(wanted: Mapping[str, Any], budget: float | None, groups: int) -> tuple[int, str]:
    """How many folds to train, and why; 1 without a reason where one network is trained.

    wanted: settings that are asked for, by dotted path. groups: of images that may be parted, or single ones.
    A network that somebody asked for, as each recipe does, is trained once unless folds are asked for, too.
    """
    if "folds" in wanted or "model.name" in wanted or budget is None or groups < _FEWEST:
        return 1, ""
    if budget < FOLDS * _SECONDS_OF_EACH:
        return 1, ""
    each = format_duration(budget / FOLDS)
    return FOLDS, (
        f"about {each} for each of {FOLDS} networks, whose mean is usually better than one; predicting takes "
        f"{FOLDS} times as long, --folds 1 trains one"
    )


def folds_advice(planned: Mapping[str, Any], wanted: Mapping[str, Any], groups: int) -> str:
    """That folds may be worth the time, in a sentence; "" where they are planned or wanted, or not worth it.

    planned, wanted: settings by dotted path. groups: as of `folds_for`.
    """
    budget = planned["length.budget"]
    if "folds" in wanted or planned["folds"] > 1 or groups < _FEWEST:
        return ""
    if budget is None or budget < _SECONDS_FOR_ADVICE:
        return ""
    better = f"{FOLDS} networks that are averaged are usually better than one"
    return f"with so much time, {better}: --folds {FOLDS}"
