"""Decisions about the data: how levels are scaled, what is learnt of objects, the loss, which patches."""

from uvala.data.patch_config import PatchConfig
from uvala.data.target_config import TargetConfig
from uvala.data.wording import count
from uvala.plan.choices import Choices
from uvala.plan.situation import Situation

__all__ = ["choose_loss", "choose_normalisation", "choose_sampling", "choose_targets", "extra_logits"]

_BRIGHTNESS_SPREAD = 3.0
_RARE = 0.02  # share of the pixels
# Share of the objects that share an edge with another, above which there are too few gaps to learn from. Of
# DSB2018's nuclei 28% do, and there gaps that weigh more are better than outlines.
_ADJOINING = 0.5
_SHARE_OF_RARE = 0.5  # of the patches that are centred on a class, where one is rare
_NEARLY = 1.5  # times the thickness of the thinnest class
_MOST_ITERATIONS = 100  # that clDice takes


def choose_normalisation(choices: Choices, case: Situation) -> None:
    """One scale for all images, or one for each."""
    facts = case.facts
    if facts.brightness_spread > _BRIGHTNESS_SPREAD:
        reason = f"bright images are {facts.brightness_spread:.1f} times as bright as dim ones"
        choices.choose("normalisation.by", "image", reason)
    elif case.upright:
        # CamVid, whose validation images show another time of day, after 450 steps: mean validation Dice
        # 0.246 scaled one by one, and 0.092 scaled together, which fell while it was trained
        reason = f"{case.upright}: in scenes under the sky, light changes from one image to the next"
        choices.choose("normalisation.by", "image", reason)
        choices.choose("normalisation.levels", "deviation", "each by its own mean and deviation")
    else:
        choices.choose("normalisation.by", "dataset", "the images are about equally bright")
    channel = "of the training images, channel by channel"
    choices.choose("normalisation.low", facts.low, f"darkest level {channel}")
    choices.choose("normalisation.high", facts.high, f"brightest level {channel}")


def choose_targets(choices: Choices, case: Situation) -> None:
    """What is learnt besides the classes, where there are objects to be told apart."""
    path = "targets.objects"
    if case.task == "objects":
        touching, adjoining = case.objects.touching or 0.0, case.objects.adjoining or 0.0
        if adjoining > _ADJOINING:
            reason = f"the masks number objects, and {adjoining:.0%} of them share an edge with another"
            choices.choose(path, "borders", f"{reason}: with no gaps to weigh more, outlines are learnt")
            return
        # the best of the four on DSB2018 at equal steps (docs/benchmarks.md), without an output of its own
        reason = "the masks number objects" + (f", and {touching:.0%} of them touch" if touching else "")
        choices.choose(path, "weights", f"{reason}: gaps between them weigh more, as in the U-Net paper")
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
    rarest, _ = _rarest(case)
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
    choices.choose("loss.cldice_iterations", min(_MOST_ITERATIONS, max(1, round(widest / 2))), reason)


def choose_sampling(choices: Choices, case: Situation) -> None:
    """How often a patch is centred on a class drawn evenly."""
    rarest, images = _rarest(case)
    share, reason = PatchConfig().class_share, f"the rarest class has {rarest:.0%} of the pixels"
    if rarest < _RARE:
        share, reason = _SHARE_OF_RARE, f"the rarest class has {rarest:.2%} of the pixels"
    elif images > case.facts.images / 2:
        reason += " and is in most images anyway"
    else:
        reason += f", all of them in {count(images, 'image')} of {case.facts.images:,}"
    room = 1 - choices["patches.object_share"]
    if share > room:
        share, reason = room, f"what patches around objects leave; {reason}"
    choices.choose("patches.class_share", round(share, 6), reason)


def _rarest(case: Situation) -> tuple[float, int]:
    """Share of the pixels of the rarest class that is there, and the number of its images."""
    facts = case.facts
    there = [each for each in zip(facts.class_shares, facts.class_images, strict=True) if each[0] > 0]
    return min(there, default=(1.0, facts.images))
