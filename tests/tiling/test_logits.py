"""`uvala.predict_logits`: the same logits, whole or in tiles."""

import numpy as np
import pytest
import torch
from torch import nn

import uvala
from uvala.errors import ConfigError, ShapeError
from uvala.models.catalog import model_facts


def random_image(*size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def test_whole_image_is_the_network_s_own_answer(pocket_unet):
    image = random_image(3, 45, 70)
    with torch.no_grad():
        expected = pocket_unet(image[None])[0]
    torch.testing.assert_close(uvala.predict_logits(pocket_unet, image), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(20, 30), (64, 64), (131, 402), (300, 77)], ids=str)
@pytest.mark.parametrize("tile", [32, 64])
def test_tiles_change_nothing(pocket_unet, size, tile):
    image = random_image(3, *size)
    whole = uvala.predict_logits(pocket_unet, image)
    difference = (uvala.predict_logits(pocket_unet, image, tile=tile) - whole).abs().max()
    assert difference <= 1e-5 * whole.std()


@pytest.mark.parametrize(
    ("name", "options"),
    [("unet", {"norm": "instance"}), ("minimal_unet", {}), ("unet", {"skip": "scse"})],
    ids=["whole-image norms", "corners onto corners", "squeezes"],
)
def test_nor_where_the_network_looks_at_the_whole_image(name, options):
    torch.manual_seed(0)
    options = {**model_facts(name)["small"], **options}
    model = uvala.create_model(name, in_channels=1, num_classes=2, **options).double()
    image = random_image(1, 210, 170).double() + torch.linspace(0, 3, 170)
    whole = uvala.predict_logits(model, image)
    difference = (uvala.predict_logits(model, image, tile=64) - whole).abs().max()
    assert difference <= 1e-5 * whole.std()


def test_numpy_images_and_networks_of_one_s_own_will_do():
    model = nn.Conv2d(2, 3, 5, padding=2)
    image = np.random.default_rng(0).random((2, 90, 81))
    whole, tiled = uvala.predict_logits(model, image), uvala.predict_logits(model, image, tile=32)
    assert whole.shape == (3, 90, 81)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "other", [lambda image: image[:, ::-1], lambda image: image.astype(">f4"), lambda image: image.T.copy().T]
)
def test_numpy_images_may_lie_in_memory_as_they_like(other):
    model, image = nn.Conv2d(2, 3, 3, padding=1), other(np.random.default_rng(0).random((2, 40, 31)))
    expected = uvala.predict_logits(model, torch.tensor(np.array(image, np.float32, order="C")))
    torch.testing.assert_close(uvala.predict_logits(model, image), expected, rtol=0, atol=1e-6)


def test_images_that_are_only_read_are_no_reason_to_warn():
    image = np.zeros((2, 40, 31), np.float32)
    image.flags.writeable = False
    assert uvala.predict_logits(nn.Conv2d(2, 3, 1), image).shape == (3, 40, 31)


def test_what_is_no_number_is_refused(pocket_unet):
    with pytest.raises(ShapeError, match="real numbers"):
        uvala.predict_logits(pocket_unet, np.zeros((3, 20, 20), complex))


def test_blending_is_logged_and_exact_tiles_are_not(caplog):
    model, image = nn.Conv2d(3, 2, 3, padding=1), random_image(3, 290, 281)
    uvala.predict_logits(model, image, tile=32)
    assert not caplog.records
    model.local = False
    uvala.predict_logits(model, image, tile=32)
    (record,) = caplog.records
    assert "blended tiles of 32 pixels" in record.getMessage()


def test_a_batch_is_refused(pocket_unet):
    with pytest.raises(ShapeError, match=r"\[C, H, W\]"):
        uvala.predict_logits(pocket_unet, random_image(1, 3, 20, 20))


def test_a_tile_below_32_pixels_is_refused(pocket_unet):
    with pytest.raises(ConfigError, match="32"):
        uvala.predict_logits(pocket_unet, random_image(3, 20, 20), tile=8)
