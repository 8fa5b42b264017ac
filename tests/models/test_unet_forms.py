"""The padded U-Net in the forms in which people have it: sizes that do not divide, and what options mean."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.errors import ConfigError
from uvala.models.catalog import create_model
from uvala.models.facts import measure

RAGGED = [
    ("pytorch_unet", {"bilinear": False}),
    ("pytorch_unet", {"bilinear": True}),
    ("pytorch_unet_512", {"bilinear": False}),
    ("pytorch_unet_512", {"bilinear": True}),
]
PADDED = ["unet32", "unet8", "minimal_unet"]


def make(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(name, **{"in_channels": 2, "num_classes": 3, "width": 4, **options})
    return model.eval().double()


def random_image(height: int, width: int) -> Tensor:
    return torch.randn(1, 2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def as_the_origin(model: nn.Module, image: Tensor) -> Tensor:
    """The same layers as Pytorch-UNet walks them: poolings drop rows, zeros frame what came up."""
    x, skips = image, []
    for level, encode in enumerate(model.encoders):
        x = encode(F.max_pool2d(x, 2) if level else x)
        skips.append(x)
    for up, decode, skip in zip(model.ups, model.decoders, reversed(skips[:-1]), strict=True):
        x = up(x)
        down, right = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])
        x = decode(torch.cat([skip, x], dim=1))
    return model.head(x)


class TestSizesThatDoNotDivide:
    """What the origin does, where it does something."""

    @pytest.mark.parametrize(("name", "options"), RAGGED, ids=str)
    @pytest.mark.parametrize("size", [(16, 16), (17, 31), (65, 97), (47, 16), (30, 33)], ids=str)
    def test_are_framed_level_by_level_as_the_origin_does(self, name, options, size):
        model, image = make(name, **options), random_image(*size)
        with torch.no_grad():
            torch.testing.assert_close(model(image), as_the_origin(model, image), rtol=0, atol=1e-12)

    @pytest.mark.parametrize(("name", "options"), RAGGED, ids=str)
    @pytest.mark.parametrize("size", [(1, 1), (15, 15), (3, 40)], ids=str)
    def test_below_the_origin_s_smallest_are_padded_to_that(self, name, options, size):
        model, image = make(name, **options), random_image(*size)
        padded = F.pad(image, (0, max(16 - size[1], 0), 0, max(16 - size[0], 0)), mode="replicate")
        with torch.no_grad():
            expected = as_the_origin(model, padded)[..., : size[0], : size[1]]
            torch.testing.assert_close(model(image), expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("name", PADDED)
    def test_that_the_origin_refuses_are_padded_to_a_multiple(self, name):
        model, image = make(name), random_image(33, 50)
        down, right = -33 % model.multiple, -50 % model.multiple
        padded = F.pad(image, (0, right, 0, down), mode="replicate")
        with torch.no_grad():
            torch.testing.assert_close(model(image), model(padded)[..., :33, :50], rtol=0, atol=1e-12)


class TestOptions:
    """Options mean what their names say."""

    def test_512_bounds_the_channels_at_eight_times_the_width(self):
        model = make("pytorch_unet_512")
        assert [encoder[-1][0].out_channels for encoder in model.encoders] == [4, 8, 16, 32, 32]

    def test_learned_upsampling_of_512_keeps_the_channels(self):
        model = make("pytorch_unet_512", bilinear=False)
        assert [(up.in_channels, up.out_channels) for up in model.ups] == [(32, 32), (16, 16), (8, 8), (4, 4)]

    @pytest.mark.parametrize(
        ("name", "options"), [("unet32", {}), ("unet8", {}), ("pytorch_unet_512", {"bilinear": False})]
    )
    def test_learned_upsampling_lets_a_tile_be_exact(self, name, options):
        assert measure(make(name, **options), 2).halo is not None

    @pytest.mark.parametrize("name", ["minimal_unet", "pytorch_unet_512"])
    def test_so_does_corners_on_corners(self, name):
        assert measure(make(name), 2).halo is not None

    def test_features_without_a_head_are_the_last_block_s(self):
        with_head, without = make("minimal_unet"), make("minimal_unet", with_head=False, num_classes=4)
        without.load_state_dict(with_head.state_dict(), strict=False)
        image = random_image(12, 16)
        with torch.no_grad():
            torch.testing.assert_close(with_head.head(without(image)), with_head(image))

    def test_features_without_a_head_are_as_many_as_the_width(self):
        with pytest.raises(ConfigError, match="num_classes must be width, which is 4, not 3"):
            make("minimal_unet", with_head=False)


class TestScale:
    """At half scale the network sees means of 2x2 pixels, and its logits are interpolated."""

    @pytest.mark.parametrize("scale", [0.5, 0.25])
    def test_is_the_network_between_a_mean_and_an_interpolation(self, scale):
        coarse, plain = make("pytorch_unet", scale=scale), make("pytorch_unet")
        plain.load_state_dict(coarse.state_dict())
        image, side = random_image(64, 128), round(1 / scale)
        with torch.no_grad():
            inner = plain(F.avg_pool2d(image, side))
            expected = F.interpolate(inner, scale_factor=side, mode="bilinear", align_corners=False)
            torch.testing.assert_close(coarse(image), expected)

    @pytest.mark.parametrize("size", [(1, 1), (33, 70), (17, 129)], ids=str)
    def test_takes_any_size(self, size):
        with torch.no_grad():
            assert make("pytorch_unet", scale=0.5)(random_image(*size)).shape == (1, 3, *size)

    def test_needs_twice_the_context(self):
        halos = [measure(make("pytorch_unet", scale=scale), 2).halo for scale in (1.0, 0.5)]
        assert halos[1] == 2 * halos[0]
