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


def test_a_batch_is_refused(pocket_unet):
    with pytest.raises(ShapeError, match=r"\[C, H, W\]"):
        uvala.predict_logits(pocket_unet, random_image(1, 3, 20, 20))


def test_a_tile_below_32_pixels_is_refused(pocket_unet):
    with pytest.raises(ConfigError, match="32"):
        uvala.predict_logits(pocket_unet, random_image(3, 20, 20), tile=8)
