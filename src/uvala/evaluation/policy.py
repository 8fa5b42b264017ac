"""What each metric says where there is nothing to measure: written once, printed with every result."""

from collections.abc import Mapping, Sequence

__all__ = ["POLICY", "policy_of"]

_IGNORED = (
    "Pixels that the truth marks as ignored, or that lie outside the field of view, are never "
    "counted, by any measure."
)
POLICY: Mapping[str, str] = {
    "pixels": (
        "Dice, IoU, precision and recall are those of all pixels of the subset together. Image Dice is "
        "the mean over the images that hold the class in truth or prediction. An image that holds a "
        "class in neither is left out of the class's image Dice and counted as absent. Image Dice "
        "'absent as 1' counts absent images as 1. A class that an image holds only in the truth "
        "(missed) or only in the prediction (spurious) has a Dice of 0 in that image. Specificity of a "
        "class that is all of the truth is undefined and left out."
    ),
    "outlines": (
        "Distances between outlines are means over the images that hold the class in truth or "
        "prediction. Where only the truth or only the prediction of an image holds a class, the "
        "distance is the diagonal of the image, and NSD and boundary IoU are 0, so that a miss is worse "
        "than any hit. Distances 'absent as 0' count absent images as distance 0. A class that borders "
        "only on pixels that do not count has no outline, and its distance is undefined and left out."
    ),
    "topology": (
        "Errors in pieces and holes, and clDice, are means over the images that hold the class in "
        "truth or prediction. Where only the truth or only the prediction of an image holds a class, "
        "clDice is 0."
    ),
    "objects": (
        "AP, F1, PQ and AJI are those of all objects of the subset together. An image without any "
        "object, true or predicted, changes none of these scores and is counted as absent. Means over "
        "images 'absent as 1' count images without any object as 1. An image of which only the truth "
        "or only the prediction has objects scores 0. An object more than half of whose pixels are not "
        "counted is left out."
    ),
    "partition": (
        "V_rand and V_info are means over the images with a true cell. V_rand and V_info leave out "
        "pixels of true membrane, and take a pixel of a true cell that is predicted as membrane as a "
        "piece of its own, as in the ISBI 2012 challenge. An image without a true cell has no V_rand: "
        "such an image is counted as spurious where cells are predicted, else as absent."
    ),
    "probabilities": (
        "Calibration error, Brier score and log loss are means over all counted pixels of the subset "
        "together, so a large image weighs more. ROC AUC and average precision of a class that no "
        "image holds are left out."
    ),
}
"""By the part of an evaluation that it is about."""


def policy_of(parts: Sequence[str]) -> str:
    """The policies of these parts of an evaluation, a line each."""
    return "\n".join([*(POLICY[part] for part in parts), _IGNORED])
