"""What an image holds is measured as NumPy would measure it."""

import numpy as np
import pytest

from uvala.data.image_facts import look_at_image
from uvala.images.read import Image


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_levels_are_those_of_numpy(dtype, channels):
    """P6: channels and number formats come from the data."""
    array = np.random.default_rng(0).gamma(2, 20, (channels, 50, 70)).astype(dtype)
    facts = look_at_image(Image(array))
    flat = array.reshape(channels, -1).astype(float)
    assert (facts.channels, facts.dtype, facts.size) == (channels, dtype, (50, 70))
    np.testing.assert_allclose(facts.mean, flat.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(facts.std, flat.std(axis=1), rtol=1e-5)
    between = "lower" if dtype.startswith("u") else "linear"  # unsigned levels are counted, not interpolated
    np.testing.assert_allclose(facts.low, np.percentile(flat, 0.5, axis=1, method=between))
    np.testing.assert_allclose(facts.high, np.percentile(flat, 99.5, axis=1, method=between))


def test_pixels_that_are_not_finite_are_seen_and_left_out():
    array = np.ones((1, 10, 10), np.float32)
    array[0, 0, :3] = [np.nan, np.inf, -np.inf]
    facts = look_at_image(Image(array))
    assert not facts.finite
    assert (facts.low, facts.high, facts.mean) == ((1.0,), (1.0,), (1.0,))


def test_an_image_of_nan_alone_has_facts_too():
    facts = look_at_image(Image(np.full((1, 9, 9), np.nan, np.float32)))
    assert (facts.finite, facts.constant, facts.mean, facts.thumbnail.any()) == (False, True, (0.0,), False)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (33, 31), (300, 17)], ids=str)
def test_any_size_has_a_thumbnail_of_norm_1(size):
    array = np.random.default_rng(0).integers(0, 255, (1, *size)).astype(np.uint8)
    norm = np.linalg.norm(look_at_image(Image(array)).thumbnail.astype(float))
    assert norm == pytest.approx(1 if array.size > 1 else 0, abs=0.01)


def test_levels_are_those_after_the_conversion_that_was_asked_for():
    """P6: grey pictures that were saved as RGB."""
    grey = np.random.default_rng(0).integers(0, 255, (1, 20, 20)).astype(np.uint8)
    facts = look_at_image(Image(np.repeat(grey, 3, axis=0)), channels=1)
    assert (facts.channels, facts.mean) == (3, look_at_image(Image(grey)).mean)
