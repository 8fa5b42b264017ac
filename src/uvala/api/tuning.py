"""What validation images still decide once the weights are chosen: temperature, and how objects are found."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.api.scoring import task_of
from uvala.arrays import ClassMap, LabelMap
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.data.targets import OBJECTS, objects_of
from uvala.evaluation.task import FoundTask
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps
from uvala.instances.tuning import tune
from uvala.metrics.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    fit_temperature,
    sample_pixels,
    with_temperature,
)
from uvala.metrics.instances import object_counts, pooled
from uvala.metrics.overlap import overlaps
from uvala.metrics.partitions import v_rand
from uvala.metrics.pixels import counted_pixels
from uvala.prediction.engine import Prediction, Predictor
from uvala.runs.card import Card, ObjectCard
from uvala.runs.folder import RunFolder

__all__ = ["MOST_IMAGES", "tune_folds", "tune_run"]

MOST_IMAGES = 32
"""More than that decide no better, and are all predicted once more."""

_PIXELS = 8192  # of each image, for the temperature
_MOST_BYTES = 400 * 2**20  # of predictions kept for the search


class _Sought(NamedTuple):
    """What the network says of an image, and its true objects. counted: bool [H, W]; None: all pixels."""

    prediction: Prediction
    objects: LabelMap
    counted: NDArray[np.bool_] | None


class _Looked(NamedTuple):
    """One validation image: log p and class of some pixels, and the objects where there are any to seek."""

    logs: NDArray[np.float32]
    classes: ClassMap
    sought: _Sought | None


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
    or are cells between membranes (by V_rand).
    """
    task = task_of(dataset, samples)
    start = _start(run.card, task)
    card = run.card.model_copy(update={"temperature": 1.0, "objects": ObjectCard(settings=start)})
    run.write_card(card)
    predictor = Predictor(run, device)
    looked = _look(lambda sample: predictor, dataset, samples, task, until)
    card = card.model_copy(update={"temperature": _temperature(looked)})
    objects = _tune_objects(looked, task, start, card.temperature, seconds)
    card = card.model_copy(update={"objects": objects})
    run.write_card(card)
    return card


def tune_folds(
    run: RunFolder,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    predictor_of: Callable[[Sample], Predictor],
    seconds: float,
    until: Callable[[], bool] = lambda: False,
) -> Card:
    """Choose how objects are found in the mean of several networks; the card, written anew.

    samples, predictor_of: images, and for each the network that was not trained on it. The mean gets no
    temperature: each network has its own, and no image is left that none of them has seen.
    """
    task = task_of(dataset, samples)
    start = _start(run.card, task)
    looked = _look(predictor_of, dataset, samples, task, until)
    objects = _tune_objects(looked, task, start, 1.0, seconds)
    card = run.card.model_copy(update={"objects": objects})
    run.write_card(card)
    return card


def _start(card: Card, task: FoundTask) -> ObjectConfig:
    """Where the search begins: the way that the network was trained for, if it was for these objects."""
    learnt = card.network.objects
    if learnt != "classes" and task.cell == OBJECTS:
        return ObjectConfig(method=learnt, object_class=task.cell)
    if task.task == "membranes":
        # A network is sure of a cell's middle long before of its rim. V_rand on ISBI's test slices: 0.940
        # after 2 minutes and 0.98 after 10 (three trainings), with the best threshold alone 0.857 and 0.92.
        found = {"method": "probability", "threshold": 0.1, "seed_threshold": 0.9}
        return ObjectConfig(object_class=task.cell, **found)
    return ObjectConfig(object_class=task.cell)


def _look(
    predictor_of: Callable[[Sample], Predictor],
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
        prediction, classes = predictor_of(sample)(dataset.image(sample)), dataset.classes(sample)
        pixels = sample_pixels(prediction.probabilities, classes, _PIXELS, rng)
        if task.task == "semantic":
            looked.append(_Looked(*pixels, None))
            continue
        kept += 2 * prediction.probabilities.nbytes
        membranes = task.task == "membranes"
        objects = (
            connected_components(classes == task.cell) if membranes else objects_of(dataset, sample, classes)
        )
        looked.append(_Looked(*pixels, _Sought(prediction, objects, counted_pixels(classes))))
    return looked


def _temperature(looked: Sequence[_Looked]) -> float:
    """The temperature that makes the pixels' true classes likeliest; 1 where they cannot tell."""
    logs, classes = (np.concatenate([each[part] for each in looked]) for part in (0, 1))
    if not len(logs):
        return 1.0
    found = fit_temperature(logs, classes)
    # pixels that are all right would be likeliest at 0: that says how easy these images are, and no more
    at_bound = found < 1.05 * LOWEST_TEMPERATURE or found > 0.95 * HIGHEST_TEMPERATURE
    return 1.0 if at_bound else round(found, 4)


def _tune_objects(
    looked: Sequence[_Looked], task: FoundTask, start: ObjectConfig, temperature: float, seconds: float
) -> ObjectCard:
    sought = [each.sought for each in looked if each.sought is not None]
    if not sought:
        return ObjectCard(settings=start)
    cases = [(_maps(each.prediction, temperature), each.objects) for each in sought]
    counted = [each.counted for each in sought]

    def mean_ap(found: Sequence[LabelMap], truths: Sequence[LabelMap]) -> float:
        images = zip(found, truths, counted, strict=True)
        return pooled([object_counts(overlaps(f, t, counted=c)) for f, t, c in images]).mean_ap

    membranes = task.task == "membranes"
    tuned = tune(cases, _mean_v_rand if membranes else mean_ap, start, seconds=seconds)
    return ObjectCard(
        settings=tuned.config,
        measure="v_rand" if membranes else "ap",
        score=_known(tuned.score),
        base_score=_known(tuned.base_score),
        tried=tuned.tried,
        images=len(cases),
    )


def _maps(prediction: Prediction, temperature: float) -> Maps:
    """What the run will say of an image from now on."""
    before = prediction.maps
    after = with_temperature(prediction.probabilities, temperature)[prediction.decoding.object_class]
    if before.borders is None:
        return Maps(after, None, before.distance)
    share = np.divide(
        before.borders, before.foreground, out=np.zeros_like(after), where=before.foreground > 0
    )
    return Maps(after, after * share, before.distance)


def _mean_v_rand(found: Sequence[LabelMap], truths: Sequence[LabelMap]) -> float:
    # what is to be ignored belongs to no true cell and is left out by that
    scores = [v_rand(*pair) for pair in zip(found, truths, strict=True)]
    known = [score for score in scores if np.isfinite(score)]
    return float(np.mean(known)) if known else float("nan")


def _known(score: float) -> float | None:
    return None if np.isnan(score) else score
