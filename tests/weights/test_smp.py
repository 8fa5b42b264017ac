"""segmentation_models.pytorch in forms that no reference file has."""

import pytest
import timm
import torch

from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, match_peer, to_peer

NARROW = {"decoder_channels": (32, 16, 16, 16, 16)}

VARIANTS = [
    ("unet:resnet18", {"in_channels": 1, "num_classes": 4, "decoder_channels": (64, 48, 32, 16, 8)}),
    ("unet:resnet50", {"in_channels": 5, "num_classes": 2, **NARROW}),
    ("unet:resnext50_32x4d", {"in_channels": 3, "num_classes": 1, **NARROW}),
    ("unet:resnet34", {"in_channels": 3, "num_classes": 1, "depth": 3, "decoder_channels": (32, 16, 8)}),
    ("unet:resnet18", {"in_channels": 4, "num_classes": 2, "decoder_norm": "none", **NARROW}),
    ("unet:resnet18", {"in_channels": 3, "num_classes": 2, "attention": "scse", **NARROW}),
    ("unet:densenet121", {"in_channels": 3, "num_classes": 2, "form": "smp", **NARROW}),
    ("unet:tf_efficientnet_b0", {"in_channels": 3, "num_classes": 2, "form": "smp", **NARROW}),
    ("unet:mobilenetv2_100", {"in_channels": 2, "num_classes": 2, "form": "smp", **NARROW}),
    (
        "unetpp:resnet18",
        {"in_channels": 2, "num_classes": 3, "depth": 4, "decoder_channels": (32, 24, 16, 16)},
    ),
    ("unetpp:resnet18", {"in_channels": 3, "num_classes": 1, "attention": "scse", **NARROW}),
    ("unetpp:efficientnet_b0", {"in_channels": 3, "num_classes": 1, "form": "smp", **NARROW}),
    ("linknet:resnet18", {"in_channels": 2, "num_classes": 3, "depth": 4}),
    ("linknet:mobilenetv2_100", {"in_channels": 3, "num_classes": 1, "form": "smp", "decoder_norm": "none"}),
]


def name_and_options(value):
    return value if isinstance(value, str) else "-".join(f"{key}={each}" for key, each in value.items())


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=name_and_options)
def test_variant_goes_there_and_back(name, options):
    assert_there_and_back("smp", name, **options)


class TestNetworksOfTimm:
    """Encoders that are called tu-... there: keys say little of which it is."""

    @pytest.mark.parametrize(
        "name", ["unet:test_convnext", "unetpp:test_efficientnet", "linknet:test_resnet"]
    )
    def test_variant_goes_there_and_back_with_the_name(self, name):
        encoder = name.partition(":")[2]
        assert_there_and_back("smp", name, hints={"encoder": f"tu-{encoder}"}, in_channels=2, num_classes=3)

    def test_is_found_without_it_where_only_one_fits(self):
        model = create_model("unet:test_convnext", in_channels=2, num_classes=1)
        assert match_peer("smp", to_peer("smp", model)).recipe == recipe_of(model)

    def test_name_is_asked_for_where_several_fit(self, monkeypatch):
        two = ["efficientnet_b0", "tf_efficientnet_b0"]
        monkeypatch.setattr(timm, "list_models", lambda: two)  # all of them take a quarter of a minute
        theirs = to_peer("smp", create_model("linknet:efficientnet_b0", in_channels=3, num_classes=1))
        with pytest.raises(WeightsError, match=f"{', '.join(two)}.*encoder='tu-efficientnet_b0'"):
            from_peer("smp", theirs)

    def test_come_back_under_the_names_they_came_with(self):
        theirs = to_peer("smp", create_model("linknet:resnet18", in_channels=3, num_classes=1))
        renamed = {key.replace("encoder.", "encoder.model."): value for key, value in theirs.items()}
        back = to_peer("smp", from_peer("smp", renamed, encoder="tu-resnet18"))
        assert back.keys() == renamed.keys()


class TestHints:
    """What the keys do not say can be said."""

    @pytest.mark.parametrize("encoder", ["mobilenet_v2", "mobilenetv2_100"])
    def test_encoder_has_their_name_or_that_of_timm(self, encoder):
        model = create_model("unet:mobilenetv2_100", in_channels=3, num_classes=1, form="smp")
        assert match_peer("smp", to_peer("smp", model), {"encoder": encoder}).recipe == recipe_of(model)

    def test_wrong_encoder_is_refused(self):
        theirs = to_peer("smp", create_model("linknet:resnet18", in_channels=3, num_classes=1))
        with pytest.raises(WeightsError, match="resnet50"):
            from_peer("smp", theirs, encoder="resnet50")

    def test_interpolation_is_assumed_nearest(self):
        theirs = to_peer("smp", create_model("unet:resnet18", in_channels=3, num_classes=1))
        assert match_peer("smp", theirs).assumed == {"interpolation": "nearest"}
        match = match_peer("smp", theirs, {"interpolation": "bilinear"})
        assert match.recipe.config.interpolation == "bilinear"


def test_classification_head_is_carried_along():
    theirs = to_peer("smp", create_model("linknet:resnet18", in_channels=3, num_classes=1))
    theirs["classification_head.3.weight"] = torch.randn(7, 512)
    back = to_peer("smp", from_peer("smp", theirs))
    assert torch.equal(back["classification_head.3.weight"], theirs["classification_head.3.weight"])


def test_vgg_has_a_center_as_it_has_there():
    model = create_model("unet:vgg11_bn", in_channels=3, num_classes=1)
    assert "decoder.center.1.0.weight" in to_peer("smp", model)


def test_vgg_carries_a_center_that_unetpp_does_not_use():
    model = create_model("unetpp:vgg11", in_channels=3, num_classes=1, decoder_norm="none")
    assert to_peer("smp", model)["decoder.center.1.0.bias"].shape == (512,)


@pytest.mark.parametrize(
    "options", [{"center": True}, {"depth": 2}, {"attention": "scse", "decoder_channels": [8] * 5}], ids=str
)
def test_network_that_they_do_not_have_is_refused(options):
    model = create_model("unet:test_resnet", in_channels=3, num_classes=1, **options)
    with pytest.raises(WeightsError, match="choose the origin"):
        to_peer("smp", model)


def test_encoder_that_is_none_of_its_kind_is_refused():
    theirs = to_peer("smp", create_model("unet:resnet18", in_channels=3, num_classes=1))
    theirs["encoder.layer1.0.extra.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"101 tensors.*one of resnet18, .*encoder=\.\.\."):
        from_peer("smp", theirs)
