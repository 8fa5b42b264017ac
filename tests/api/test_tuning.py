"""What validation images decide after the training: honest probabilities, and how objects are found."""

import numpy as np
import pytest

from drawn import write_cells, write_touching_squares
from trainings import train_quickly
from uvala.api.tuning import _Looked, _Sought, _temperature, _tune_objects, tune_run
from uvala.arrays import IGNORE
from uvala.data.dataset import read_dataset
from uvala.evaluation.task import FoundTask
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.metrics.instances import object_counts
from uvala.metrics.overlap import overlaps
from uvala.metrics.pixels import counted_pixels
from uvala.prediction.engine import Prediction

# so few steps are not worth averaging over a hundred, nor enough to learn what bent squares look like
FAST = {"optimiser.average": 0.8} | {
    f"augment.{change}_probability": 0.0 for change in ("rotation", "scale", "elastic", "blur", "noise")
}


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write_touching_squares(tmp_path_factory.mktemp("squares") / "data", count=12)


@pytest.fixture(scope="module", params=["borders", "distance"])
def run(request, squares, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "run"
    return train_quickly(squares, out, steps=400, settings={"targets.objects": request.param, **FAST})


class TestObjectsThatTouch:
    """Two squares share an edge: only what was learnt besides the classes tells them apart."""

    def test_are_learnt_where_the_masks_number_objects(self, run):
        assert run.card.network.num_classes == 2
        assert run.card.network.logits == 3

    def test_come_apart_in_a_prediction(self, run, squares):
        data = read_dataset(squares)
        sample = data.samples[0]
        prediction = run.predict(data.image(sample)[0])
        counts = object_counts(overlaps(prediction.objects, data.instances(sample)))
        assert counts.true_positives[0] == 3
        assert counts.false_positives[0] == 0

    def test_are_written_with_numbers_of_their_own(self, run, squares):
        data = read_dataset(squares)
        prediction = run.predict(data.image(data.samples[0])[0])
        np.testing.assert_array_equal(prediction.encoded, prediction.objects)

    def test_probabilities_are_those_of_the_two_classes(self, run, squares):
        data = read_dataset(squares)
        probabilities = run.predict(data.image(data.samples[0])[0]).probabilities
        assert probabilities.shape[0] == 2
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)

    def test_the_way_to_find_them_was_chosen_by_validation(self, run):
        found = run.card.objects
        assert found.measure == "ap"
        assert found.images == run.card.data.val
        assert found.tried > 10

    def test_tuning_twice_gives_the_same(self, run, squares):
        data = read_dataset(squares)
        validation = data.subset(run.folder.split.val)
        before = run.card
        assert tune_run(run.folder, data, validation, device="cpu", seconds=120.0) == before


def test_classes_alone_merge_what_touches(squares, tmp_path):
    run = train_quickly(squares, tmp_path / "run", steps=20, settings={"targets.objects": "classes"})
    data = read_dataset(squares)
    assert run.card.network.logits is None
    assert run.predict(data.image(data.samples[0])[0]).objects.max() <= 3


class TestTemperature:
    def test_makes_validation_pixels_likelier(self, disc_run, disc_data):
        data = read_dataset(disc_data)
        validation = data.subset(disc_run.folder.split.val)
        assert disc_run.card.temperature > 0
        before = surprise(disc_run, data, validation, 1.0)
        after = surprise(disc_run, data, validation, disc_run.card.temperature)
        assert after <= before + 1e-6

    def test_changes_no_class(self, disc_run, disc_data, tmp_path):
        data = read_dataset(disc_data)
        image = data.image(data.samples[0])
        predictor = disc_run.predictor
        mask = predictor(image).mask
        hotter = predictor.card.model_copy(update={"temperature": 3.0})
        predictor.card, before = hotter, predictor.card
        try:
            np.testing.assert_array_equal(predictor(image).mask, mask)
            assert predictor(image).probabilities.max() < 1
        finally:
            predictor.card = before


def test_semantic_data_have_no_objects_to_tune(disc_run):
    assert disc_run.card.objects.tried == 0
    assert disc_run.card.objects.settings.method == "components"


def test_what_is_found_in_ignored_pixels_decides_nothing(disc_run, disc_data):
    """Ignoring the very pixels that are wrong makes the search content with what it began with."""
    classes = np.zeros((40, 60), np.uint8)
    classes[5:15, 5:15] = 1
    classes[20:, :] = IGNORE
    labels = connected_components(classes == 1)
    foreground = np.where(classes == 1, 0.9, 0.1).astype(np.float32)
    foreground[25:30, 10:20] = 0.6  # found, where nobody said what is there
    prediction = Prediction(
        classes[None], classes, np.stack([1 - foreground, foreground]), disc_run.card.encoding
    )
    sought = _Sought(prediction, labels, counted_pixels(classes))
    looked = [_Looked(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), sought)]
    found = _tune_objects(looked, FoundTask("instances"), ObjectConfig(), 1.0, 60.0)
    assert (found.score, found.settings) == (1.0, ObjectConfig())


def test_cells_between_membranes_of_class_1_do_not_use_what_was_learnt_of_the_membranes(tmp_path):
    folder = write_cells(tmp_path / "data", membrane=255)
    run = train_quickly(folder, tmp_path / "run", steps=20, settings={"targets.objects": "borders"})
    assert run.card.objects.settings.object_class == 0
    assert run.card.objects.settings.method in ("components", "watershed", "probability")
    assert run.card.objects.measure == "v_rand"
    image = read_dataset(folder).image(read_dataset(folder).samples[0])[0]
    assert run.predict(image).objects.shape == image.shape


class TestEasyImages:
    """Pixels that are all right say nothing about how sure the network may be."""

    def test_leave_the_temperature_at_one(self):
        logs = np.log(np.array([[0.6, 0.4], [0.4, 0.6]], np.float32))
        assert _temperature([_Looked(logs, np.array([0, 1], np.uint8), None)]) == 1.0

    def test_harder_ones_do_not(self):
        logs = np.log(np.array([[0.99, 0.01]] * 4, np.float32))
        assert _temperature([_Looked(logs, np.array([0, 0, 0, 1], np.uint8), None)]) > 2


def surprise(run, data, samples, temperature: float) -> float:
    """Mean negative log-likelihood of the true classes, in nats."""
    predictor = run.predictor
    before = predictor.card
    predictor.card = before.model_copy(update={"temperature": temperature})
    try:
        logs = []
        for sample in samples:
            probabilities = predictor(data.image(sample)).probabilities.astype(np.float64)
            truth = data.classes(sample)[None].astype(int)
            logs.append(-np.log(np.take_along_axis(probabilities, truth, axis=0).clip(1e-12)).mean())
        return float(np.mean(logs))
    finally:
        predictor.card = before
