"""Tiles and objects otherwise than the model says, without training again."""

from functools import partial

import numpy as np
import pytest

import uvala
from drawn import discs
from uvala.api.exporting import export
from uvala.errors import ConfigError
from uvala.prediction.adjust import adjusted
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.folder import settings_of
from uvala.prediction.wanted import Wanted

BLENDED = {"tiles.mode": "blended", "tiles.size": 64, "tiles.overlap": 16, "tiles.whole_below": 0}


@pytest.fixture(scope="module")
def path(disc_run, tmp_path_factory):
    return export(disc_run.path, tmp_path_factory.mktemp("exported") / "discs.onnx").path


def test_tiles_are_blended_where_it_is_asked_for(disc_run):
    image = discs((150, 210), seed=3)[0]
    run = uvala.load_run(disc_run.path, device="cpu", settings=BLENDED)
    blended, exact = run.predict(image).probabilities, disc_run.predict(image).probabilities
    (why,) = run.predictor.blended
    assert "tiles.mode asks for it" in why
    assert 0 < np.abs(blended - exact).max() < 0.5


def test_tiles_that_are_nearly_all_overlap_are_refused(disc_run):
    with pytest.raises(ConfigError, match=r"set tiles\.overlap to 512 at most"):
        uvala.load_run(disc_run.path, device="cpu", settings=BLENDED | {"tiles.overlap": 9999})


def test_tiles_of_another_size_give_the_same_numbers(disc_run):
    image = discs((150, 210), seed=3)[0]
    run = uvala.load_run(disc_run.path, device="cpu", settings={"tiles": {"size": 64, "whole_below": 0}})
    expected = disc_run.predict(image).probabilities
    np.testing.assert_allclose(run.predict(image).probabilities, expected, rtol=0, atol=1e-6)
    assert not run.predictor.blended


@pytest.mark.parametrize("kind", ["run", "file"])
def test_small_objects_go_where_it_is_asked_for(disc_run, path, kind):
    image = discs((150, 210), seed=3)[0]
    settings = {"objects.min_size": 10**6}
    if kind == "run":
        predictor = uvala.load_run(disc_run.path, device="cpu", settings=settings).predictor
    else:
        predictor = ExportedPredictor(path, settings=settings)
    assert disc_run.predict(image).objects.max() > 0
    assert predictor(image[None]).objects.max() == 0


def test_the_other_networks_of_a_mean_keep_their_way_to_find_objects(disc_run):
    run = uvala.load_run(
        disc_run.path,
        device="cpu",
        others=[disc_run.path],
        settings={"objects.min_size": 7, "tiles.size": 96},
    )
    first, second = run.predictor.members
    assert run.predictor.card.objects.settings.min_size == 7
    assert second.card.objects == disc_run.card.objects
    assert first.card.tiles.size == second.card.tiles.size == 96


class TestRecord:
    """By which a resume knows what was predicted alike."""

    def recorded(self, disc_run, **settings):
        return settings_of(uvala.load_run(disc_run.path, settings=settings).predictor, Wanted())

    def exported(self, path, **settings):
        return settings_of(ExportedPredictor(path, settings=settings), Wanted())

    def test_is_another_where_the_numbers_are(self, disc_run, path):
        same = self.recorded(disc_run)
        assert self.recorded(disc_run, objects={"min_size": 9}) != same
        assert self.recorded(disc_run, tiles={"mode": "blended"}) != same
        assert self.exported(path, **BLENDED) != self.exported(path)

    def test_is_the_same_however_exact_tiles_are_cut(self, disc_run, path):
        assert self.recorded(disc_run, tiles={"size": 128}) == self.recorded(disc_run)
        assert self.exported(path, **{"tiles.size": 128}) == self.exported(path)

    def test_of_blended_tiles_says_how_they_are_cut(self, disc_run, path):
        sizes = [{**BLENDED, "tiles.size": size} for size in (64, 128)]
        for recorded in (partial(self.recorded, disc_run), partial(self.exported, path)):
            first, second = (recorded(**each) for each in sizes)
            assert first["model"] == second["model"]
            assert first["tiles"] != second["tiles"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tiles.mod": "blended"}, "did you mean 'tiles.mode'"),
        ({"tiles.size": 3}, "tiles.size"),
        ({"tiles.mode": "fast"}, "tiles.mode"),
        ({"objects.object_class": 2}, "0 \\(background\\), 1 \\(.*\\)"),
        ({"objects.method": "borders"}, "predicts no borders"),
        ({"patches.size": 64}, "patches.size"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_the_first_image(disc_run, settings, words):
    with pytest.raises(ConfigError, match=words):
        uvala.load_run(disc_run.path, settings=settings)


def test_what_is_learnt_of_objects_is_learnt_of_their_class_alone(disc_run):
    card = disc_run.card
    learnt = card.model_copy(update={"network": card.network.model_copy(update={"objects": "borders"})})
    assert adjusted(learnt, {"objects.method": "borders"}).objects.settings.method == "borders"
    with pytest.raises(ConfigError, match="class 1, of which alone the network has learnt borders"):
        adjusted(learnt, {"objects.method": "borders", "objects.object_class": 0})


def test_without_settings_a_card_stays_as_it_is(disc_run):
    card = disc_run.card
    assert adjusted(card, {}) is card


def test_memory_is_an_amount_or_a_number_of_bytes(disc_run):
    assert (
        uvala.load_run(disc_run.path, memory="1.5GB").memory
        == uvala.load_run(disc_run.path, memory=1500000000).memory
    )
    with pytest.raises(ConfigError, match="memory '-1'"):
        uvala.load_run(disc_run.path, memory=-1)


def test_one_path_is_as_good_as_a_list_of_one(disc_run, disc_data, tmp_path):
    outputs, failures = disc_run.predict_files(disc_data / "images/00.png", tmp_path / "out", objects="csv")
    assert len(outputs) == 1
    assert not failures
