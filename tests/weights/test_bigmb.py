"""Networks of Nest-of-Unets in forms that no reference file has."""

import pytest

from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, match_peer, to_peer

VARIANTS = [
    ("upconv_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("upconv_unet", {"in_channels": 5, "num_classes": 2, "width": 3}),
    ("attention_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("attention_unet", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("r2unet", {"in_channels": 1, "num_classes": 4, "width": 4, "recurrence": "doubled"}),
    ("r2unet", {"in_channels": 4, "num_classes": 1, "width": 6, "recurrence": "doubled"}),
    ("r2_attention_unet", {"in_channels": 1, "num_classes": 4, "width": 4, "recurrence": "doubled"}),
    ("r2_attention_unet", {"in_channels": 4, "num_classes": 1, "width": 6, "recurrence": "doubled"}),
    ("unetpp", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("unetpp", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("unet_dict", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("unet_dict", {"in_channels": 4, "num_classes": 1, "width": 6}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(name, options):
    assert_there_and_back("bigmb", name, **options)


@pytest.mark.parametrize(
    ("name", "hint", "more"),
    [
        ("r2unet", {"steps": 3}, {"recurrence": "doubled"}),
        ("r2_attention_unet", {"steps": 1}, {"recurrence": "doubled"}),
        ("unet_dict", {"dropout": 0.2}, {}),
    ],
)
def test_hints_tell_what_the_keys_do_not(name, hint, more):
    assert_there_and_back("bigmb", name, in_channels=3, num_classes=2, width=4, hints=hint, **more, **hint)


def test_what_was_assumed_is_said():
    theirs = to_peer("bigmb", create_model("unet_dict", in_channels=3, num_classes=2, width=4))
    assert match_peer("bigmb", theirs).assumed == {"dropout": 0.5}


def test_paper_s_recurrence_is_refused():
    model = create_model("r2unet", in_channels=3, num_classes=1, width=4, recurrence="input")
    with pytest.raises(WeightsError, match="recurrence=input"):
        to_peer("bigmb", model)


def test_nested_unet_of_either_origin_is_one_network():
    model = create_model("unetpp", in_channels=3, num_classes=1, width=4)
    theirs = to_peer("bigmb", model)
    assert theirs.keys() == to_peer("nested_unet", model).keys()
    assert recipe_of(from_peer("nested_unet", theirs)) == recipe_of(model)
