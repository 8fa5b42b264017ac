"""Networks on ResNets and VGG16 of UNET-ZOO and unet-pytorch, in forms that no reference file has."""

import pytest

import goldens
from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, to_peer

VARIANTS = [
    ("seed001_resnet34_unet", "resnet34_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    (
        "seed001_resnet34_unet",
        "resnet34_unet",
        {"in_channels": 5, "num_classes": 2, "layers": (2, 2, 2, 2), "width": 4},
    ),
    ("zoo_cenet", "cenet", {"in_channels": 1, "num_classes": 3, "width": 8}),
    ("zoo_cenet", "cenet", {"in_channels": 4, "num_classes": 1, "layers": (2, 2, 2, 2), "width": 6}),
    ("zoo_segnet", "segnet", {"in_channels": 1, "num_classes": 5, "width": 4, "pool_stride": 1}),
    ("zoo_segnet", "segnet", {"in_channels": 6, "num_classes": 2, "width": 3, "pool_stride": 1}),
    ("bubbliiiing", "vgg16_unet", {"in_channels": 1, "num_classes": 2, "width": 4}),
    ("bubbliiiing", "vgg16_unet", {"in_channels": 4, "num_classes": 9, "width": 6}),
    ("bubbliiiing", "resnet50_unet", {"in_channels": 1, "num_classes": 2, "width": 4}),
    (
        "bubbliiiing",
        "resnet50_unet",
        {"in_channels": 4, "num_classes": 7, "layers": (3, 4, 23, 3), "width": 2},
    ),
]


@pytest.mark.parametrize(("origin", "name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(origin, name, options):
    assert_there_and_back(origin, name, **options)


SEGNET = {"in_channels": 3, "num_classes": 2, "width": 3}


class TestSegNet:
    """Its keys do not tell how its pooling strides."""

    def test_stride_is_1_unless_said_otherwise(self):
        state = to_peer("zoo_segnet", create_model("segnet", pool_stride=1, **SEGNET))
        assert recipe_of(from_peer("zoo_segnet", state)).config.pool_stride == 1

    def test_stride_2_is_a_hint(self):
        state = to_peer("zoo_segnet", create_model("segnet", pool_stride=1, **SEGNET))
        assert recipe_of(from_peer("zoo_segnet", state, pool_stride=2)).config.pool_stride == 2

    def test_stride_2_has_no_way_back_to_a_network_that_cannot_have_it(self):
        with pytest.raises(WeightsError, match="pool_stride=2"):
            to_peer("zoo_segnet", create_model("segnet", pool_stride=2, **SEGNET))


def test_checkpoint_of_another_backbone_is_answered_with_what_is_missing():
    golden = goldens.read("bubbliiiing_unet_vgg") if goldens.names() else pytest.skip("no reference files")
    state = goldens.state_dict(golden)
    del state["up_concat1.conv2.weight"]
    with pytest.raises(WeightsError, match=r"up_concat1\.conv2\.weight"):
        from_peer("bubbliiiing", state)
