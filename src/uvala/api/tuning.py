"""What validation images still decide once the weights are chosen: temperature, and how objects are found."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.api.scoring import task_of
from uvala.arrays import ClassMap, LabelMap
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.data.targets import objects_of
from uvala.evaluation.task import FoundTask
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps
from uvala.instances.tuning import Case, tune
from uvala.metrics.calibration import fit_temperature, sample_pixels, with_temperature
from uvala.metrics.instances import object_counts, pooled
from uvala.metrics.overlap import overlaps
from uvala.metrics.partitions import v_rand
from uvala.prediction.engine import Prediction, Predictor
from uvala.runs.card import Card, ObjectCard
from uvala.runs.folder import RunFolder

__all__ = ["MOST_IMAGES", "tune_run"]

MOST_IMAGES = 32
"""More than that decide no better, and are all predicted once more."""

_PIXELS = 8192  # of each image, for the temperature
_MOST_BYTES = 400 * 2**20  # of predictions kept for the search


class _Looked(NamedTuple):
    """One validation image: what the network says, log p and class of some pixels, the true objects."""

    prediction: Prediction
    logs: NDArray[np.float32]
    classes: ClassMap
    objects: LabelMap | None


def tune_run(
    run: RunFolder,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    device: str,
    seconds: float,
    until: Callable[[], bool] = lambda: False,
) -> Card:
    """Fit the run's temperature and its decoding of objects on `samples`; the card, written anew.

    samples: validation images; those before `until()` turned true are looked at, one at least. seconds: how
    long settings of the decoding may be compared. Objects are tuned where the masks number them (by mean AP)
    or are membranes between cells (by V_rand).
    """
    task = task_of(dataset, samples)
    start = _start(run.card, task)
    card = run.card.model_copy(update={"temperature": 1.0, "objects": ObjectCard(settings=start)})
    run.write_card(card)
    looked = _look(Predictor(run, device), dataset, samples, task, until)
    logs = np.concatenate([each.logs for each in looked])
    if len(logs):
        classes = np.concatenate([each.classes for each in looked])
        card = card.model_copy(update={"temperature": round(fit_temperature(logs, classes), 4)})
    objects = _tune_objects(looked, task, start, card.temperature, seconds)
    card = card.model_copy(update={"objects": objects})
    run.write_card(card)
    return card


def _start(card: Card, task: FoundTask) -> ObjectConfig:
    """Where the search begins: the way that the network was trained for."""
    method = "components" if card.network.objects == "classes" else card.network.objects
    return ObjectConfig(method=method, object_class=task.cell)


def _look(
    predictor: Predictor,
    dataset: Dataset,
    samples: Sequence[Sample],
    task: FoundTask,
    until: Callable[[], bool],
) -> list[_Looked]:
    looked: list[_Looked] = []
    rng = np.random.default_rng(0)
    kept = 0
    for sample in samples[:MOST_IMAGES]:
        if looked and (until() or kept > _MOST_BYTES):
            break
        prediction, classes = predictor(dataset.image(sample)), dataset.classes(sample)
        kept += prediction.probabilities.nbytes * 2
        pixels = sample_pixels(prediction.probabilities, classes, _PIXELS, rng)
        looked.append(_Looked(prediction, *pixels, _true_objects(dataset, sample, classes, task)))
    return looked


def _true_objects(dataset: Dataset, sample: Sample, classes: ClassMap, task: FoundTask) -> LabelMap | None:
    if task.task == "membranes":
        return connected_components(classes == task.cell)
    return objects_of(dataset, sample, classes) if task.task == "instances" else None


def _tune_objects(
    looked: Sequence[_Looked], task: FoundTask, start: ObjectConfig, temperature: float, seconds: float
) -> ObjectCard:
    cases: list[Case] = [
        (_maps(each.prediction, temperature), each.objects) for each in looked if each.objects is not None
    ]
    if not cases:
        return ObjectCard(settings=start)
    measure, score = ("v_rand", _mean_v_rand) if task.task == "membranes" else ("ap", _mean_ap)
    found = tune(cases, score, start, seconds=seconds)
    return ObjectCard(
        settings=found.config,
        measure=measure,
        score=_known(found.score),
        base_score=_known(found.base_score),
        tried=found.tried,
        images=len(cases),
    )


def _maps(prediction: Prediction, temperature: float) -> Maps:
    """What the run will say of an image from now on."""
    object_class = prediction.decoding.object_class
    before, after = (
        prediction.foreground,
        with_temperature(prediction.probabilities, temperature)[object_class],
    )
    if prediction.borders is None:
        return Maps(after, None, prediction.distance)
    share = np.divide(prediction.borders, before, out=np.zeros_like(before), where=before > 0)
    return Maps(after, after * share, prediction.distance)


def _mean_ap(found: Sequence[LabelMap], truths: Sequence[LabelMap]) -> float:
    return pooled([object_counts(overlaps(*pair)) for pair in zip(found, truths, strict=True)]).mean_ap


def _mean_v_rand(found: Sequence[LabelMap], truths: Sequence[LabelMap]) -> float:
    scores = [v_rand(*pair) for pair in zip(found, truths, strict=True)]
    known = [score for score in scores if np.isfinite(score)]
    return float(np.mean(known)) if known else float("nan")


def _known(score: float) -> float | None:
    return None if np.isnan(score) else score
