"""What a report is made of: plain facts, so that a page can be made, and tested, without a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from uvala.arrays import ClassMap, ImageArray, LabelMap
from uvala.evaluation.scores import Scores

__all__ = ["AugmentedPatch", "Card", "Example", "ReportData", "ShownCase"]


@dataclass(frozen=True, eq=False)
class ShownCase:
    """One image that was scored. image [C, H, W]; truth, prediction: uint8 [H, W], 0 to K-1 and IGNORE.

    mean_dice: None if no class of the image has a score. caption: instead of the words that the page finds.
    true_objects, objects: int32 [H, W], 0 outside objects; None where the task has no objects. score: of the
    task's main measure, by which cases are ranked; None where it has none.
    """

    name: str
    image: ImageArray
    truth: ClassMap
    prediction: ClassMap
    mean_dice: float | None
    caption: str = ""
    true_objects: LabelMap | None = None
    objects: LabelMap | None = None
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """One image of the data with its mask. image [C, H, W]; truth: uint8 [H, W], 0 to K-1 and IGNORE."""

    name: str
    image: ImageArray
    truth: ClassMap


@dataclass(frozen=True, eq=False)
class AugmentedPatch:
    """A patch as it is and as a training may change it. images [N, C, P, P] in units of the file, as it is
    first; truths: uint8 [N, P, P], 0 to K-1 and IGNORE.
    """

    name: str
    images: ImageArray
    truths: ClassMap


class Card(TypedDict, total=False):
    """The facts of a run that the page prints; what is missing is left out.

    run, data: the folders as their user wrote them. imported: whose checkpoint the weights are, if they were
    not trained here. classes: the names, in the order of their indices.
    seconds: of the whole training. finished: date and time, in words. machine: processor, memory, system.
    """

    run: str
    data: str
    imported: str
    model: str
    options: Mapping[str, Any]
    parameters: int
    classes: Sequence[str]
    seconds: float
    steps: int
    best_step: int | None
    device: str
    seed: int
    finished: str
    machine: str
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class ReportData:
    """All that the page is made of.

    encoding_rows: (value in the mask, class name, share of all pixels, images that contain it).
    data_notes: sentences about the data, the most telling first. settings: (dotted path, value, reason).
    events: the log, oldest first. scores: None if the run was not evaluated. worst, typical: cases of the
    scored subset; typical[0] stands at the top of the page. score_subset, selecting_subset: which images were
    scored, and which chose the best weights: "test", "val" or "train"; selecting_subset is None where nothing
    is known of how the model was made. chosen: what was chosen on that subset, in words. best: cases with the
    highest scores.
    scored_data: the folder of the scored images, as its user wrote it. samples_scored: whether the samples
    are of the scored images, because those trained on are not at hand. augmentation: (what about training
    images, how it is changed). augmented: patches of them as they are and changed so.
    """

    title: str
    card: Card
    encoding_rows: Sequence[tuple[str, str, float, int]] = ()
    data_notes: Sequence[str] = ()
    split_counts: Mapping[str, int] = field(default_factory=dict)
    split_origin: str = ""
    settings: Sequence[tuple[str, Any, str]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    scores: Scores | None = None
    score_subset: str = "test"
    selecting_subset: str | None = "val"
    chosen: Sequence[str] = ("the best weights",)
    worst: Sequence[ShownCase] = ()
    typical: Sequence[ShownCase] = ()
    best: Sequence[ShownCase] = ()
    samples: Sequence[Example] = ()
    warnings: Sequence[str] = ()
    scored_data: str = ""
    samples_scored: bool = False
    augmentation: Sequence[tuple[str, str]] = ()
    augmented: Sequence[AugmentedPatch] = ()
