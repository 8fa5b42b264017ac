"""U-Nets of tutorials in forms that no reference file has."""

import pytest
import torch

from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model
from uvala.weights.peers import from_peer, to_peer

VARIANTS = [
    ("seed003", "pytorch_unet_512", {"in_channels": 3, "num_classes": 4, "width": 8, "bilinear": True}),
    ("seed003", "pytorch_unet_512", {"in_channels": 2, "num_classes": 3, "width": 6, "bilinear": False}),
    ("seed001_unet32", "unet32", {"in_channels": 1, "num_classes": 5, "width": 8}),
    ("seed001_unet32", "unet32", {"in_channels": 4, "num_classes": 2, "width": 5}),
    ("seed001_unet8", "unet8", {"in_channels": 1, "num_classes": 1, "width": 4}),
    ("seed001_unet8", "unet8", {"in_channels": 3, "num_classes": 6, "width": 8}),
    ("seed002", "minimal_unet", {"in_channels": 3, "num_classes": 16, "width": 16, "with_head": False}),
    ("seed002", "minimal_unet", {"in_channels": 2, "num_classes": 7, "width": 7, "with_head": False}),
]


@pytest.mark.parametrize(("origin", "name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(origin, name, options):
    assert_there_and_back(origin, name, **options)


def test_output_layer_that_the_origin_does_not_have_stays_here():
    model = create_model("minimal_unet", in_channels=1, num_classes=2, width=4)
    with pytest.raises(WeightsError, match="network without an output layer"):
        to_peer("seed002", model)


def test_pytorch_unet_of_today_is_not_that_of_tutorials():
    state = to_peer("milesial", create_model("pytorch_unet", in_channels=1, num_classes=2, width=4))
    with pytest.raises(WeightsError, match=r"missing: inc\.double_conv\.0\.bias"):
        from_peer("seed003", state)


def test_features_without_a_head_are_not_negative():
    model = create_model("minimal_unet", in_channels=1, num_classes=4, width=4, with_head=False)
    with torch.no_grad():
        features = model(torch.randn(2, 1, 12, 13))
    assert features.shape == (2, 4, 12, 13)
    assert features.min() == 0  # they come from a ReLU
