"""Pytorch-UNet in forms that no reference file has."""

import pytest

from peers import assert_there_and_back

VARIANTS = [
    {"in_channels": 4, "num_classes": 7, "width": 8},
    {"in_channels": 1, "num_classes": 3, "width": 6, "bilinear": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_variant_goes_there_and_back(options):
    assert_there_and_back("milesial", "pytorch_unet", **options)
