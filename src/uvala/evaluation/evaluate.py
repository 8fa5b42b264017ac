"""Predictions against truth, one image at a time, by every measure that the task and the input allow."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ClassMap, LabelMap
from uvala.config import build, override
from uvala.errors import DataError, ShapeError
from uvala.evaluation.case import Case, Method
from uvala.evaluation.cells import Curves, cell_measures, cell_state, partition_scores
from uvala.evaluation.classes import class_scores, class_states, pixel_measures, pooled_intervals
from uvala.evaluation.config import EvaluationConfig, TaskWish
from uvala.evaluation.measures import Image, State, Whole, known, summed_up
from uvala.evaluation.objects import ObjectTally
from uvala.evaluation.outlines import outline_measures, topology_measures
from uvala.evaluation.policy import policy_of
from uvala.evaluation.probabilities import ProbabilityTally
from uvala.evaluation.resampling import Resampling
from uvala.evaluation.scores import ImageScore, Measure, ObjectScores, PartitionScores, Scores, Task
from uvala.evaluation.task import LOOKED_AT, FoundTask, find_task
from uvala.instances.components import connected_components
from uvala.metrics.pixels import (
    confusion_matrix,
    counted_pixels,
    dice,
    frequency_weighted,
    iou,
    macro,
    micro,
    pixel_accuracy,
)

__all__ = ["MAIN", "evaluate"]

MAIN: Mapping[Task, str] = {"semantic": "dice", "membranes": "v_rand", "instances": "ap"}
"""The measure that counts first, by what the data ask for."""

Plain = tuple[str, ClassMap, ClassMap]
"""Name, prediction and truth of an image: all that an evaluation needs."""


def evaluate(
    cases: Iterable[Case | Plain],
    class_names: Sequence[str],
    subset: str = "all",
    *,
    settings: EvaluationConfig | Mapping[str, Any] | None = None,
    task: FoundTask | TaskWish | None = None,
    method: Method | None = None,
    scored: Callable[[Case, ImageScore], None] | None = None,
) -> Scores:
    """The scores of `cases`, taken one by one; of each, numbers are kept and no pixels.

    cases: `Case`s, or (name, prediction, truth) with class indices uint8 [H, W] in the order of
    `class_names`. Pixels that truth marks with IGNORE, or that lie outside a case's region, count nowhere.
    settings: an `EvaluationConfig`, or some of its fields by name. task: what the data ask for, or its name;
    None: what the first cases do (the very first, if `cases` is no sequence). method: how predictions were
    made, for the record. scored: called with each case, completed by what its objects are taken to be, and
    its scores.

    What happens to classes and objects that an image does not hold is written in `Scores.policy`. Raises
    DataError if there are no cases, ShapeError with the image's name for arrays that do not fit, ConfigError
    if membranes are asked for where there are not two classes.
    """
    config = settings if isinstance(settings, EvaluationConfig) else _config(settings)
    if isinstance(task, str):
        config, task = override(config, {"task": task}, where="the settings of the evaluation"), None
    found, every = _look(cases, class_names, config.task) if task is None else (task, map(_as_case, cases))
    evaluation = _Evaluation(tuple(class_names), config, found, method or Method())
    for case in map(evaluation.completed, every):
        image = evaluation.add(case)
        if scored is not None:
            scored(case, image)
    if not evaluation.images:
        raise DataError(
            found=f"no images in '{subset}' to evaluate",
            expected="at least one image with its mask",
            fix="choose another subset or split",
        )
    return evaluation.scores(subset)


@dataclass
class _Evaluation:
    """The numbers of the images so far.

    numbered, given: whether truth, and the prediction, number objects, or only name classes.
    """

    class_names: tuple[str, ...]
    config: EvaluationConfig
    task: FoundTask
    method: Method
    numbered: bool = True
    given: bool = True
    images: list[Image] = field(default_factory=list)
    objects: ObjectTally = field(default_factory=ObjectTally)
    plain: Curves = field(default_factory=lambda: Curves(thinned=False))
    thinned: Curves = field(default_factory=lambda: Curves(thinned=True))
    probabilities: ProbabilityTally = field(default_factory=ProbabilityTally)

    @property
    def interest(self) -> tuple[int, ...]:
        """Classes whose outlines matter: all but the background, or the membrane."""
        if self.task.task == "membranes":
            return (self.task.membrane,)
        return tuple(range(1, len(self.class_names)))

    @property
    def connected(self) -> tuple[int, ...]:
        """Classes whose connections matter."""
        chosen = {"all": self.interest, "none": (), "auto": self.task.thin}[self.config.topology]
        return tuple(index for index in self.interest if index in chosen)

    def completed(self, case: Case) -> Case:
        """The case with objects, true and predicted, where the task has them: else what hangs together."""
        if self.task.task == "semantic":
            return case
        cell = self.task.cell
        self.numbered &= case.true_objects is not None
        self.given &= case.objects is not None
        probability = None if case.probabilities is None else case.probabilities[cell]
        return replace(
            case,
            objects=_objects_of(case.prediction, cell) if case.objects is None else case.objects,
            true_objects=_objects_of(case.truth, cell) if case.true_objects is None else case.true_objects,
            foreground=probability if case.foreground is None else case.foreground,
        )

    def add(self, case: Case) -> ImageScore:
        """Score an image by everything that applies."""
        try:
            self.images.append(self._image(case))
        except ShapeError as error:
            found = f"{case.name}: {error.found}"
            raise ShapeError(found=found, expected=error.expected, fix=error.fix) from error
        return _image_score(self.images[-1], self.class_names)

    def _image(self, case: Case) -> Image:
        names, pair = self.class_names, (case.prediction, case.truth)
        counted = counted_pixels(case.truth, case.region)
        confusion = confusion_matrix(*pair, len(names), counted=counted)
        measures = pixel_measures(confusion, names)
        wholes: dict[Whole, State] = {"pixels": "present" if confusion.any() else "absent"}
        if self.config.outlines:
            measures |= outline_measures(*pair, self.interest, names, self.config, counted)
        measures |= topology_measures(*pair, self.connected, names, counted)
        if self.task.task != "semantic":
            measures |= self._object_measures(case, counted, wholes)
        if case.probabilities is not None:
            measures |= self.probabilities.add(case.probabilities, case.truth, counted)
        classes = class_states(confusion, names)
        return Image(case.name, case.group, case.content, confusion, measures, classes, wholes)

    def _object_measures(
        self, case: Case, counted: NDArray[np.bool_] | None, wholes: dict[Whole, State]
    ) -> dict[str, float]:
        """The measures of objects and cells; `wholes` learns where there are some."""
        assert case.objects is not None
        assert case.true_objects is not None
        pair = case.objects, case.true_objects
        measures, wholes["objects"] = self.objects.add(*pair, case.foreground, counted)
        if self.task.task == "membranes":
            measures |= cell_measures(*pair, counted)
            wholes["cells"] = cell_state(measures["v_rand"], wholes["objects"])
            self.plain.add(case.foreground, case.true_objects, counted)
            self.thinned.add(case.foreground, case.true_objects, counted)
        return measures

    def scores(self, subset: str) -> Scores:
        """The scores of all images."""
        config, names, task = self.config, self.class_names, self.task.task
        resampling = Resampling([image.group or image.name for image in self.images], config)
        images = self._with_best_thresholds()
        measures = summed_up(images, resampling, config.unit)
        pooled: NDArray[np.int64] = np.sum([image.confusion for image in self.images], axis=0)
        mean_dice_interval, mean_iou_interval = pooled_intervals(images, resampling)
        objects, partition = self._objects(resampling), self._partition(measures, resampling)
        mean_dice = known(macro(dice(pooled)))
        main_value, main_interval = mean_dice, mean_dice_interval
        if objects is not None and task == "instances":
            main_value, main_interval = objects.mean_ap, objects.mean_ap_interval
        elif partition is not None:
            cells = next(measure for measure in measures if measure.name == MAIN["membranes"])
            main_value, main_interval = cells.mean, cells.interval
        return Scores(
            subset=subset,
            policy=policy_of(self._parts),
            task=task,
            task_reason=self.task.reason,
            main=MAIN[task],
            main_value=main_value,
            main_interval=main_interval,
            classes=class_scores(images, names, measures, resampling, self.probabilities.total),
            mean_dice=mean_dice,
            mean_dice_interval=mean_dice_interval,
            mean_iou=known(macro(iou(pooled))),
            mean_iou_interval=mean_iou_interval,
            foreground_dice=known(macro(dice(pooled)[1:])),
            micro_dice=known(micro(pooled)),
            weighted_iou=known(frequency_weighted(iou(pooled), pooled)),
            accuracy=known(pixel_accuracy(pooled)),
            confusion=tuple(map(tuple, pooled.tolist())),
            images=tuple(_image_score(image, names) for image in images),
            measures=measures,
            objects=objects,
            partition=partition,
            probabilities=self.probabilities.scores(self._curve_class, self.method.temperature),
            spacing=config.spacing,
            unit=config.unit,
            tolerance=config.tolerated,
            confidence=config.confidence,
        )

    @property
    def _curve_class(self) -> int:
        """The class whose threshold is of interest: of the objects, or the first after the background."""
        return self.task.cell if self.task.task != "semantic" else 1

    @property
    def _parts(self) -> list[str]:
        """What was evaluated, as the policies name it."""
        found = {
            "pixels": True,
            "outlines": self.config.outlines,
            "topology": bool(self.connected),
            "partition": self.task.task == "membranes",
            "objects": bool(self.objects.counts),
            "probabilities": self.probabilities.total is not None,
        }
        return [part for part, there in found.items() if there]

    def _with_best_thresholds(self) -> list[Image]:
        """The images with what they score at the thresholds that are best for all of them."""
        best = self.plain.best | self.thinned.best
        return [
            replace(
                image, measures=image.measures | {name: float(values[place]) for name, values in best.items()}
            )
            for place, image in enumerate(self.images)
        ]

    def _objects(self, resampling: Resampling) -> ObjectScores | None:
        if not self.objects.counts:
            return None
        return self.objects.scores(
            resampling,
            method=self.method.words,
            true_components=not self.numbered,
            predicted_components=not self.given,
        )

    def _partition(self, measures: Sequence[Measure], resampling: Resampling) -> PartitionScores | None:
        if self.task.task != "membranes":
            return None
        return partition_scores(self.plain, self.thinned, measures, self.method.threshold, resampling.of_mean)


def _config(settings: Mapping[str, Any] | None) -> EvaluationConfig:
    return build(EvaluationConfig, settings or {}, where="the settings of the evaluation")


def _as_case(case: Case | Plain) -> Case:
    return case if isinstance(case, Case) else Case(name=case[0], prediction=case[1], truth=case[2])


def _look(
    cases: Iterable[Case | Plain], class_names: Sequence[str], wish: TaskWish
) -> tuple[FoundTask, Iterator[Case]]:
    """What the first cases ask for, and all cases; of an iterator only the first one, to hold no more."""
    enough = LOOKED_AT if isinstance(cases, Sequence) else 1
    every = map(_as_case, cases)
    first = list(islice(every, enough))
    found = find_task(
        [case.truth for case in first],
        len(class_names),
        numbered=any(case.true_objects is not None for case in first),
        wish=None if wish == "auto" else wish,
        class_names=class_names,
    )
    return found, chain(first, every)


def _objects_of(classes: ClassMap, index: int) -> LabelMap:
    """What hangs together of a class."""
    return connected_components(classes == index)


def _image_score(image: Image, class_names: Sequence[str]) -> ImageScore:
    measures = {name: known(value) for name, value in image.measures.items()}
    return ImageScore(
        name=image.name,
        pixels=int(image.confusion.sum()),
        accuracy=measures["accuracy"],
        dice=tuple(measures[f"dice/{name}"] for name in class_names),
        iou=tuple(measures[f"iou/{name}"] for name in class_names),
        mean_dice=measures["dice"],
        group=image.group,
        content=image.content,
        measures=measures,
    )
