"""What validation images decide after the training: honest probabilities, and how objects are found."""

import numpy as np
import pytest

from drawn import write_discs, write_touching_squares
from trainings import train_quickly
from uvala.api.tuning import tune_run
from uvala.data.dataset import read_dataset
from uvala.metrics.instances import object_counts
from uvala.metrics.overlap import overlaps

CPU = {"device": "cpu", "seconds": 5.0}
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
        assert found.score >= found.base_score


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


def test_tuning_twice_gives_the_same(tmp_path):
    run = train_quickly(write_discs(tmp_path / "data"), tmp_path / "run", steps=10)
    data = read_dataset(tmp_path / "data")
    validation = data.subset(run.folder.split.val)
    assert tune_run(run.folder, data, validation, **CPU) == tune_run(run.folder, data, validation, **CPU)


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
