"""Networks of pytorch-nested-unet in forms that no reference file has."""

import pytest

from peers import assert_there_and_back

VARIANTS = [
    ("vgg_block_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("vgg_block_unet", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("unetpp", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("unetpp", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("unetpp", {"in_channels": 1, "num_classes": 4, "width": 8, "deep_supervision": True}),
    ("unetpp", {"in_channels": 4, "num_classes": 2, "width": 6, "deep_supervision": True}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(name, options):
    assert_there_and_back("nested_unet", name, **options)


def test_deep_supervision_has_a_head_for_each_node_of_the_first_level():
    theirs = assert_there_and_back(
        "nested_unet", "unetpp", in_channels=3, num_classes=5, width=4, deep_supervision=True
    )
    heads = [key for key in theirs if key.startswith("final") and key.endswith("weight")]
    assert heads == ["final1.weight", "final2.weight", "final3.weight", "final4.weight"]
