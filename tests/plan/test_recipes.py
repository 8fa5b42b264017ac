"""Recipes say what their origins do."""

import pytest

from uvala.config import build, override
from uvala.errors import UnknownNameError
from uvala.models.catalog import model_config
from uvala.plan.recipes import read_recipe, recipe_names, recipe_text
from uvala.plan.schema import Plan

# as the origins' own code or paper has it: see the source that each recipe names
ORIGINS = {
    "pytorch-unet": {
        "length.epochs": 5,
        "model.name": "pytorch_unet",
        "model.options.scale": 0.5,
        "model.options.bilinear": False,
        "patches.batch": 1,
        "loss.cross_entropy": 1,
        "loss.dice": 1,
        "optimiser.name": "rmsprop",
        "optimiser.learning_rate": 1e-5,
        "optimiser.momentum": 0.999,
        "optimiser.weight_decay": 1e-8,
        "optimiser.schedule": "plateau",
        "optimiser.patience": 5,
        "optimiser.factor": 0.1,
        "optimiser.clip": 1.0,
        "validation.rounds": 25,
    },
    "isbi-article": {
        "length.epochs": 40,
        "model.name": "pytorch_unet_512",
        "model.options.bilinear": True,
        "patches.batch": 1,
        "augment.flip_vertical": True,
        "augment.flip_horizontal": True,
        "augment.elastic_probability": 0,
        "loss.cross_entropy": 1,
        "loss.dice": 0,
        "optimiser.name": "rmsprop",
        "optimiser.learning_rate": 1e-5,
        "optimiser.momentum": 0.9,
        "optimiser.weight_decay": 1e-8,
        "optimiser.schedule": "constant",
    },
    "vgg16-platform": {
        "length.epochs": 100,
        "model.name": "vgg16_unet",
        "model.options.pretrained": True,
        "freeze.encoder": 0.5,
        "patches.size": 512,
        "patches.batch": 2,
        "loss.cross_entropy": 1,
        "loss.dice": 1,
        "optimiser.name": "adam",
        "optimiser.learning_rate": 1e-4,
        "optimiser.momentum": 0.9,
        "optimiser.weight_decay": 0,
        "optimiser.schedule": "cosine",
        "optimiser.lowest": 0.01,
    },
    "unet-paper": {
        "model.name": "paper_unet",
        "model.options.padding": False,
        "model.options.borders": "mirror",
        "patches.size": 388,
        "patches.batch": 1,
        "targets.objects": "weights",
        "targets.w0": 10,
        "targets.sigma": 5,
        "augment.elastic": 10,
        "augment.elastic_points": 3,
        "augment.elastic_probability": 1,
        "loss.cross_entropy": 1,
        "loss.dice": 0,
        "optimiser.name": "sgd",
        "optimiser.momentum": 0.99,
        "optimiser.nesterov": False,
    },
    "nnunet": {
        "length.steps": 1000 * 250,
        "model.name": "plain_conv_unet",
        "model.options.deep_supervision": True,
        "patches.size": 512,
        "patches.batch": 12,
        "patches.class_share": 0.33,
        "normalisation.by": "image",
        "normalisation.levels": "deviation",
        "augment.rotation": 180,
        "augment.rotation_probability": 0.2,
        "augment.scale": [0.7, 1.4],
        "augment.scale_probability": 0.2,
        "augment.noise_probability": 0.1,
        "augment.blur": [0.5, 1.0],
        "augment.blur_probability": 0.2,
        "augment.gain": [0.75, 1.25],
        "augment.gain_probability": 0.15,
        "augment.contrast": [0.75, 1.25],
        "augment.contrast_probability": 0.15,
        "augment.low_resolution": [0.5, 1.0],
        "augment.low_resolution_probability": 0.25,
        "augment.gamma": [0.7, 1.5],
        "loss.dice_background": False,
        "optimiser.name": "sgd",
        "optimiser.learning_rate": 0.01,
        "optimiser.momentum": 0.99,
        "optimiser.nesterov": True,
        "optimiser.weight_decay": 3e-5,
        "optimiser.schedule": "polynomial",
        "optimiser.power": 0.9,
        "optimiser.clip": 12,
        "test_time.flip_vertical": True,
        "test_time.flip_horizontal": True,
    },
}


def test_there_is_one_for_each_origin():
    assert recipe_names() == sorted(ORIGINS)


@pytest.mark.parametrize("name", ORIGINS)
class TestRecipe:
    def test_has_the_values_of_its_origin(self, name):
        values = read_recipe(name).values
        assert {path: values[path] for path in ORIGINS[name]} == ORIGINS[name]

    def test_is_a_plan_of_known_settings_and_options(self, name):
        plan = override(Plan(), read_recipe(name).values, where=name)
        build(model_config(plan.model.name), plan.model.options, where=name)

    def test_gives_a_reason_for_each_setting(self, name):
        recipe = read_recipe(name)
        assert recipe.reasons.keys() == recipe.values.keys()

    def test_names_its_source(self, name):
        lines = recipe_text(name).splitlines()
        assert lines[0].startswith("# ")
        assert any(line.startswith("# Source: ") for line in lines)

    def test_leaves_no_augmentation_to_chance(self, name):
        probabilities = {
            f"augment.{field}" for field in type(Plan().augment).model_fields if "_prob" in field
        }
        assert probabilities <= read_recipe(name).values.keys()


def test_an_unknown_one_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'pytorch-unet'"):
        read_recipe("pytorch_unet")


def test_settings_below_each_other_share_their_comment():
    reasons = read_recipe("nnunet").reasons
    assert reasons["patches.size"] == reasons["patches.batch"] != reasons["patches.class_share"]
