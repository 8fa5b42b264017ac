"""What the user wants wins over a plan file or a recipe, and what nobody wants is planned."""

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image

import uvala
from drawn import write_discs
from trainings import QUICK, train_quickly
from uvala.api.wishes import Wishes, asked_for, for_images, of_file, of_recipe
from uvala.data.dataset import read_dataset
from uvala.errors import BudgetError, ConfigError, UnknownNameError
from uvala.log import read_events

SMALL = {
    "pytorch-unet": {"width": 4},
    "isbi-article": {"width": 4},
    "vgg16-platform": {"width": 4, "pretrained": False},
    "unet-paper": {"width": 4, "depth": 3},
    "nnunet": {"widths": [4, 8, 8]},
}
"""Options that make each recipe's network small."""


class TestPriority:
    def test_named_wishes_win_over_settings(self):
        assert asked_for({"seed": 1, "patches": {"size": 64}}, seed=2).values == {
            "seed": 2,
            "patches.size": 64,
        }

    def test_another_length_replaces_the_length_below(self):
        below = Wishes({"length.epochs": 5.0, "seed": 1})
        assert below.under(asked_for({}, budget="2m")).values == {"seed": 1, "length.budget": 120.0}

    def test_another_network_leaves_the_options_of_the_one_below(self):
        below = Wishes({"model.name": "unet", "model.options.depth": 3, "seed": 1})
        above = asked_for({"model.options.width": 4}, model="pocket_unet")
        assert below.under(above).values == {
            "model.name": "pocket_unet",
            "model.options.width": 4,
            "seed": 1,
        }

    def test_a_wish_of_the_users_own_has_no_other_reason(self):
        wishes = of_recipe("nnunet").under(asked_for({"patches.batch": 2}))
        reasons = wishes.explain({"patches.batch": "set by you", "patches.size": "set by you"})
        assert reasons["patches.batch"] == "set by you"
        assert reasons["patches.size"].startswith("nnunet: its plan for ISBI 2012")

    def test_ten_minutes_where_nobody_says_how_long(self):
        wishes = Wishes().with_length()
        assert wishes.values == {"length.budget": 600.0}
        assert wishes.reasons == {"length.budget": "nobody said how long"}

    def test_patches_around_objects_leave_no_room_for_a_default(self):
        assert asked_for({"patches.object_share": 0.8}).plan().patches.object_share == 0.8


class TestPlanFile:
    def test_of_a_run_gives_the_same_plan(self, disc_run, disc_data, tmp_path):
        plan = tmp_path / "plan.toml"
        plan.write_text(disc_run.folder.plan_path.read_text().replace("steps = 80", "steps = 2"))
        run = uvala.train(disc_data, out=tmp_path / "run", plan=plan)
        length = run.plan.length.model_copy(update={"steps": 80})
        assert run.plan.model_copy(update={"length": length}) == disc_run.plan
        assert "# as plan.toml says\nsize = 32" in run.folder.plan_path.read_text()

    def test_may_hold_a_few_settings_and_options_win(self, disc_data, tmp_path):
        (tmp_path / "my.toml").write_text("seed = 7\n[patches]\nsize = 48\nbatch = 2\n")
        run = train_quickly(disc_data, tmp_path / "run", steps=1, plan=tmp_path / "my.toml")
        assert (run.plan.seed, run.plan.patches.size) == (7, QUICK["patches.size"])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[patchs]\nsize = 48\n", r"setting 'patchs\.size' in .*my\.toml.*did you mean 'patches\.size'"),
            ("[patches]\nsize = -1\n", r"patches\.size = -1 in .*my\.toml"),
            ("[patches\n", r"my\.toml.*mend that line"),
            ("[loss]\nclass_weights = [1.0, 2.0, 1.0]\n", r"3 numbers in loss\.class_weights; expected 2"),
            ("[normalisation]\nlow = [0.0, 0.0]\n", r"2 numbers in normalisation\.low; expected 1.*channels"),
            ("[length]\nsteps = 3\nepochs = 2\n", "give one of budget, steps and epochs"),
            ("[model]\nname = 'unnet'\n", "did you mean 'unet'"),
        ],
        ids=["unknown", "out of range", "no TOML", "classes", "channels", "two lengths", "network"],
    )
    def test_that_does_not_fit_is_refused_and_leaves_nothing(self, disc_data, tmp_path, text, words):
        (tmp_path / "my.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            uvala.train(disc_data, out=tmp_path / "run", plan=tmp_path / "my.toml")
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("option", ["num_classes = 2", "in_channels = 1"])
    def test_that_says_what_follows_from_the_data_is_refused(self, disc_data, tmp_path, option):
        (tmp_path / "my.toml").write_text(f"[model.options]\n{option}\n")
        with pytest.raises(ConfigError, match=rf"found model\.options\.{option}.*leave it out"):
            uvala.train(disc_data, out=tmp_path / "run", plan=tmp_path / "my.toml")

    def test_that_is_not_there(self, disc_data, tmp_path):
        with pytest.raises(ConfigError, match=r"found no file .*gone\.toml"):
            uvala.train(disc_data, out=tmp_path / "run", plan=tmp_path / "gone.toml")

    def test_beside_a_recipe_is_refused(self, disc_data, tmp_path):
        with pytest.raises(ConfigError, match="a recipe and a plan file together"):
            uvala.train(disc_data, out=tmp_path / "run", plan=tmp_path / "my.toml", recipe="nnunet")

    def test_holds_durations_like_the_command_line(self, tmp_path):
        (tmp_path / "my.toml").write_text("[length]\nbudget = '2m'\n")
        assert of_file(tmp_path / "my.toml").values == {"length.budget": 120.0}
        (tmp_path / "my.toml").write_text("[length]\nbudget = 'soon'\n")
        with pytest.raises(BudgetError, match="budget 'soon'"):
            of_file(tmp_path / "my.toml")


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_trains_and_its_plan_says_where_each_value_is_from(disc_data, tmp_path, name):
    small = {f"model.options.{option}": value for option, value in SMALL[name].items()}
    settings = {"length.steps": 2, "validation.rounds": 1, **small}
    run = uvala.train(disc_data, out=tmp_path / "run", recipe=name, device="cpu", settings=settings)
    assert run.card.training.steps == 2
    wanted = of_recipe(name).under(asked_for(settings)).plan()
    for part in ("augment", "loss", "optimiser", "freeze", "test_time", "targets"):
        if part != "freeze" or name != "vgg16-platform":
            assert getattr(run.plan, part) == getattr(wanted, part)
    reasons = {e["path"]: e["reason"] for e in read_events(run.folder.log_path) if e["event"] == "plan"}
    assert reasons["optimiser.learning_rate"].startswith(f"{name}: ")


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    """No cache, and nobody to ask."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


class TestRecipe:
    def test_an_unknown_one_leaves_nothing(self, disc_data, tmp_path):
        with pytest.raises(UnknownNameError, match="did you mean 'nnunet'"):
            uvala.train(disc_data, out=tmp_path / "run", recipe="nnu-net")
        assert not (tmp_path / "run").exists()

    def test_a_budget_takes_the_place_of_its_epochs(self):
        wishes = of_recipe("isbi-article").under(asked_for({}, budget="5m")).with_length()
        assert wishes.plan().length.budget == 300
        assert wishes.plan().length.epochs is None

    def test_its_patch_is_no_larger_than_the_images(self, disc_data):
        dataset = read_dataset(disc_data)  # of 48x64
        wishes, said = for_images(of_recipe("nnunet"), dataset)
        assert wishes.values["patches.size"] == 64
        assert said == ("patches of 64 pixels: the recipe's 512 is more than the largest image has",)

    def test_where_its_weights_cannot_be_had_nothing_random_is_frozen(self, disc_data, no_weights):
        wishes, said = for_images(of_recipe("vgg16-platform"), read_dataset(disc_data))
        assert wishes.values["model.options.pretrained"] is False
        assert wishes.values["freeze.encoder"] == 0
        assert wishes.reasons["freeze.encoder"] == "published weights cannot be had here"
        assert said[-1].startswith("from random weights, all of them trained from the start: no weights of")

    def test_weights_that_the_user_asked_for_are_not_given_up(self, disc_data, no_weights):
        wishes = of_recipe("vgg16-platform").under(asked_for({"model.options.pretrained": True}))
        kept, said = for_images(wishes, read_dataset(disc_data))
        assert kept.values["model.options.pretrained"]
        assert kept.values["freeze.encoder"] == 0.5
        assert not any("weights" in each for each in said)

    @pytest.mark.parametrize(
        "settings", [{"model.name": "unet"}, {"model.options.pretrained": False}], ids=["network", "weights"]
    )
    def test_a_random_encoder_is_not_frozen(self, disc_data, settings):
        wishes, said = for_images(
            of_recipe("vgg16-platform").under(asked_for(settings)), read_dataset(disc_data)
        )
        assert wishes.values["freeze.encoder"] == 0
        assert "all weights are trained from the start" in said[-1]

    def test_an_encoder_with_given_weights_is(self, disc_data):
        wishes = of_recipe("vgg16-platform").under(asked_for({"model.options.pretrained": False}))
        assert for_images(wishes, read_dataset(disc_data), given=True)[0].values["freeze.encoder"] == 0.5

    def test_a_user_may_freeze_what_is_random(self, disc_data):
        settings = {"model.options.pretrained": False, "freeze.encoder": 0.2}
        wishes = of_recipe("vgg16-platform").under(asked_for(settings))
        assert for_images(wishes, read_dataset(disc_data))[0].values["freeze.encoder"] == 0.2

    def test_the_users_own_patch_may_be(self, disc_data):
        wishes = of_recipe("nnunet").under(asked_for({"patches.size": 128}))
        assert for_images(wishes, read_dataset(disc_data))[0].values["patches.size"] == 128

    def test_its_levels_are_repeated_for_each_channel(self, tmp_path):
        folder = write_discs(tmp_path, count=2)
        for path in (folder / "images").iterdir():
            Image.open(path).convert("RGB").save(path)
        wishes, _ = for_images(of_recipe("pytorch-unet"), read_dataset(folder))
        assert wishes.values["normalisation.high"] == [255.0] * 3

    def test_its_levels_are_those_of_8_bits_only(self, tmp_path):
        folder = write_discs(tmp_path, count=2)
        for path in (folder / "images").iterdir():
            Image.fromarray(np.array(Image.open(path)).astype(np.uint16) * 100).save(path)
        wishes, said = for_images(of_recipe("isbi-article"), read_dataset(folder))
        assert not any(path.startswith("normalisation.") for path in (*wishes.values, *wishes.reasons))
        assert "levels of these uint16 images in place of the recipe's, which are for 8 bits" in said
