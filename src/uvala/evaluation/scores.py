"""How good predictions are: what an evaluation found, and its form on disk."""

import json
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import Field

from uvala.config import Config, build
from uvala.errors import ConfigError, RunError
from uvala.files import write_json

__all__ = [
    "Bounds",
    "ClassScore",
    "CurvePoint",
    "ImageScore",
    "Measure",
    "ObjectScores",
    "PartitionCurve",
    "PartitionScores",
    "ProbabilityScores",
    "ReliabilityBin",
    "Scores",
    "SizeRecall",
    "Task",
]

Task = Literal["semantic", "membranes", "instances"]
Bounds = tuple[float, float] | None
"""Lower and upper end of a 95% interval; None where there is none."""


class ClassScore(Config):
    """One class over all images; None where the class is in no image, neither true nor predicted."""

    name: str
    dice: float | None = Field(description="2 TP / (2 TP + FP + FN) over all pixels of all images")
    iou: float | None = Field(description="TP / (TP + FP + FN) over all pixels of all images")
    precision: float | None = Field(description="TP / (TP + FP) over all pixels of all images")
    recall: float | None = Field(description="TP / (TP + FN) over all pixels of all images")
    image_dice: float | None = Field(description="mean Dice of the images where the class is present")
    image_dice_absent_as_one: float = Field(
        description="mean Dice of all images, 1 where the class is absent"
    )
    images_present: int = Field(description="images with the class in truth or prediction")
    images_absent: int = Field(description="images with the class in neither")
    images_missed: int = Field(description="images with the class in truth, but nowhere predicted: Dice 0")
    images_false_alarm: int = Field(description="images with the class predicted, but not in truth: Dice 0")
    dice_interval: Bounds = Field(None, description="95% bootstrap interval of `dice`, images resampled")
    image_dice_interval: Bounds = Field(None, description="95% bootstrap interval of `image_dice`")
    specificity: float | None = Field(None, description="TN / (TN + FP) over all pixels of all images")
    matthews: float | None = Field(None, description="Matthews correlation of the class against the rest")
    roc_auc: float | None = Field(None, description="area under the ROC curve of the class's probability")
    average_precision: float | None = Field(None, description="area under precision over recall, likewise")
    best_f1: float | None = Field(None, description="largest F1 (Dice) over thresholds of its probability")
    best_threshold: float | None = Field(None, description="the threshold of `best_f1`")


class Measure(Config):
    """One measure of the images, summed up: its mean, how sure that is, and what it stands on."""

    name: str = Field(description="'dice', 'hd95/cell', 'ap', ...: as in `ImageScore.measures`")
    words: str = Field("", description="what it is, in a few words")
    mean: float | None = Field(description="mean over the images that have a value")
    interval: Bounds = Field(
        None, description="95% bootstrap interval of the mean, images (groups) resampled"
    )
    mean_absent_as_perfect: float | None = Field(
        None, description="the same with absent images as if perfect"
    )
    higher_is_better: bool = True
    unit: str = Field("", description="of a distance: 'px' or a physical one")
    images: int = Field(description="images that have a value")
    absent: int = Field(0, description="images without one: the structure is in neither truth nor prediction")
    missed: int = Field(
        0,
        description="of `images`, those where the structure is only in the truth: 0 or the image's diagonal, "
        "but for specificity and the measures of cells, which are what their formulas give",
    )
    spurious: int = Field(
        0,
        description="likewise, those where it is only in the prediction; such images have no value of the "
        "measures of cells and are among `undefined` there",
    )
    undefined: int = Field(
        0,
        description="images without a value although the structure is there, left out of both means: "
        "specificity of a class that is all of the truth, distance of an outline along ignored pixels only, "
        "measures of cells where there are only predicted ones",
    )


class SizeRecall(Config):
    """How many of the true objects of some size were found (IoU above 0.5)."""

    smallest: int = Field(description="area of the smallest of them, pixels")
    largest: int = Field(description="area of the largest, pixels")
    objects: int = Field(description="true objects of that size")
    found: int = Field(description="of these, how many were found")


class ObjectScores(Config):
    """Objects against objects. Counts are over all images."""

    thresholds: tuple[float, ...] = Field(description="IoU from which on two objects match")
    true_positives: tuple[int, ...]
    false_positives: tuple[int, ...]
    false_negatives: tuple[int, ...]
    ap: tuple[float | None, ...] = Field(description="TP / (TP + FP + FN) of these counts")
    mean_ap: float | None = Field(description="mean of `ap` over the thresholds")
    image_mean_ap: float | None = Field(description="mean over images of their own mean AP, absent left out")
    mean_ap_interval: Bounds = Field(None, description="95% bootstrap interval of `mean_ap`")
    ap50_interval: Bounds = Field(None, description="of the AP at 0.5")
    ap75_interval: Bounds = Field(None, description="of the AP at 0.75")
    f1: tuple[float | None, ...] = Field((), description="2 TP / (2 TP + FP + FN)")
    f1_interval: Bounds = Field(None, description="95% bootstrap interval of the F1 at 0.5")
    panoptic_quality: float | None = Field(None, description="PQ at IoU above 0.5")
    panoptic_quality_interval: Bounds = None
    segmentation_quality: float | None = Field(None, description="SQ: mean IoU of the matches")
    segmentation_quality_interval: Bounds = None
    recognition_quality: float | None = Field(None, description="RQ: F1 at IoU above 0.5")
    recognition_quality_interval: Bounds = None
    aggregated_jaccard: float | None = Field(None, description="AJI over all images")
    aggregated_jaccard_interval: Bounds = None
    coco_ap: float | None = Field(None, description="COCO's AP, IoU 0.5 to 0.95")
    coco_ap50: float | None = None
    coco_ap75: float | None = None
    true_objects: int = Field(description="objects in the truth")
    predicted_objects: int = Field(description="objects in the prediction")
    missed: int = Field(
        0, description="true objects that no predicted one matches (IoU above 0.5), not split"
    )
    spurious: int = Field(0, description="predicted objects that match no true one and merge none")
    split: int = Field(0, description="true objects cut into several predicted ones")
    merged: int = Field(0, description="predicted objects that join several true ones")
    images_absent: int = Field(0, description="images without any object, true or predicted")
    sizes: tuple[SizeRecall, ...] = Field((), description="recall by size, ascending")
    method: str = Field("", description="how objects were found, in words")
    from_components: bool = Field(
        False, description="objects, true or predicted, are but the connected components of a class"
    )
    components: Literal["", "true", "predicted", "true and predicted"] = Field(
        "", description="which of them are, since only their classes were named"
    )

    @property
    def components_words(self) -> str:
        """Which objects are but connected components, as a sentence; empty if none are."""
        if not self.from_components:
            return ""
        which = self.components or "true"  # evaluations of older versions say it of the true ones only
        whose = {
            "true": ("masks name", "a true object"),
            "predicted": ("predictions name", "a predicted object"),
            "true and predicted": ("masks and the predictions name", "one object"),
        }
        who, what = whose[which]
        return f"The {who} classes only: what hangs together in them is taken as {what}."


class PartitionCurve(Config):
    """V_rand and V_info over the threshold of the cells' probability; means over the images."""

    thinned: bool = Field(description="whether borders were thinned to one pixel first")
    thresholds: tuple[float, ...]
    v_rand: tuple[float | None, ...]
    v_rand_split: tuple[float | None, ...]
    v_rand_merge: tuple[float | None, ...]
    v_info: tuple[float | None, ...]
    v_info_split: tuple[float | None, ...]
    v_info_merge: tuple[float | None, ...]
    best_v_rand: float | None = Field(description="largest mean V_rand over the thresholds")
    best_v_rand_threshold: float | None = None
    best_v_rand_interval: Bounds = None
    best_v_info: float | None = Field(description="largest mean V_info over the thresholds")
    best_v_info_threshold: float | None = None
    best_v_info_interval: Bounds = None


class PartitionScores(Config):
    """Membranes: how well the cells are told apart. Truth without cell (0) is left out everywhere."""

    plain: PartitionCurve
    thinned: PartitionCurve
    chosen_threshold: float = Field(description="the model's own threshold, tuned on validation images")
    v_rand: float | None = Field(None, description="of the model's own objects, mean over images")
    v_info: float | None = Field(None, description="likewise")
    adapted_rand_error: float | None = Field(None, description="1 - V_rand as scikit-image computes it")
    variation_of_information: float | None = Field(None, description="bits, split and merge parts added")
    images_absent: int = Field(0, description="images without a true cell, whatever is predicted there")


class CurvePoint(Config):
    """A class's precision and recall where its probability reaches a threshold."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


class ReliabilityBin(Config):
    """Pixels of about the same confidence, and how many of them are right."""

    confidence: float | None = Field(description="mean probability of the predicted class")
    accuracy: float | None = Field(description="share of them whose class is right")
    pixels: int


class ProbabilityScores(Config):
    """What the probabilities are worth."""

    calibration_error: float | None = Field(description="ECE: mean distance of confidence and accuracy")
    largest_calibration_error: float | None = Field(description="MCE: the largest one of a bin")
    brier: float | None = Field(description="mean squared error, summed over the classes: 0 to 2")
    log_loss: float | None = Field(description="negative log-likelihood of the true class, nats")
    temperature: float = Field(1.0, description="by which the model's logits are divided, from validation")
    reliability: tuple[ReliabilityBin, ...] = ()
    curve_class: int = Field(1, description="whose curve `curve` is: the class of interest")
    curve: tuple[CurvePoint, ...] = Field((), description="over about a hundred thresholds")
    pixels: int = Field(0, description="pixels counted")


class ImageScore(Config):
    """One image; Dice and IoU in the order of the classes, None where a class is absent from it."""

    name: str
    pixels: int = Field(description="pixels that were counted, so without ignored ones")
    accuracy: float | None = Field(description="share of them that are right; None if there are none")
    dice: tuple[float | None, ...]
    iou: tuple[float | None, ...]
    mean_dice: float | None = Field(description="mean over the classes that are present")
    group: str = Field("", description="images of one group are not independent: patient, slide, stack")
    content: str = Field("", description="hash of the image's pixels: by it two evaluations are compared")
    measures: dict[str, float | None] = Field(
        default_factory=dict, description="every measure by name; None where the structure is absent"
    )


class Scores(Config):
    """An evaluation. Numbers are 0 to 1, more is better, None where there is nothing to score."""

    subset: str = Field(description="which images: train, val, test, all")
    policy: str = Field(description="how empty classes and ignored pixels were treated, in words")
    classes: tuple[ClassScore, ...]
    mean_dice: float | None = Field(description="mean of the classes' Dice over all pixels")
    mean_iou: float | None = Field(description="mean of the classes' IoU over all pixels")
    accuracy: float | None = Field(description="share of pixels whose class is right")
    confusion: tuple[tuple[int, ...], ...] = Field(description="pixels; rows truth, columns prediction")
    images: tuple[ImageScore, ...]
    task: Task = Field("semantic", description="what the data ask for, which decides the main measure")
    task_reason: str = Field("", description="why this task, as half a sentence")
    main: str = Field("dice", description="the measure of `measures` that counts first for this task")
    main_value: float | None = Field(None, description="its value over the subset")
    main_interval: Bounds = None
    micro_dice: float | None = Field(None, description="Dice of all foreground pixels taken as one class")
    weighted_iou: float | None = Field(None, description="IoU weighted by how frequent each class is")
    foreground_dice: float | None = Field(None, description="mean of the classes' Dice without class 0")
    mean_dice_interval: Bounds = None
    mean_iou_interval: Bounds = None
    measures: tuple[Measure, ...] = Field((), description="each measure of the images, summed up")
    objects: ObjectScores | None = None
    partition: PartitionScores | None = None
    probabilities: ProbabilityScores | None = None
    spacing: tuple[float, float] = Field((1.0, 1.0), description="size of a pixel, rows and columns")
    unit: str = Field("px", description="of `spacing` and of distances")
    tolerance: float = Field(2.0, description="of the normalised surface Dice, in `unit`")
    confidence: float = Field(0.95, description="share of the intervals that should hold the true value")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their indices."""
        return tuple(score.name for score in self.classes)

    @property
    def median_dice(self) -> float | None:
        """The middle one of the images' mean Dice; None if no image has one."""
        known = [image.mean_dice for image in self.images if image.mean_dice is not None]
        return median(known) if known else None

    def to_json(self, path: str | Path) -> None:
        """Write all of it as JSON; None becomes null."""
        write_json(Path(path), self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, path: str | Path) -> "Scores":
        """The scores that `to_json` wrote; RunError if the file holds none."""
        try:
            return build(cls, json.loads(Path(path).read_text(encoding="utf-8")), where=str(path))
        except (OSError, ValueError, TypeError, ConfigError) as error:
            raise RunError(
                found=f"{path}, which cannot be read as scores ({type(error).__name__})",
                expected="the JSON file that an evaluation writes",
                fix="evaluate again",
            ) from error
