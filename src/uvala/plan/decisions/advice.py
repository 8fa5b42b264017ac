"""What the planner does not decide, and says."""

from uvala.plan.choices import Choices
from uvala.plan.situation import Situation

__all__ = ["advice"]

_FOLDS_SECONDS = 3600.0  # of which a fifth still trains a good network
_FOLDS_IMAGES = 10


def advice(choices: Choices, case: Situation) -> list[str]:
    """What a user may want to do beyond the plan, in sentences."""
    if (
        case.budget is None
        or case.budget < _FOLDS_SECONDS
        or len(case.sizes) < _FOLDS_IMAGES
        or not choices.open("folds")
    ):
        return []
    return ["with so much time, five networks that are averaged are usually better than one: --folds 5"]
