"""A network that predicts one class everywhere: what is the likely cause."""

from collections.abc import Mapping

from uvala.training.watchdog import Watch

__all__ = ["likely_cause"]

_TINY = 0.02  # share of the pixels of all other classes together
_FALLEN = 0.9  # a smoothed loss above this share of the first one has not fallen


def likely_cause(predicted: str, shares: Mapping[str, float], watch: Watch, learning_rate: float) -> str:
    """The likeliest reason why only the class `predicted` is predicted, and what to do, as a sentence.

    shares: of each class, by name, in the training's pixels. watch: how the loss went. learning_rate: the
    highest one of the plan.
    """
    if watch.rewinds:
        return (
            f"the learning rate is likely too high, since the training has been put back {watch.rewinds} "
            f"time{'s' * (watch.rewinds != 1)}: set optimiser.learning_rate below {learning_rate:g}"
        )
    others = 1 - shares.get(predicted, 0.0)
    if 0 < others < _TINY:
        return (
            f"all other classes have {others:.2%} of the pixels: give it time, or raise patches.class_share "
            "and the Dice or Tversky part of the loss"
        )
    fallen = watch.smoothed is not None and watch.first is not None and watch.smoothed < _FALLEN * watch.first
    if fallen:
        return "the loss is falling, so it may need more time; if it stays so, see `uvala check`"
    return (
        "the loss has hardly fallen: either the masks do not show what the images show (`uvala check` says "
        f"how they are read), or the learning rate of {learning_rate:g} is far too high or too low"
    )
