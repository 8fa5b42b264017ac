"""A plan without a training, and a training by that plan."""

import json
import time

import pytest

import uvala
from trainings import QUICK
from uvala.api.preparing import _reading
from uvala.errors import BudgetError, ConfigError, UnknownNameError
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import read_plan


@pytest.fixture(scope="module")
def planned(disc_data):
    settings = {**QUICK, "length.steps": 6}
    return uvala.plan_training(disc_data, model="pocket_unet", device="cpu", settings=settings)


def test_says_what_would_be_trained_and_why(planned):
    assert planned.plan.model.name == "pocket_unet"
    assert planned.reasons["patches.size"] == "set by you"
    assert planned.facts.images == len(planned.split.train)
    assert planned.facts.objects.objects > 0


def test_writes_nothing(disc_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uvala.plan_training(disc_data, model="pocket_unet", device="cpu", settings={"length.steps": 6})
    assert list(tmp_path.iterdir()) == []


def test_a_budget_is_measured_on_this_machine(disc_data):
    settings = {"patches.size": 32}
    found = uvala.plan_training(disc_data, budget=30, model="pocket_unet", device="cpu", settings=settings)
    assert any("ms a step" in line for line in found.evidence)


def test_train_takes_the_plan_that_was_written(planned, disc_data, tmp_path):
    planned.write(tmp_path / "plan.toml")
    run = uvala.train(disc_data, plan=tmp_path / "plan.toml", out=tmp_path / "run")
    assert read_plan(tmp_path / "run" / "plan.toml") == planned.plan
    assert run.card.training.steps == 6


def test_a_plan_file_may_hold_a_few_settings_only(disc_data, tmp_path):
    (tmp_path / "few.toml").write_text("[patches]\nsize = 48\n[length]\nsteps = 3\n")
    plan = uvala.plan_training(disc_data, plan=tmp_path / "few.toml", model="pocket_unet", device="cpu").plan
    assert (plan.patches.size, plan.length.steps) == (48, 3)


def test_a_length_of_ones_own_replaces_that_of_the_file(planned, disc_data, tmp_path):
    planned.write(tmp_path / "plan.toml")
    plan = uvala.plan_training(disc_data, plan=tmp_path / "plan.toml", epochs=2).plan
    assert (plan.length.steps, plan.length.epochs) == (None, 2)


def test_begins_from_weights_as_a_training_does(disc_run, disc_data):
    settings = {**QUICK, "length.steps": 6}
    found = uvala.plan_training(disc_data, start=disc_run.path, device="cpu", settings=settings)
    assert found.plan.model == disc_run.plan.model
    assert found.reasons["model.name"] == f"the network of {disc_run.path.name}"
    assert "a third of" in found.reasons["optimiser.learning_rate"]
    with pytest.raises(ConfigError, match="with the weights of"):
        uvala.plan_training(disc_data, start=disc_run.path, model="unet")


@pytest.mark.parametrize(
    ("budget", "decided", "folds", "advised"),
    [("1d", False, 5, False), ("1d", True, 1, False), ("2h", False, 1, True)],
    ids=["a day", "somebody decided what validates", "two hours"],
)
def test_long_trainings_are_of_folds_where_the_images_may_be_parted(
    disc_data, tmp_path, budget, decided, folds, advised
):
    names = sorted(path.name for path in (disc_data / "images").iterdir())
    (tmp_path / "split.json").write_text(json.dumps({"val": names[:2]}))
    cheap = {"patches.size": 32, "patches.batch": 2, "execution.compile": False, "precision": "float32"}
    found = uvala.plan_training(
        disc_data,
        budget=budget,
        split=tmp_path / "split.json" if decided else None,
        device="cpu",
        settings={**cheap, "execution.memory_format": "contiguous", "model.options.width": 8},
    )
    assert found.plan.folds == folds
    assert folds == 1 or "for each of 5 networks" in found.reasons["folds"]
    assert any("--folds 5" in line for line in found.evidence) == advised


class FakeClock(Clock):
    """Two minutes that the test lets pass by hand."""

    def __init__(self):
        super().__init__(120.0)

    elapsed = 1.0


def test_a_budget_that_reading_uses_up_is_refused_with_a_longer_one():
    clock = FakeClock()
    progress = _reading(EventLog(None), clock)
    clock.elapsed = 80.0
    progress(20, 100)
    clock.elapsed = 121.0
    with pytest.raises(BudgetError, match=r"2 min 00 s, .* up with 40 of 100 images.*give 10 min 02 s"):
        progress(40, 100)


def test_a_budget_that_the_start_of_the_program_uses_up_is_not(disc_data):
    settings = {**QUICK, "model.name": "pocket_unet"}
    assert uvala.plan_training(disc_data, budget=10, settings=settings, started=time.monotonic() - 10)


def test_parts_of_a_batch_that_leave_a_norm_one_value_are_refused(disc_data):
    settings = {**QUICK, "patches.batch": 3, "optimiser.accumulate": 2, "length.steps": 6}
    options = {"model.options.width": 4, "model.options.layers": [1, 1, 1, 1]}
    with pytest.raises(ConfigError, match=r"one patch of 32 pixels at once.*optimiser\.accumulate"):
        uvala.plan_training(disc_data, model="resnet34_unet", device="cpu", settings={**settings, **options})


def test_an_impossible_wish_is_refused(disc_data):
    with pytest.raises(ConfigError, match=r"did you mean 'patches\.size'"):
        uvala.plan_training(disc_data, settings={"patches.sise": 64})
    with pytest.raises(UnknownNameError, match="did you mean 'pocket_unet'"):
        uvala.plan_training(disc_data, model="poket_unet")


def test_an_encoder_to_freeze_that_is_not_there_is_refused(disc_data):
    settings = {**QUICK, "length.steps": 6, "freeze.encoder": 0.5}
    with pytest.raises(ConfigError, match="which has no encoder"):
        uvala.plan_training(disc_data, model="pocket_unet", device="cpu", settings=settings)
