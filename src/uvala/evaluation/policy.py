"""What each metric says where there is nothing to measure: written once, printed with every result."""

from collections.abc import Mapping, Sequence

__all__ = ["POLICY", "policy_of"]

_IGNORED = (
    "Pixels that the truth marks as ignored, or that lie outside the field of view, are never "
    "counted, by any measure."
)
POLICY: Mapping[str, str] = {
    "pixels": (
        "Dice, IoU, precision and recall are those of all pixels of the subset together; image Dice "
        "is the mean over the images that hold the class in truth or prediction. An image that holds "
        "it in neither is left out of that mean and counted as absent; 'absent as 1' is the mean with "
        "such images counted as 1. A class that an image holds only in the truth (missed) or only in "
        "the prediction (spurious) scores 0 there."
    ),
    "outlines": (
        "Distances between outlines are means over the images that hold the class in truth or "
        "prediction. Where only one of the two holds it, the distance is the diagonal of the image "
        "and NSD and boundary IoU are 0, so that a miss is worse than any hit. 'absent as 0' is the "
        "mean with absent images counted as distance 0. Where a class borders only on pixels that do "
        "not count, it has no outline, and no distance."
    ),
    "topology": (
        "clDice and the errors in pieces and holes are means over the images that hold the class in "
        "truth or prediction; clDice is 0 where only one of the two holds it."
    ),
    "objects": (
        "AP, F1, PQ and AJI are those of all objects of the subset together. An image without any "
        "object, true or predicted, changes none of them and is counted as absent; in 'absent as 1' "
        "of the mean over images it counts as 1. Where only the truth or only the prediction has "
        "objects, an image scores 0. An object more than half of whose pixels are not counted is left "
        "out."
    ),
    "partition": (
        "V_rand and V_info are means over the images with a true cell; pixels of true membrane are "
        "left out, and a pixel of a true cell that is predicted as membrane is a piece of its own, as "
        "in the ISBI 2012 challenge. An image without a true cell has no score and is counted as "
        "absent."
    ),
    "probabilities": (
        "Calibration error, Brier score and log loss are means over all counted pixels of the subset "
        "together, so a large image weighs more; ROC AUC and average precision of a class that no "
        "image holds are left out."
    ),
}
"""By the part of an evaluation that it is about."""


def policy_of(parts: Sequence[str]) -> str:
    """The policies of these parts of an evaluation, a line each."""
    return "\n".join([*(POLICY[part] for part in parts), _IGNORED])
