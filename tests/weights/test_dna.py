"""nnU-Net's networks in forms that no reference file has."""

import pytest
import torch

import goldens
from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.peers import from_peer, match_peer, to_peer

PLAIN = [
    {"widths": (4, 6, 8), "in_channels": 4, "num_classes": 7},
    {"widths": (4, 6), "bias": False, "norm": "batch"},
    {"widths": (4, 6, 8), "norm": "batch", "affine": False},
    {"widths": (4, 6, 8, 8), "strides": (1, (1, 2), (2, 1), 1), "kernel_sizes": ((1, 3), 3, (5, 3), 3)},
    {"widths": (4, 6, 8), "convolutions": (1, 2, 3), "decoder_convolutions": (3, 1)},
    {"widths": (4, 6, 8), "norm": "none"},
    {"widths": (2,) * 8, "convolutions": 1},
]
RESIDUAL = [
    {"widths": (4, 6, 8), "blocks": (1, 2, 3), "in_channels": 1, "num_classes": 1},
    {"widths": (4, 4, 4), "blocks": 2, "strides": (1, 1, 2), "bias": False},
    {"widths": (4, 6, 8), "blocks": 1, "stem_width": 5, "norm": "batch", "kernel_sizes": ((1, 3), 3, 5)},
    {"widths": (4, 6, 8), "blocks": 2, "bottleneck_widths": (2, 3, 4), "strides": (1, (2, 1), 2)},
    {"widths": (4, 6), "blocks": 1, "norm": "none", "decoder_convolutions": 2},
]
HINTED = [
    ("plain_conv_unet", {"activation": "relu"}),
    ("plain_conv_unet", {"deep_supervision": False}),
    ("plain_conv_unet", {"activation_first": True}),
    ("plain_conv_unet", {"dropout": 0.2}),
    ("plain_conv_unet", {"dropout": 0.2, "activation_first": True}),
    ("plain_conv_unet", {"norm": "instance", "affine": False}),
    ("residual_encoder_unet", {"activation": "elu", "deep_supervision": False}),
    ("residual_encoder_unet", {"dropout": 0.2}),
    ("residual_encoder_unet", {"dropout": 0.2, "bottleneck_widths": (2,)}),
]


def small(name: str = "plain_conv_unet", **options) -> torch.nn.Module:
    return goldens.filled(
        create_model(name, **{"in_channels": 1, "num_classes": 2, "widths": (4, 6, 8)} | options)
    )


def numbers(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_plain_variant_goes_there_and_back(options):
    assert_there_and_back("dna", "plain_conv_unet", **{"in_channels": 2, "num_classes": 3} | options)


@pytest.mark.parametrize("options", RESIDUAL, ids=str)
def test_residual_variant_goes_there_and_back(options):
    assert_there_and_back("dna", "residual_encoder_unet", **{"in_channels": 2, "num_classes": 3} | options)


@pytest.mark.parametrize(("name", "hints"), HINTED, ids=str)
def test_what_keys_do_not_tell_can_be_told(name, hints):
    options = {"in_channels": 1, "num_classes": 2, "widths": (4, 6, 8)} | hints
    hints = {key: value for key, value in hints.items() if key != "bottleneck_widths"}
    assert_there_and_back("dna", name, hints=hints, **options)


def test_assumptions_are_named():
    match = match_peer("dna", to_peer("dna", small()))
    assert match.assumed == {"activation": "leaky_relu", "deep_supervision": True}


@pytest.mark.parametrize("name", ["plain_conv_unet", "residual_encoder_unet"])
def test_each_parameter_goes_back_under_all_its_names(name):
    theirs = to_peer("dna", small(name))
    twice = [key for key in theirs if key.startswith("encoder.")]
    assert all(torch.equal(theirs[key], theirs[f"decoder.{key}"]) for key in twice)
    blocks = [key for key in theirs if ".all_modules.0.weight" in key]
    assert all(torch.equal(theirs[key], theirs[key.replace("all_modules.0", "conv")]) for key in blocks)


@pytest.mark.parametrize(
    "keep",
    [
        lambda key: "all_modules" not in key,
        lambda key: not key.startswith("decoder.encoder."),
        lambda key: not key.startswith("encoder."),
        lambda key: ".conv." not in key and ".norm." not in key,
        lambda key: "all_modules" not in key and not key.startswith("decoder.encoder."),
    ],
    ids=["no all_modules", "one encoder", "the other encoder", "only all_modules", "one name each"],
)
@pytest.mark.parametrize("name", ["plain_conv_unet", "residual_encoder_unet"])
def test_one_name_of_each_parameter_is_enough(name, keep):
    model = small(name)
    some = {key: value for key, value in to_peer("dna", model).items() if keep(key)}
    again = from_peer("auto", some)
    assert recipe_of(again) == recipe_of(model)
    assert torch.equal(numbers(again), numbers(model))


def test_names_of_one_parameter_that_differ_are_a_damage():
    theirs = to_peer("dna", small())
    key = "decoder.encoder.stages.1.0.convs.0.conv.weight"
    theirs[key] = theirs[key] + 1
    with pytest.raises(WeightsError, match=rf"{key}.* differ"):
        from_peer("dna", theirs)


def test_heads_that_are_not_used_come_back_as_they_were():
    theirs = to_peer("dna", small())
    back = to_peer("dna", from_peer("dna", theirs, deep_supervision=False))
    assert torch.equal(back["decoder.seg_layers.0.weight"], theirs["decoder.seg_layers.0.weight"])


def test_something_between_convolution_and_norm_has_to_be_named():
    theirs = to_peer("dna", small(activation_first=True))
    with pytest.raises(WeightsError, match="activation_first=True, or dropout="):
        from_peer("dna", theirs)


def test_three_dimensions_are_refused():
    theirs = {
        key: value[..., None] if value.ndim == 4 else value for key, value in to_peer("dna", small()).items()
    }
    with pytest.raises(WeightsError, match="convolutions in 3D"):
        from_peer("dna", theirs)
