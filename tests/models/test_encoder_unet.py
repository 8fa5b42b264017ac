"""U-Net, UNet++ and LinkNet on encoders of timm."""

import pytest
import torch

from uvala.config import build
from uvala.errors import ConfigError
from uvala.models.catalog import create_model
from uvala.models.encoder_unet import EncoderUNetConfig
from uvala.models.facts import measure

FAMILIES = ["unet:", "unetpp:", "linknet:"]
ENCODERS = [
    "test_resnet",
    "test_efficientnet",
    "test_convnext",
    "pvt_v2_b0",
    "hrnet_w18_small",
    "densenet121",
]
NARROW = {"decoder_channels": (8, 8, 8, 8, 4)}


def make(name, **options):
    torch.manual_seed(0)
    narrow = {} if name.startswith("linknet:") else NARROW
    return create_model(name, **{"in_channels": 3, "num_classes": 2, **narrow, **options})


class TestAnyEncoder:
    """Logits are as large as the image, whatever the encoder."""

    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("encoder", ENCODERS)
    def test_logits_are_finite_and_as_large_as_the_image(self, family, encoder):
        model = make(family + encoder).eval()
        for size in [(64, 96), (65, 97), (5, 33), (1, 1)]:
            with torch.no_grad():
                logits = model(torch.randn(1, 3, *size))
            assert logits.shape == (1, 2, *size)
            assert logits.isfinite().all()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_checkpointing_changes_no_gradient(self, family):
        gradients = []
        for checkpointing in (False, True):
            model = make(f"{family}test_resnet").train().use_checkpointing(checkpointing)
            model(
                torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
            ).square().sum().backward()
            gradients.append([parameter.grad for parameter in model.parameters()])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


class TestOptions:
    """Options mean what their names say."""

    def test_of_more_decoder_channels_than_steps_the_last_are_taken(self):
        config = build(EncoderUNetConfig, {"depth": 3}, where="test")
        assert config.decoder_channels == (64, 32, 16)

    def test_fewer_decoder_channels_than_steps_are_refused(self):
        with pytest.raises(ConfigError, match="must be 5 numbers"):
            make("unet:test_resnet", decoder_channels=(8, 8))

    def test_center_comes_with_vgg(self):
        assert build(EncoderUNetConfig, {"encoder": "vgg16_bn"}, where="test").center
        assert not build(EncoderUNetConfig, {}, where="test").center

    @pytest.mark.parametrize(
        "options",
        [{"attention": "scse"}, {"interpolation": "bilinear"}, {"decoder_norm": "none"}, {"center": True}],
    )
    def test_choice_gives_a_network_that_learns(self, options):
        model = make("unet:test_resnet", **options)
        model(torch.randn(2, 3, 50, 70)).square().mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


class TestTiles:
    """Tiles are exact where the encoder looks at the same pixels at every size."""

    def test_resnet_has_a_halo(self):
        assert measure(make("unet:test_resnet"), 3).halo is not None

    def test_squeezes_are_statistics(self):
        facts = measure(make("unet:test_efficientnet"), 3)
        assert facts.halo is not None
        assert facts.statistics == 2

    @pytest.mark.parametrize("encoder", ["vgg11", "test_convnext"])
    def test_others_have_none(self, encoder):
        assert measure(make(f"unet:{encoder}"), 3).halo is None

    def test_odd_sizes_are_those_of_a_larger_image_cut_by_a_tile(self):
        model = make("unet:resnet10t").eval().double()
        image = torch.randn(1, 3, 33, 1057, dtype=torch.float64)
        halo = measure(model, 3).halo
        with torch.no_grad():
            whole, tile = model(image), model(image[..., : 32 + halo + 32])
        torch.testing.assert_close(whole[..., :32], tile[..., :32], rtol=0, atol=1e-12)
