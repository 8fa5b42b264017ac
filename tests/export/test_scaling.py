"""What a file does to intensities is what `data.normalise` does to them."""

import numpy as np
import openvino
import pytest
import torch

from uvala.backends.onnx_graph import to_onnx
from uvala.data.normalisation import Normalisation
from uvala.data.normalise import normalise, scale_of
from uvala.export.scaling import Scaling

FIXED = Normalisation(low=(10.0, 200.0), high=(90.0, 900.0))
OWN = [Normalisation(by="image", levels=levels) for levels in ("percentiles", "deviation")]


def images(seed: int = 0, size: tuple[int, int] = (31, 45), offset: float = 500.0) -> np.ndarray:
    """[2, *size]"""
    return np.random.default_rng(seed).normal(offset, 80, (2, *size)).astype(np.float32)


def scaled(settings: Normalisation, image: np.ndarray, levels: torch.Tensor | None = None) -> np.ndarray:
    return Scaling(settings)(torch.from_numpy(image.astype(np.float32))[None], levels)[0].numpy()


@pytest.mark.parametrize("settings", [FIXED, *OWN], ids=lambda each: f"{each.by}-{each.levels}")
@pytest.mark.parametrize("size", [(1, 1), (31, 45)], ids=str)
def test_gives_the_numbers_of_normalise(settings, size):
    image = images(size=size)
    np.testing.assert_allclose(scaled(settings, image), normalise(image, settings), rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [FIXED, *OWN], ids=lambda each: f"{each.by}-{each.levels}")
def test_pixels_that_are_no_number_do_not_spread(settings):
    image = images()
    image[0, :3, 0] = np.nan, np.inf, -np.inf
    image[1] = np.nan
    np.testing.assert_allclose(scaled(settings, image), normalise(image, settings), rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", OWN, ids=lambda each: each.levels)
@pytest.mark.parametrize(
    "known", [{}, {"low": (3.0, 100.0), "high": (78.0, 900.0)}], ids=["unknown", "known"]
)
def test_a_channel_without_contrast_has_the_levels_of_the_training_set(settings, known):
    settings, image = settings.model_copy(update=known), images()
    image[0] = 3
    expected = normalise(image, settings)
    np.testing.assert_allclose(scaled(settings, image), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(expected[0], -1 if known else 0, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(
        expected[1], normalise(image[1:], settings.model_copy(update={"low": (), "high": ()}))[0]
    )


@pytest.mark.parametrize("settings", OWN, ids=lambda each: each.levels)
def test_openvino_scales_each_image_of_a_batch_as_if_it_were_alone(settings):
    """Version 2026.4 adds up integers of one channel across a batch."""
    batch = torch.from_numpy(np.stack([images(seed, (96, 128))[:1] for seed in range(3)]))
    batch[1] *= 0.3
    graph = openvino.Core().read_model(to_onnx(Scaling(settings), 1, output_name="scaled"))
    (found,) = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(batch).values()
    np.testing.assert_allclose(found, Scaling(settings)(batch).numpy(), rtol=0, atol=1e-5)


def test_channels_are_reversed_and_nothing_is_clipped_where_the_run_says_so():
    settings = FIXED.model_copy(update={"reverse_channels": True, "limit": 0.0})
    image = images(offset=5e6)
    np.testing.assert_allclose(scaled(settings, image), normalise(image, settings), rtol=1e-6)


def test_levels_far_from_zero_lose_no_digits():
    settings = Normalisation(low=(2e7 + 1, 2e7 + 1), high=(2e7 + 4, 2e7 + 3))
    image = np.round(images(offset=0) / 80) * 2 + np.float32(2e7)
    np.testing.assert_allclose(scaled(settings, image), normalise(image, settings), rtol=0, atol=1e-6)


def test_percentiles_of_a_large_image_are_those_of_the_pixels_that_normalise_looks_at():
    image = images(size=(1500, 1501))
    np.testing.assert_allclose(scaled(OWN[0], image), normalise(image, OWN[0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", OWN, ids=lambda each: each.levels)
def test_a_part_is_scaled_as_the_whole_where_its_levels_are_given(settings):
    image = images()
    fixed = scale_of(image, settings)
    levels = torch.tensor([list(zip(fixed.low, fixed.high, strict=True))], dtype=torch.float32)
    part = image[:, 5:9, 7:30]
    np.testing.assert_allclose(scaled(settings, part, levels), normalise(part, fixed), rtol=0, atol=1e-6)
    assert not np.allclose(scaled(settings, part), normalise(part, fixed))
