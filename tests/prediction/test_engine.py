import numpy as np
import pytest

import uvala
from drawn import discs
from predictions import cut_small
from uvala.errors import ShapeError
from uvala.prediction.engine import Predictor, as_channels_first
from uvala.tiling.test_time_config import TestTimeConfig


class TestPrediction:
    @pytest.mark.parametrize("size", [(48, 64), (1, 1), (7, 301), (33, 17)], ids=str)
    def test_has_the_size_of_the_image(self, disc_run, size):
        prediction = disc_run.predict(np.zeros(size, np.uint8))
        assert prediction.mask.shape == size
        assert prediction.probabilities.shape == (2, *size)
        assert prediction.overlay().shape == (*size, 3)

    def test_probabilities_sum_to_one(self, disc_run):
        prediction = disc_run.predict(discs()[0])
        np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5)

    def test_finds_the_discs(self, disc_run):
        image, truth = discs(size=(96, 80), seed=100)
        assert (disc_run.predict(image).mask == truth).mean() > 0.95

    def test_is_encoded_as_the_masks_were(self, disc_run):
        prediction = disc_run.predict(discs()[0])
        np.testing.assert_array_equal(prediction.encoded, prediction.mask * np.uint8(255))

    def test_tiled_equals_whole(self, disc_run, monkeypatch):
        image = discs(size=(150, 210), seed=3)[0]
        whole = disc_run.predict(image).probabilities
        loaded = uvala.load_run(disc_run.path, device="cpu")
        small = loaded.card.tiles.model_copy(update={"size": 64, "whole_below": 0})
        loaded.predictor.card = loaded.card.model_copy(update={"tiles": small})
        # a convolution over another width may add in another order: the last bit of a float, and no more
        np.testing.assert_allclose(loaded.predict(image).probabilities, whole, atol=1e-6)

    def test_views_are_averaged_where_the_card_says_so(self, disc_run):
        image = discs(size=(40, 48), seed=4)[0][None]
        once = Predictor(disc_run.folder, "cpu")
        mirrored = Predictor(disc_run.folder, "cpu", test_time=TestTimeConfig(flip_horizontal=True))
        expected = (once(image).probabilities + once(image[..., ::-1]).probabilities[..., ::-1]) / 2
        np.testing.assert_allclose(mirrored(image).probabilities, expected, rtol=0, atol=1e-6)

    def test_grey_that_was_saved_as_rgb_is_grey_again(self, disc_run):
        image = discs()[0]
        found = disc_run.predict(np.stack([image] * 3, axis=-1)).probabilities
        np.testing.assert_array_equal(found, disc_run.predict(image).probabilities)

    def test_colours_are_not_made_grey(self, disc_run):
        image = np.stack([discs(seed=seed)[0] for seed in range(3)], axis=-1)
        with pytest.raises(ShapeError, match=r"save the image in grey, or train with `channels = 1`"):
            disc_run.predict(image)

    def test_pixels_that_are_no_number_do_not_spread(self, disc_run):
        image = discs()[0].astype(np.float32)
        image[0, 0] = np.nan
        assert np.isfinite(disc_run.predict(image).probabilities).all()


def test_says_why_large_images_are_blended(disc_run):
    predictor = cut_small(disc_run.path)
    everywhere = predictor.card.network.model_copy(update={"halo": None})
    predictor.card = predictor.card.model_copy(update={"network": everywhere})
    for _ in range(2):
        predictor(np.zeros((1, 400, 300), np.uint8))
    (why,) = predictor.blended
    assert "no tile" in why


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 5), (0, 5)], ids=str)
def test_an_array_that_is_no_image_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\[H, W\] or \[H, W, C\]"):
        as_channels_first(np.zeros(shape))


def test_text_is_no_image():
    with pytest.raises(ShapeError, match="expected numbers"):
        as_channels_first(np.array([["a"]]))


def test_other_channels_are_refused(disc_run):
    with pytest.raises(ShapeError, match="an image of 3 channels; expected 1"):
        disc_run.predict(np.arange(1200, dtype=np.uint16).reshape(20, 20, 3))
