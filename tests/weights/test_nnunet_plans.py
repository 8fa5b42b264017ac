"""nnU-Net's plans become the networks that they describe."""

import json

import pytest
import torch

from uvala.errors import ConfigError
from uvala.models.catalog import create_model, recipe_of
from uvala.weights.nnunet_plans import class_names, network_from_plans
from uvala.weights.peers import from_peer, to_peer

DATASET = {
    "channel_names": {"0": "R", "1": "G", "2": "B"},
    "labels": {"background": 0, "road": 1},
    "numTraining": 100,
    "file_ending": ".png",
}
OLD = {
    "UNet_class_name": "PlainConvUNet",
    "UNet_base_num_features": 4,
    "unet_max_num_features": 12,
    "n_conv_per_stage_encoder": [2, 2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2, 1],
    "num_pool_per_axis": [3, 3],
    "pool_op_kernel_sizes": [[1, 1], [2, 2], [2, 2], [1, 2]],
    "conv_kernel_sizes": [[3, 3], [3, 3], [3, 3], [1, 3]],
}
ARGUMENTS = {
    "n_stages": 4,
    "features_per_stage": [4, 8, 12, 12],
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "kernel_sizes": [[3, 3], [3, 3], [3, 3], [1, 3]],
    "strides": [[1, 1], [2, 2], [2, 2], [1, 2]],
    "n_conv_per_stage": [2, 2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2, 1],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
EXPECTED = {
    "in_channels": 3,
    "num_classes": 2,
    "widths": (4, 8, 12, 12),
    "strides": ((1, 1), (2, 2), (2, 2), (1, 2)),
    "kernel_sizes": ((3, 3), (3, 3), (3, 3), (1, 3)),
    "convolutions": (2, 2, 2, 2),
    "decoder_convolutions": (2, 2, 1),
    "bias": True,
    "norm": "instance",
    "affine": True,
    "activation": "leaky_relu",
}


def new_form(kind: str = "PlainConvUNet", **changes) -> dict:
    return {
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{kind}",
            "arch_kwargs": {**ARGUMENTS, **changes},
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }
    }


def residual(**changes) -> dict:
    settings = new_form("ResidualEncoderUNet", n_blocks_per_stage=[1, 2, 1, 1], **changes)
    del settings["architecture"]["arch_kwargs"]["n_conv_per_stage"]
    return settings


def plans(settings: dict, **others: dict) -> dict:
    return {"dataset_name": "Dataset120_Roads", "configurations": {"2d": settings, **others}}


def test_old_form():
    assert network_from_plans(plans(OLD), DATASET) == ("plain_conv_unet", EXPECTED)


def test_new_form():
    expected = {**EXPECTED, "dropout": None}
    assert network_from_plans(plans(new_form()), DATASET) == ("plain_conv_unet", expected)


def test_residual_encoder_in_both_forms():
    old = {**OLD, "UNet_class_name": "ResidualEncoderUNet", "n_conv_per_stage_encoder": [1, 2, 1, 1]}
    for settings in [old, residual()]:
        name, options = network_from_plans(plans(settings), DATASET)
        assert (name, options["blocks"]) == ("residual_encoder_unet", (1, 2, 1, 1))


@pytest.mark.parametrize(
    ("changes", "option", "value"),
    [
        ({"conv_bias": False}, "bias", False),
        ({"norm_op": "torch.nn.modules.batchnorm.BatchNorm2d"}, "norm", "batch"),
        ({"norm_op_kwargs": {}}, "affine", False),
        ({"norm_op": None}, "norm", "none"),
        ({"nonlin": "torch.nn.ReLU"}, "activation", "relu"),
        (
            {
                "dropout_op": "torch.nn.modules.dropout.Dropout2d",
                "dropout_op_kwargs": {"p": 0.2, "inplace": True},
            },
            "dropout",
            0.2,
        ),
        ({"nonlin_first": True}, "activation_first", True),
        ({"kernel_sizes": 3}, "kernel_sizes", ((3, 3),) * 4),
        ({"features_per_stage": 6}, "widths", (6,) * 4),
        ({"deep_supervision": False}, "deep_supervision", False),
    ],
    ids=str,
)
def test_arguments_become_options(changes, option, value):
    name, options = network_from_plans(plans(new_form(**changes)), DATASET)
    assert options[option] == value
    assert getattr(recipe_of(create_model(name, **options)).config, option) == value


def test_bottlenecks():
    block = "dynamic_network_architectures.building_blocks.residual.BottleneckD"
    _, options = network_from_plans(plans(residual(block=block, bottleneck_channels=[2, 2, 4, 4])), DATASET)
    assert options["bottleneck_widths"] == (2, 2, 4, 4)


@pytest.mark.parametrize(
    "settings", [OLD, new_form(), residual(nonlin="torch.nn.ReLU")], ids=["old", "new", "residual"]
)
def test_plan_are_hints_for_its_checkpoint(settings):
    name, options = network_from_plans(plans(settings), DATASET)
    model = create_model(name, **options).eval()
    again = from_peer("dna", to_peer("dna", model), **options)
    image = torch.randn(1, 3, 16, 32)
    with torch.no_grad():
        assert torch.equal(again(image), model(image))


def test_files_are_read_and_dataset_json_is_found_beside_plans_json(tmp_path):
    (tmp_path / "plans.json").write_text(json.dumps(plans(OLD)))
    (tmp_path / "dataset.json").write_text(json.dumps(DATASET))
    assert network_from_plans(tmp_path / "plans.json") == ("plain_conv_unet", EXPECTED)


def test_what_lies_beside_the_weights_of_a_checkpoint_is_enough():
    beside = {
        "trainer_name": "nnUNetTrainer",
        "init_args": {"plans": plans({}, wide=OLD), "configuration": "wide", "dataset_json": DATASET},
    }
    assert network_from_plans(beside) == ("plain_conv_unet", EXPECTED)


def test_a_configuration_inherits():
    wide = {"inherits_from": "2d", "UNet_base_num_features": 6}
    _, options = network_from_plans(plans(OLD, wide=wide), DATASET, "wide")
    assert options["widths"] == (6, 12, 12, 12)


def test_channels_and_classes_can_be_said_instead():
    _, options = network_from_plans(plans(OLD), in_channels=5, num_classes=7)
    assert (options["in_channels"], options["num_classes"]) == (5, 7)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"background": 0, "b": 2, "a": 1}, ("background", "a", "b")),
        ({"background": 0, "a": 1, "ignore": 2}, ("background", "a")),
        ({"background": 0, "whole": [1, 2], "core": [2]}, ("whole", "core")),
        ({"0": "background", "1": "liver"}, ("background", "liver")),
    ],
    ids=str,
)
def test_labels_are_the_logits(labels, names):
    assert class_names({"labels": labels}) == names


def test_modality_is_the_older_word_for_channels():
    dataset = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}}
    assert network_from_plans(plans(OLD), dataset)[1]["in_channels"] == 1


THREE = {**OLD, "conv_kernel_sizes": [[3, 3, 3]] * 4, "pool_op_kernel_sizes": [[1, 1, 1]] + [[2, 2, 2]] * 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (plans(THREE), "uvala is 2D"),
        (plans(new_form(kernel_sizes=[[3, 3, 3]] * 4)), "uvala is 2D"),
        (plans(new_form(conv_op="torch.nn.modules.conv.Conv3d")), "uvala is 2D"),
        (plans(new_form("PrimusS")), "network class PrimusS"),
        (plans(new_form(squeeze_excitation=True)), "squeeze_excitation=True"),
        (plans(new_form(norm_op_kwargs={"eps": 1e-3, "affine": True})), r"eps=0\.001"),
        (plans(new_form(norm_op="torch.nn.modules.normalization.GroupNorm")), "norm_op GroupNorm"),
        (plans(new_form(nonlin_kwargs={"negative_slope": 0.2})), r"negative_slope=0\.2"),
        (plans(new_form(n_stages=5)), "n_stages=5"),
        (plans(new_form(strides=[[2, 2]] * 4)), "stride 1"),
        (plans({**OLD, "previous_stage": "3d_lowres"}), "continues '3d_lowres'"),
        (plans({"inherits_from": "2d"}), "inherits from itself"),
        (plans({"batch_size": 2}), "network class nothing"),
        ({"configurations": {"2d_fullres": OLD}}, "choose one of 2d_fullres"),
        ({"modalities": {}}, "without configurations"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_uvala_has_not_is_refused(content, message):
    with pytest.raises(ConfigError, match=message):
        network_from_plans(content, DATASET)


def test_plans_alone_do_not_tell_channels():
    with pytest.raises(ConfigError, match="pass dataset_json, or in_channels and num_classes"):
        network_from_plans(plans(OLD))


@pytest.mark.parametrize("text", ["", "{", "[]"], ids=repr)
def test_a_file_that_is_no_plan_is_named(tmp_path, text):
    (tmp_path / "plans.json").write_text(text)
    with pytest.raises(ConfigError, match=r"plans\.json"):
        network_from_plans(tmp_path / "plans.json", DATASET)
