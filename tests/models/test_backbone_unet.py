"""U-Nets on VGG16 and ResNet-50 that go up by interpolation."""

import pytest
import torch
import torch.nn.functional as F

import goldens
from uvala.models.catalog import create_model
from uvala.models.facts import measure

SMALL = {"vgg16_unet": {"width": 4}, "resnet50_unet": {"width": 4, "layers": (1, 1, 1, 1)}}


@pytest.mark.parametrize(
    ("name", "size", "padded"),
    [
        ("vgg16_unet", (65, 40), (80, 48)),
        ("vgg16_unet", (63, 1), (64, 16)),
        ("resnet50_unet", (65, 40), (96, 64)),
        ("resnet50_unet", (62, 1), (64, 32)),
    ],
)
def test_size_between_is_padded_to_a_multiple(name, size, padded):
    model = goldens.filled(create_model(name, in_channels=1, num_classes=2, **SMALL[name]))
    image = torch.randn(1, 1, *size)
    whole = F.pad(image, (0, padded[1] - size[1], 0, padded[0] - size[0]), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(model(image), model(whole)[..., : size[0], : size[1]])


def test_resnet_takes_what_lacks_one_pixel_of_a_multiple_as_it_is():
    name = "resnet50_unet"
    model = goldens.filled(create_model(name, in_channels=1, num_classes=2, **SMALL[name]))
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    with torch.no_grad():
        assert model(torch.randn(1, 1, 63, 95)).shape[-2:] == (63, 95)
    assert seen == [(63, 95)]


@pytest.mark.parametrize("size", [32, 34, 96, 63, 65])
def test_unpadded_pooling_of_the_stem_gives_half_of_an_even_map(size):
    pool = create_model(
        "resnet50_unet", in_channels=1, num_classes=2, **SMALL["resnet50_unet"]
    ).encoder.stages[1][0]
    assert pool(torch.zeros(1, 1, size, size)).shape[-1] == size // 2


@pytest.mark.parametrize("name", SMALL)
def test_a_tile_is_exact_with_enough_context(name):
    assert measure(create_model(name, in_channels=1, num_classes=2, **SMALL[name]), 1).halo is not None
