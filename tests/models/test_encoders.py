"""Encoders: any network of timm as a list of maps."""

from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file

from uvala.errors import ConfigError, UnknownNameError, WeightsError
from uvala.models.catalog import create_model
from uvala.models.encoders import encoder_behaviour, make_encoder

SIZES = [(64, 96), (65, 97), (33, 47), (1, 1)]


class Network(torch.nn.Module):
    checkpointing = False


def maps_of(encoder, image):
    with torch.no_grad():
        return encoder.eval()(image, Network())


class TestMaps:
    """The maps are those of timm."""

    @pytest.mark.parametrize(
        "name", ["test_resnet", "test_efficientnet", "test_convnext", "vgg11", "hrnet_w18_small", "pvt_v2_b0"]
    )
    def test_are_those_of_timms_network(self, name):
        encoder = make_encoder(name, 3, depth=5)
        reference = timm.create_model(name, features_only=True)
        reference.load_state_dict(encoder.net.state_dict())
        image = torch.randn(1, 3, 64, 96)
        with torch.no_grad():
            expected = reference.eval()(image)
        found = [each for each in maps_of(encoder, image) if each is not None]
        for one, other in zip(reversed(found), reversed(expected), strict=False):
            assert torch.equal(one, other)

    def test_windowed_transformer_gives_channels_first(self):
        encoder = make_encoder("swin_tiny_patch4_window7_224", 3, depth=5)
        shapes = [each.shape[1:] for each in maps_of(encoder, torch.randn(1, 3, 64, 96)) if each is not None]
        assert shapes == [(96, 16, 24), (192, 8, 12), (384, 4, 6), (768, 2, 3)]

    @pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
    def test_depth_leaves_nothing_behind_the_coarsest(self, name, depth):
        model = create_model(f"unet:{name}", in_channels=3, num_classes=2, depth=depth)
        assert model.multiple == 2**depth
        model(torch.randn(2, 3, 64, 64)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())

    @pytest.mark.parametrize("name", ["tf_efficientnet_b0", "mobilenetv2_100", "densenet121"])
    def test_other_form_has_other_maps(self, name):
        image = torch.randn(1, 3, 64, 64)
        encoders = [make_encoder(name, 3, depth=5, form=form) for form in ("timm", "smp")]
        encoders[1].load_state_dict(encoders[0].state_dict(), strict=False)
        plain, other = (maps_of(encoder, image) for encoder in encoders)
        assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(plain, other, strict=True))


class TestBehaviour:
    """What a network does with sizes is found by looking."""

    def test_resnet_rounds_halves_up(self):
        behaviour = encoder_behaviour("resnet18")
        assert behaviour.exact
        assert behaviour.ragged
        assert behaviour.least == 1

    def test_vgg_rounds_halves_down(self):
        behaviour = encoder_behaviour("vgg11")
        assert not behaviour.exact
        assert behaviour.ragged
        assert behaviour.least == 32

    def test_same_padding_depends_on_the_size(self):
        assert not encoder_behaviour("tf_efficientnet_b0").exact

    def test_hrnet_takes_multiples_only(self):
        assert not encoder_behaviour("hrnet_w18_small").ragged

    def test_windows_of_a_part_of_the_image_make_the_multiple(self):
        assert encoder_behaviour("maxvit_tiny_rw_224").multiple == 224


class TestErrors:
    """What cannot be an encoder is refused with what can."""

    def test_unknown_name_suggests_the_nearest(self):
        with pytest.raises(UnknownNameError, match="did you mean 'convnext_tiny'"):
            create_model("unet:convnext_tinny", in_channels=3, num_classes=2)

    def test_network_with_one_stride_is_refused(self):
        with pytest.raises(ConfigError, match="vit_tiny_patch16_224"):
            create_model("unet:vit_tiny_patch16_224", in_channels=3, num_classes=2)

    def test_depth_that_reaches_no_map_is_refused(self):
        with pytest.raises(ConfigError, match="set depth=2"):
            create_model("unet:test_convnext", in_channels=3, num_classes=2, depth=1)

    def test_other_form_is_for_those_that_have_one(self):
        with pytest.raises(ConfigError, match="leave form at its default"):
            create_model("unet:resnet18", in_channels=3, num_classes=2, form="smp")


class TestPretrained:
    """The weights of ImageNet, without the network in these tests."""

    @pytest.fixture
    def published(self, tmp_path, monkeypatch):
        """The tensors of a file that timm takes for those of its hub."""
        torch.manual_seed(0)
        state = timm.create_model("test_resnet").state_dict()
        save_file(state, tmp_path / "weights.safetensors")
        overlay = {"file": str(tmp_path / "weights.safetensors")}
        monkeypatch.setattr(timm, "create_model", partial(timm.create_model, pretrained_cfg_overlay=overlay))
        return state

    def make(self, channels):
        return create_model("unet:test_resnet", in_channels=channels, num_classes=2, pretrained=True)

    def test_weights_are_those_of_the_file(self, published):
        encoder = self.make(3).encoder.net.state_dict()
        assert all(torch.equal(value, published[key]) for key, value in encoder.items())

    def test_weights_of_a_grey_image_are_summed(self, published):
        first = self.make(1).encoder.net.state_dict()["conv1.0.weight"]
        torch.testing.assert_close(first, published["conv1.0.weight"].sum(dim=1, keepdim=True))

    @pytest.mark.parametrize("channels", [2, 4, 6])
    def test_weights_of_more_channels_are_repeated(self, published, channels):
        first = self.make(channels).encoder.net.state_dict()["conv1.0.weight"]
        repeated = published["conv1.0.weight"].repeat(1, 2, 1, 1)[:, :channels]
        torch.testing.assert_close(first, repeated * 3 / channels)

    def test_failing_download_is_one_sentence(self, monkeypatch):
        def offline(*args, **options):
            if options["pretrained"]:
                raise ConnectionError("no route to host")
            return create(*args, **options)

        create = timm.create_model
        encoder_behaviour("test_resnet")
        monkeypatch.setattr(timm, "create_model", offline)
        with pytest.raises(WeightsError, match="set pretrained=false") as caught:
            self.make(3)
        assert caught.value.__suppress_context__
