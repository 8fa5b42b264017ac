"""The U-Nets of UNET-ZOO in forms that no reference file has."""

import pytest
import torch

from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model
from uvala.weights.peers import from_peer, match_peer, to_peer

VARIANTS = [
    ("zoo_attention", "attention_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("zoo_attention", "attention_unet", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("zoo_r2unet", "r2unet", {"in_channels": 1, "num_classes": 4, "width": 4}),
    ("zoo_r2unet", "r2unet", {"in_channels": 4, "num_classes": 2, "width": 6}),
    ("zoo_unetpp", "unetpp", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("zoo_unetpp", "unetpp", {"in_channels": 4, "num_classes": 2, "width": 6, "deep_supervision": True}),
    ("zoo_channel_unet", "channel_unet", {"in_channels": 1, "num_classes": 4, "width": 8}),
    ("zoo_channel_unet", "channel_unet", {"in_channels": 4, "num_classes": 2, "width": 6}),
]


@pytest.mark.parametrize(("origin", "name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(origin, name, options):
    assert_there_and_back(origin, name, **options)


def test_number_of_steps_is_a_hint():
    assert_there_and_back(
        "zoo_r2unet", "r2unet", in_channels=3, num_classes=1, width=4, steps=3, hints={"steps": 3}
    )


def test_assumed_number_of_steps_is_said():
    theirs = to_peer("zoo_r2unet", create_model("r2unet", in_channels=3, num_classes=1, width=4))
    assert match_peer("auto", theirs).assumed == {"steps": 2}


def test_doubled_recurrence_is_refused():
    model = create_model("r2unet", in_channels=3, num_classes=1, width=4, recurrence="doubled")
    with pytest.raises(WeightsError, match="recurrence=doubled"):
        to_peer("zoo_r2unet", model)


class TestUnusedNormOfTheChannelUNet:
    """The origin builds gau_*.bn_high and never calls it."""

    def test_is_written_for_a_network_that_never_had_it(self):
        theirs = to_peer(
            "zoo_channel_unet", create_model("channel_unet", in_channels=3, num_classes=1, width=4)
        )
        widths = [len(theirs[f"gau_{step}.bn_high.running_var"]) for step in (1, 2, 3, 4)]
        assert widths == [32, 16, 8, 4]

    def test_is_kept_as_it_came(self):
        theirs = to_peer(
            "zoo_channel_unet", create_model("channel_unet", in_channels=3, num_classes=1, width=4)
        )
        theirs["gau_1.bn_high.bias"] = torch.arange(32.0)
        back = to_peer("zoo_channel_unet", from_peer("zoo_channel_unet", theirs))
        assert torch.equal(back["gau_1.bn_high.bias"], torch.arange(32.0))
