"""Predict the images of a subset, or take masks that lie in a folder, and score them one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from uvala.api.gallery import Gallery
from uvala.api.paired import read_region
from uvala.arrays import IGNORE, ClassMap, ImageArray
from uvala.config import build
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.errors import ShapeError
from uvala.evaluation.case import Case, Method
from uvala.evaluation.config import EvaluationConfig
from uvala.evaluation.evaluate import MAIN, evaluate
from uvala.evaluation.scores import ImageScore, Scores
from uvala.evaluation.task import LOOKED_AT, FoundTask, find_task
from uvala.images.read import Source, read_mask
from uvala.instances.components import connected_components
from uvala.prediction.engine import Predictor
from uvala.report.content import ShownCase
from uvala.runs.card import ObjectCard

__all__ = ["Gallery", "Settings", "evaluation_settings", "score_masks", "score_samples", "task_of"]

Sources = Mapping[str, Source]
"""A file for each image, by its sample's name."""

Settings = EvaluationConfig | Mapping[str, Any]
"""The settings of an evaluation, or some of them by name."""

_METHODS = {
    "components": "what hangs together",
    "watershed": "what hangs together, cut at its necks",
    "probability": "grown from where they are likeliest, apart where the probability falls",
    "borders": "grown from their interior, apart from predicted borders",
    "distance": "grown from the middle that a predicted distance shows",
}

_PLAIN = "what hangs together: these masks tell foreground from background and number no objects"

_MEASURES = {"ap": "mean AP", "v_rand": "V_rand"}


def evaluation_settings(settings: Settings | None = None, **named: Any) -> EvaluationConfig:
    """The settings of an evaluation: those given, and of the named ones those that are not None."""
    known = {name: value for name, value in named.items() if value is not None}
    if isinstance(settings, EvaluationConfig):
        settings = settings.model_dump(exclude_unset=True)
    return build(EvaluationConfig, {**(settings or {}), **known}, where="the settings of the evaluation")


def task_of(dataset: Dataset, samples: Sequence[Sample], config: EvaluationConfig | None = None) -> FoundTask:
    """What the masks of some samples ask for, or what `config` says they do."""
    wish = "auto" if config is None else config.task
    every = max(1, len(samples) // LOOKED_AT)
    return find_task(
        (dataset.classes(sample) for sample in samples[::every][:LOOKED_AT]),
        dataset.encoding.num_classes,
        numbered=dataset.encoding.kind == "instances",
        wish=None if wish == "auto" else wish,
        class_names=dataset.encoding.names,
    )


def score_samples(
    predictor: Predictor,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    subset: str,
    gallery: Gallery | None = None,
    until: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
    settings: EvaluationConfig | None = None,
    regions: Sources | None = None,
    predictor_of: Callable[[Sample], Predictor] | None = None,
) -> Scores:
    """Scores of `samples`, predicted one by one; of those before `until()` turned true, one at least.

    regions: of each sample, the file that says which of its pixels count. predictor_of: who predicts each
    sample, in the place of `predictor`, whose card then says how.
    """
    config, decoding = settings or EvaluationConfig(), predictor.card.objects.settings
    task = task_of(dataset, samples, config)
    # a network that learnt from other masks may look for the objects of another class
    own_objects = task.task != "semantic" and decoding.object_class == task.cell

    def case_of(sample: Sample, image: ImageArray) -> Case:
        prediction = (predictor if predictor_of is None else predictor_of(sample))(image)
        case = _case(dataset, sample, prediction.mask, task, regions)
        case = replace(case, probabilities=prediction.probabilities)
        if not own_objects:
            return case
        return replace(case, objects=prediction.objects, foreground=prediction.foreground)

    # networks of several runs have a temperature each
    method = Method() if predictor_of else Method(temperature=predictor.card.temperature)
    if own_objects:
        method = replace(method, words=_words(predictor.card.objects), threshold=decoding.threshold)
    work = _Work(dataset, samples, case_of, gallery, until, progress)
    return work.scores(predictor.card.encoding.names, subset, config, task, method)


def score_masks(
    masks: Sources,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    subset: str,
    gallery: Gallery | None = None,
    progress: Callable[[int, int], None] | None = None,
    settings: EvaluationConfig | None = None,
    regions: Sources | None = None,
) -> Scores:
    """Scores of masks that any tool made for `samples`, in the encoding of the data set's own masks.

    masks: of each sample, the file. Probabilities are not known, so nothing is said of them. Where truth
    numbers objects and none of the masks has more than one value beside 0 (0/1, 0/255), they tell foreground
    from background and no more: their objects are what hangs together.
    """
    config = settings or EvaluationConfig()
    task = task_of(dataset, samples, config)
    numbers = dataset.encoding.kind == "instances"
    plain = numbers and len(_values([masks[sample.name] for sample in samples])) < 2

    def case_of(sample: Sample, image: ImageArray) -> Case:
        source = masks[sample.name]
        raw = read_mask(source)
        case = _case(dataset, sample, dataset.encoding.decode(raw, str(source)), task, regions)
        if not numbers:
            return case
        if plain:
            return replace(case, objects=connected_components(case.prediction == 1))
        return replace(case, objects=dataset.encoding.labels(raw, str(source)))

    work = _Work(dataset, samples, case_of, gallery, progress=progress)
    return work.scores(dataset.encoding.names, subset, config, task, Method(words=_PLAIN if plain else ""))


@dataclass
class _Work:
    """Samples that become cases one by one; an image is kept until its case has its scores."""

    dataset: Dataset
    samples: Sequence[Sample]
    case_of: Callable[[Sample, ImageArray], Case]
    gallery: Gallery | None = None
    until: Callable[[], bool] = lambda: False
    progress: Callable[[int, int], None] | None = None
    _images: dict[str, ImageArray] = field(default_factory=dict)

    def scores(
        self,
        class_names: Sequence[str],
        subset: str,
        config: EvaluationConfig,
        task: FoundTask,
        method: Method,
    ) -> Scores:
        """The scores of the samples."""
        return evaluate(
            self._cases(),
            class_names,
            subset,
            settings=config,
            task=task,
            method=method,
            scored=lambda case, image: self._show(case, image, image.measures[MAIN[task.task]]),
        )

    def _cases(self) -> Iterator[Case]:
        for done, sample in enumerate(self.samples):
            if done and self.until():
                return
            image = self.dataset.image(sample)
            self._images[sample.name] = image
            try:
                case = self.case_of(sample, image)
            except ShapeError as error:
                found = f"{sample.name}: {error.found}"
                raise ShapeError(found=found, expected=error.expected, fix=error.fix) from error
            yield case
            if self.progress is not None:
                self.progress(done + 1, len(self.samples))

    def _show(self, case: Case, image: ImageScore, main: float | None) -> None:
        picture = self._images.pop(case.name)
        if self.gallery is None:
            return
        self.gallery.add(
            ShownCase(
                name=case.name,
                image=picture,
                # nothing counts outside the region, to the page as to the scores
                truth=case.truth if case.region is None else np.where(case.region, case.truth, IGNORE),
                prediction=case.prediction,
                mean_dice=image.mean_dice,
                true_objects=case.true_objects,
                objects=case.objects,
                score=main,
            )
        )


def _values(sources: Sequence[Source]) -> set[int]:
    """The values beside 0 of some masks; no more than two of them are looked for."""
    found: set[int] = set()
    for source in sources:
        found |= set(np.unique(read_mask(source).values).tolist()) - {0}
        if len(found) > 1:
            break
    return found


def _case(
    dataset: Dataset, sample: Sample, prediction: ClassMap, task: FoundTask, regions: Sources | None
) -> Case:
    """A sample's prediction beside its truth."""
    truth, size = dataset.classes(sample), dataset.sizes[sample.name]
    return Case(
        name=sample.name,
        truth=truth,
        prediction=prediction,
        true_objects=None if task.task == "semantic" else dataset.instances(sample),
        region=None if regions is None else read_region(regions[sample.name], size),
        group=sample.group or "",
        content=dataset.contents[sample.name],
    )


def _words(card: ObjectCard) -> str:
    """How objects are found, in words."""
    settings = card.settings
    words = f"{_METHODS[settings.method]} where the probability is above {settings.threshold:.2f}"
    if settings.min_size:
        words += f", of {settings.min_size} pixels or more"
    if card.images:
        measure = _MEASURES.get(card.measure, card.measure)
        images = f"{card.images} validation image{'s' * (card.images != 1)}"
        words += f"; settings chosen on {images} by {measure}"
    return words
