import tracemalloc
from collections import Counter

import numpy as np
import pytest
import zarr

from uvala.arrays import Size
from uvala.config import build
from uvala.data.image_facts import PERCENTILES
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import denormalise, normalise, scale_of
from uvala.errors import ConfigError
from uvala.images.chunks import Chunks, Grid
from uvala.images.lazy import LazyImage, in_memory, open_image

LIMIT = Normalisation().limit


def test_low_and_high_become_minus_one_and_one():
    settings = Normalisation(low=(100,), high=(300,))
    values = normalise(np.array([[[100, 200, 300]]], np.uint16), settings)
    np.testing.assert_allclose(values, [[[-1, 0, 1]]])


def test_channels_are_scaled_by_themselves():
    settings = Normalisation(low=(0, 1000), high=(2, 3000))
    image = np.array([[[1]], [[2000]]], np.float32)
    np.testing.assert_allclose(normalise(image, settings), 0)


def test_a_hot_pixel_is_clipped():
    assert (
        normalise(np.full((1, 1, 1), 65535, np.uint16), Normalisation(low=(0,), high=(10,))).item() == LIMIT
    )


def test_by_image_the_brightness_of_the_lamp_does_not_matter():
    image = np.random.default_rng(0).integers(0, 100, (1, 40, 40)).astype(np.uint16)
    settings = Normalisation(by="image")
    np.testing.assert_allclose(normalise(image, settings), normalise(image * 7 + 30, settings), atol=1e-5)


def test_a_part_is_scaled_as_its_image_is():
    image = np.random.default_rng(0).normal(50, 9, (2, 30, 30)).astype(np.float32)
    scale = scale_of(image, Normalisation(by="image"))
    np.testing.assert_array_equal(normalise(image[:, :7, :9], scale), normalise(image, scale)[:, :7, :9])


@pytest.mark.parametrize("by", ["dataset", "image"])
def test_a_constant_channel_becomes_finite(by):
    settings = Normalisation(by=by, low=(5,), high=(5,))
    assert np.isfinite(normalise(np.full((1, 4, 4), 5, np.uint8), settings)).all()


def test_what_is_no_number_becomes_an_end_of_the_scale():
    image = np.array([[[0.0, np.nan, np.inf, -np.inf, 1.0]]], np.float32)
    values = normalise(image, Normalisation(low=(0,), high=(1,)))
    np.testing.assert_allclose(values, [[[-1, -1, LIMIT, -LIMIT, 1]]])


def test_numbers_beyond_float32_keep_their_differences():
    image = (10**9 + np.arange(46, dtype=np.uint32))[None, None]
    values = normalise(image, Normalisation(low=(10**9,), high=(10**9 + 45,)))
    np.testing.assert_allclose(values[0, 0], np.linspace(-1, 1, 46), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_without_a_limit_nothing_is_clipped(dtype):
    settings = Normalisation(low=(0,), high=(2,), limit=0)
    assert normalise(np.full((1, 1, 1), 101, dtype), settings).item() == 100


def test_no_limit_in_a_card_of_an_older_version_is_no_limit():
    assert Normalisation.model_validate({"limit": None}).limit == 0


def test_by_the_deviation_of_an_image_its_mean_becomes_0_and_its_variance_1():
    image = np.random.default_rng(0).integers(0, 60000, (2, 40, 30)).astype(np.uint16)
    settings = Normalisation(by="image", levels="deviation", limit=0)
    channels = normalise(image, settings).reshape(2, -1)
    np.testing.assert_allclose(channels.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(channels.std(axis=1), 1, atol=1e-5)


class TestDeviation:
    """Mean and spread of an image, without double precision copies of all of it."""

    SETTINGS = Normalisation(by="image", levels="deviation")

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    @pytest.mark.parametrize("shape", [(2, 700, 800), (1, 3, 600_000), (1, 600_000, 3), (2, 1, 1)], ids=str)
    def test_is_that_of_numpy(self, dtype, shape):
        image = (np.random.default_rng(0).random(shape) * 90 + 100).astype(dtype)
        scale = scale_of(image, self.SETTINGS)
        mean, spread = (getattr(image.astype(np.float64), kind)(axis=(1, 2)) for kind in ("mean", "std"))
        np.testing.assert_allclose(scale.low, mean - spread, rtol=1e-12)
        np.testing.assert_allclose(scale.high, mean + spread, rtol=1e-12)

    def test_leaves_out_what_is_no_number(self):
        image = np.full((2, 600, 600), np.nan, np.float32)
        image[0, ::599, 7] = 2, 4
        image[0, 5, 5] = np.inf
        scale = scale_of(image, self.SETTINGS)
        assert (scale.low, scale.high) == ((2.0, 0.0), (4.0, 0.0))

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_of_a_large_image_takes_less_memory_than_the_image(self, order):
        image = np.zeros((1, 4000, 4000), np.uint8, order=order)
        tracemalloc.start()
        scale_of(image, self.SETTINGS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < image.nbytes


class TestOfFiles:
    """An image that stays in its file is scaled by the very numbers of the array."""

    @pytest.mark.parametrize("levels", ["percentiles", "deviation"])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("shape", [(2, 37, 50), (1, 1100, 2100), (3, 700, 3)], ids=str)
    def test_scale_is_that_of_the_array(self, tmp_path, levels, dtype, shape):
        image = (np.random.default_rng(0).gamma(2, 30, shape) % 250).astype(dtype)
        if image.dtype.kind == "f":
            image[:, ::7, ::5] = np.nan
        axes = ("c", "y", "x")
        zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(1, 400, 700), dimension_names=axes)
        settings = Normalisation(by="image", levels=levels)
        with open_image(tmp_path / "a.zarr", at_once=0) as lazy:
            assert lazy.whole is None
            assert scale_of(lazy, settings) == scale_of(image, settings)

    def test_percentiles_are_those_of_each_nth_pixel(self):
        image = np.random.default_rng(0).random((2, 1300, 1600), dtype=np.float32)
        scale = scale_of(image, Normalisation(by="image"))
        expected = np.percentile(image.reshape(2, -1)[:, ::2], PERCENTILES, axis=1)
        np.testing.assert_array_equal((scale.low, scale.high), expected)

    @pytest.mark.parametrize("levels", ["percentiles", "deviation"])
    def test_strips_as_wide_as_the_image_are_decoded_once(self, levels):
        size, decoded = Size(4096, 5000), Counter()

        def load(piece):
            decoded[piece] += 1
            return np.zeros((1, piece.box.height, piece.box.width), np.uint8)

        dtype = np.dtype(np.uint8)
        chunks = Chunks(Grid(1, size, dtype, Size(16, 5000), depth=1), load, 24 * 10**6)
        scale_of(LazyImage(1, size, dtype, chunks.read), Normalisation(by="image", levels=levels))
        assert set(decoded.values()) == {1}
        assert len(decoded) == 256

    def test_an_array_that_is_read_in_boxes_has_its_scale(self):
        image = np.random.default_rng(0).integers(0, 99, (2, 30, 40), dtype=np.uint8)
        settings = Normalisation(by="image")
        assert scale_of(in_memory(image), settings) == scale_of(image, settings)

    def test_fixed_levels_need_no_look_at_the_image(self):
        settings = Normalisation(low=(0,), high=(1,))
        assert scale_of(in_memory(np.empty((1, 0, 0))), settings) is settings


class TestBack:
    """Normalised images in the numbers of their file again."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_what_was_normalised_comes_back(self, dtype, reverse):
        image = np.random.default_rng(0).integers(0, 200, (3, 9, 8)).astype(dtype)
        settings = Normalisation(low=(0, 10, 20), high=(200, 150, 100), limit=0, reverse_channels=reverse)
        back = denormalise(normalise(image, settings)[None], settings, dtype)
        assert back.dtype == dtype
        np.testing.assert_allclose(back[0], image, rtol=0, atol=1e-4 if dtype is np.float32 else 0)

    def test_a_constant_channel_comes_back(self):
        settings = Normalisation(low=(5,), high=(5,))
        image = np.full((1, 2, 2), 5, np.uint8)
        np.testing.assert_array_equal(denormalise(normalise(image, settings), settings, np.uint8), image)

    def test_integers_stay_in_their_range(self):
        values = np.array([[[-9, 0.0039, 9]]], np.float32)
        assert denormalise(values, Normalisation(low=(0,), high=(255,)), np.uint8).tolist() == [
            [[0, 128, 255]]
        ]

    def test_all_floats_become_float32(self):
        settings = Normalisation(low=(0,), high=(1,))
        assert denormalise(np.zeros((1, 2, 2), np.float32), settings, np.float64).dtype == np.float32


def test_levels_the_wrong_way_round_are_refused():
    with pytest.raises(ConfigError, match="must not be below low"):
        build(Normalisation, {"low": [9.0], "high": [5.0]}, where="the plan")
