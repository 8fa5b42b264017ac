"""Decisions about the data: how levels are scaled, what is learnt of objects, the loss, which patches."""

from uvala.data.target_config import TargetConfig
from uvala.plan.choices import Choices
from uvala.plan.situation import Situation

__all__ = ["choose_loss", "choose_normalisation", "choose_sampling", "choose_targets", "extra_logits"]

_BRIGHTNESS_SPREAD = 3.0
_RARE = 0.02  # share of the pixels
_NEARLY = 1.5  # times the thickness of the thinnest class


def choose_normalisation(choices: Choices, case: Situation) -> None:
    """One scale for all images, or one for each."""
    facts = case.facts
    if facts.brightness_spread > _BRIGHTNESS_SPREAD:
        reason = f"bright images are {facts.brightness_spread:.1f} times as bright as dim ones"
        choices.choose("normalisation.by", "image", reason)
    else:
        choices.choose("normalisation.by", "dataset", "the images are about equally bright")
    channel = "of the training images, channel by channel"
    choices.choose("normalisation.low", facts.low, f"darkest level {channel}")
    choices.choose("normalisation.high", facts.high, f"brightest level {channel}")


def choose_targets(choices: Choices, case: Situation) -> None:
    """What is learnt besides the classes, where there are objects to be told apart."""
    path = "targets.objects"
    if case.task == "objects":
        # the best of the four on DSB2018 at equal steps (docs/benchmarks.md), without an output of its own
        touching = case.objects.touching or 0.0
        reason = (
            f"the masks number objects, and {touching:.0%} of them touch: the gaps between them weigh more"
        )
        choices.choose(path, "weights", f"{reason}, as in the U-Net paper")
    elif case.membrane == 0:
        # ISBI, 700 steps: V_rand after thinning 0.92 with them, 0.86 without, on validation images
        thick = case.objects.thickness[0]
        reason = f"membranes of {thick:.0f} pixels part {case.objects.pieces[1]:.0f} cells in an image"
        choices.choose(
            path, "weights", f"{reason}: they weigh more where they are thin, as in the U-Net paper"
        )
    else:
        choices.choose(path, "classes", "the masks name classes and not objects")


def extra_logits(choices: Choices) -> int:
    """Channels of the logits besides those of the classes."""
    return TargetConfig(objects=choices["targets.objects"]).extra_logits


def choose_loss(choices: Choices, case: Situation) -> None:
    """Cross-entropy for calibrated probabilities, Dice for classes of any size."""
    rarest = _rarest(case)
    if choices["loss.cldice"] > 0:
        _choose_thin_classes(choices, case)
    choices.choose("loss.cross_entropy", 1.0, "each pixel counts, and probabilities mean what they say")
    choices.choose(
        "loss.dice", 1.0, f"each class counts alike, also the rarest with {rarest:.2%} of the pixels"
    )


def _choose_thin_classes(choices: Choices, case: Situation) -> None:
    """Which classes hang together by clDice: the thinnest, and those nearly as thin."""
    thick = {index: value for index, value in enumerate(case.objects.thickness) if value > 0}
    if not thick:
        return
    thin = [index for index, value in thick.items() if value <= _NEARLY * min(thick.values())]
    widest = max(thick[index] for index in thin)
    names = ", ".join(case.names[index] for index in thin)
    reason = f"the thinnest: {names}, up to {widest:.0f} pixels thick"
    choices.choose("loss.cldice_classes", tuple(thin), reason)
    choices.choose("loss.cldice_iterations", max(1, round(widest / 2)), reason)


def choose_sampling(choices: Choices, case: Situation) -> None:
    """How often a patch is centred on a class drawn evenly."""
    rarest = _rarest(case)
    if rarest < _RARE:
        choices.choose("patches.class_share", 0.5, f"the rarest class has {rarest:.2%} of the pixels")
    else:
        reason = f"the rarest class has {rarest:.0%} of the pixels and is in most patches anyway"
        choices.choose("patches.class_share", 0.33, reason)


def _rarest(case: Situation) -> float:
    return min((share for share in case.facts.class_shares if share > 0), default=1.0)
