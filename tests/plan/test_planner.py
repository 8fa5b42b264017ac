import math
import re

import pytest
import torch

from drawn import write_discs
from machines import SLOW_CPU
from uvala.arrays import Size
from uvala.data.dataset import read_dataset
from uvala.errors import BudgetError, ConfigError
from uvala.models.catalog import create_model, model_config
from uvala.plan.budget import Clock, parse_duration
from uvala.plan.planner import fingerprint, make_plan
from uvala.plan.probe import StepCost, check_batch
from uvala.plan.schema import Plan, plan_values, read_plan, write_plan

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_discs(tmp_path_factory.mktemp("plan") / "data", count=10, size=(96, 120)))


def plan_for(dataset, budget=None, **settings):
    length = {} if budget else {"length.steps": 5}
    wishes = {**length, **settings}
    return make_plan(dataset, dataset.samples, settings=wishes, clock=Clock(budget), device=CPU)


class TestPlan:
    def test_every_choice_has_a_reason(self, dataset):
        plan, reasons = plan_for(dataset)
        assert all(reasons.values())
        assert reasons.keys() <= plan_values(plan).keys()

    def test_patches_are_no_larger_than_the_images_need(self, dataset):
        plan, reasons = plan_for(dataset)
        assert plan.patches.size == 96
        assert "96 pixels" in reasons["patches.size"]

    def test_what_the_user_sets_wins(self, dataset):
        plan, reasons = plan_for(dataset, **{"patches.size": 64, "model.options.width": 5})
        assert (plan.patches.size, plan.model.options["width"]) == (64, 5)
        assert reasons["patches.size"] == "set by you"

    def test_so_it_is_said_of_settings_that_nothing_else_decides(self, dataset):
        _, reasons = plan_for(dataset, **{"optimiser.clip": 1.0, "seed": 3})
        assert reasons["optimiser.clip"] == reasons["seed"] == "set by you"

    def test_without_a_budget_the_plan_is_the_same_on_every_run(self, dataset):
        assert plan_for(dataset) == plan_for(dataset)

    def test_every_option_it_chooses_is_one_of_the_network(self, dataset):
        plan, _ = plan_for(dataset)
        assert plan.model.options.keys() <= model_config("unet").model_fields.keys()

    def test_survives_its_file_with_its_reasons(self, dataset, tmp_path):
        plan, reasons = plan_for(dataset)
        write_plan(tmp_path / "plan.toml", plan, reasons)
        assert read_plan(tmp_path / "plan.toml") == plan
        assert f"# {reasons['patches.size']}\nsize = 96" in (tmp_path / "plan.toml").read_text()

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"patches.size": 4}, "patches.size = 4"),
            ({"loss.dice": 0, "loss.cross_entropy": 0}, "at least one of cross_entropy, .*dice"),
            ({"device": "tpu"}, "device = 'tpu'"),
            ({"length.steps": None, "length.epochs": math.inf}, "length.epochs = inf"),
            ({"optimiser.clip": math.nan}, "optimiser.clip = nan"),
            ({"augment.scales": 2}, r"did you mean 'augment\.scale'"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, dataset, settings, words):
        with pytest.raises(ConfigError, match=words):
            plan_for(dataset, **settings)


def test_a_budget_without_time_for_steps_is_refused_with_what_would_do(dataset):
    def slow(candidate, seconds):
        return StepCost(20.0)

    with pytest.raises(BudgetError, match=r"a step takes 20 s.*give 3 min \d+ s or more"):
        make_plan(
            dataset,
            dataset.samples,
            settings={"model.name": "pytorch_unet"},
            clock=Clock(30.0),
            device=CPU,
            probe=slow,
        )


def test_a_budget_that_predicting_an_image_uses_up_is_refused_with_what_would_do(dataset):
    """Nobody can stop in the middle of an image, and each is validated, tuned on and scored."""
    facts = fingerprint(dataset, dataset.samples, None)

    def plan_in(seconds):
        return make_plan(
            dataset,
            dataset.samples,
            settings={"model.name": "pocket_unet", "patches.batch": 4},
            clock=Clock(seconds),
            device=CPU,
            facts=facts.model_copy(update={"median": Size(5000, 5000)}),
            pixels_after=10**9,  # more than one view would take too long
            probe=lambda candidate, seconds: StepCost(0.1),
        )

    with pytest.raises(BudgetError, match=r"an image of 5000x5000 pixels 3 times takes about 1 min") as error:
        plan_in(120.0)
    enough = re.search("give (.*) or more", str(error.value))[1]
    assert plan_in(parse_duration(enough))


@pytest.mark.parametrize("objects", ["weights", "borders", "distance"])
def test_class_weights_go_with_whatever_is_learnt_of_objects(dataset, objects):
    wishes = {"targets.objects": objects, "loss.class_weights": (1.0, 3.0), "model.name": "pocket_unet"}
    assert plan_for(dataset, 20, **wishes)[0].targets.objects == objects


def test_images_of_very_different_brightness_are_scaled_one_by_one(tmp_path):
    import numpy as np
    from PIL import Image

    folder = write_discs(tmp_path / "data", count=6)
    for index in range(3):
        path = folder / f"images/{index:02d}.png"
        Image.fromarray((np.array(Image.open(path)) // 8).astype(np.uint8)).save(path)
    plan, reasons = plan_for(read_dataset(folder))
    assert plan.normalisation.by == "image"
    assert "times as bright" in reasons["normalisation.by"]


@pytest.mark.parametrize(("channels", "by"), [(3, "image"), (1, "dataset")])
def test_photographs_with_a_class_at_the_top_are_scaled_one_by_one(tmp_path, channels, by):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index in range(20):
        mask = np.zeros((48, 48), np.uint8)
        mask[: 12 + index % 5] = 1
        grey = np.where(mask, 200, 60) + rng.integers(0, 30, mask.shape)
        image = np.repeat(grey[..., None], 3, axis=2) * (1.0, 0.9, 0.8) if channels == 3 else grey
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"images/{index:02d}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{index:02d}.png")
    assert plan_for(read_dataset(tmp_path))[0].normalisation.by == by


def test_measuring_leaves_the_global_generator_alone(dataset):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    plan_for(dataset, 20, **{"model.name": "pocket_unet", "patches.size": 32})
    torch.testing.assert_close(torch.rand(3), expected)


def test_what_was_measured_is_told(dataset):
    lines = []
    make_plan(
        dataset,
        dataset.samples,
        settings={"model.name": "pocket_unet", "patches.size": 32},
        clock=Clock(20),
        device=CPU,
        tell=lines.append,
    )
    assert any("ms a step" in line and "patches of 32" in line for line in lines)


def test_the_schema_describes_every_setting():
    from uvala.config import options

    assert all(info.description for _, info in options(Plan))


class TestOtherNetworks:
    """A network that somebody published stays what it is."""

    def test_keeps_its_own_width_and_depth(self, dataset):
        plan, _ = plan_for(dataset, **{"model.name": "pytorch_unet"})
        assert plan.model.options == {}

    def test_gets_smaller_batches_where_there_would_be_few_steps(self, dataset):
        plan, reasons = make_plan(
            dataset,
            dataset.samples,
            settings={"model.name": "pytorch_unet"},
            clock=Clock(60),
            device=CPU,
            machine=SLOW_CPU.machine,
            probe=SLOW_CPU.probe,
        )
        assert plan.patches.batch == 2
        assert "steps" in reasons["patches.batch"]

    def test_valid_convolutions_get_their_border_mirrored(self, dataset):
        plan, reasons = plan_for(dataset, **{"model.name": "paper_unet"})
        assert plan.model.options == {"borders": "mirror"}
        assert "as large as the image" in reasons["model.options.borders"]

    @pytest.mark.parametrize(("batch", "parts"), [(1, 1), (2, 2), (3, 2), (2, 5), (5, 3)])
    def test_a_batch_that_leaves_a_norm_one_value_is_refused(self, dataset, batch, parts):
        model = create_model("resnet34_unet", in_channels=1, num_classes=2, width=4, layers=(1, 1, 1, 1))
        with pytest.raises(ConfigError, match=r"patches\.batch to 2"):
            check_batch(model, patch=32, batch=batch, parts=parts)
        check_batch(model, patch=32, batch=2 * parts, parts=parts)
