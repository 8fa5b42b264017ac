"""A training that shall last longer than it was planned."""

import json
import shutil

import pytest

import uvala
from trainings import train_quickly
from uvala.api.lengthening import lengthen, lengthened, refuse_less_than_done, time_on_top
from uvala.errors import BudgetError, ConfigError, RunError, StorageError
from uvala.log import EventLog, read_events
from uvala.plan.schema import LengthConfig, Plan
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress
from uvala.training.progress import Progress

PLAN = Plan(length=LengthConfig(budget=600.0))


def events(run, kind):
    return [event for event in read_events(run.folder.log_path) if event["event"] == kind]


@pytest.mark.parametrize(
    ("budget", "expected"), [("+10m", (600.0, None)), (" +90s", (90.0, None)), ("10m", (None, "10m"))]
)
def test_a_sign_says_so_much_more(budget, expected):
    assert time_on_top(budget) == expected


def test_another_length_replaces_the_length():
    changed = lengthened(PLAN, {"length.steps": 50}, None, used=300)
    assert changed.length == LengthConfig(steps=50)
    assert changed.model_copy(update={"length": PLAN.length}) == PLAN


def test_of_two_lengths_neither_is_taken():
    with pytest.raises(ConfigError, match="leave the others out"):
        lengthened(PLAN, {"length.epochs": 50}, 900.0, used=300)


def test_what_is_used_up_cannot_be_given_again():
    with pytest.raises(BudgetError, match=r"5 min 00 s, of which 5 min 00 s are used.*--budget \+10m"):
        lengthened(PLAN, {}, 300.0, used=300)


@pytest.fixture(scope="module")
def longer(disc_data, tmp_path_factory):
    """A training of 8 steps that went on for 10 seconds more; and its card before."""
    out = tmp_path_factory.mktemp("longer") / "run"
    before = train_quickly(disc_data, out, steps=8).card
    return uvala.train(out, resume=True, budget="+10s"), before


@pytest.mark.slow  # ten seconds are the least that can be given
class TestMoreTime:
    def test_goes_on_where_it_was(self, longer):
        run, before = longer
        assert run.card.training.finished
        assert run.card.training.steps > before.training.steps == 8

    def test_is_never_worse_than_before(self, longer):
        run, before = longer
        assert run.card.training.best_dice >= before.training.best_dice

    def test_the_schedule_goes_on_where_one_of_that_length_would_be(self, longer):
        run, before = longer
        step, share = run.card.training.rejoined
        assert step == 8
        assert share == pytest.approx(before.training.seconds / (before.training.seconds + 10), abs=0.02)
        first = next(event for event in events(run, "step") if event["step"] > 8)
        assert share <= first["share"] < share + 0.5

    def test_log_and_plan_say_so(self, longer):
        run, _ = longer
        assert any("the schedule goes on at" in event["text"] for event in events(run, "note"))
        assert "# lengthened by you after " in run.folder.plan_path.read_text()
        assert run.plan.length.steps is None
        assert run.plan.length.budget == pytest.approx(longer[1].training.seconds + 10, abs=1)

    def test_no_step_stands_in_the_log_twice(self, longer):
        steps = [event["step"] for event in events(longer[0], "validation")]
        assert steps == sorted(set(steps))

    def test_the_reasons_of_the_plan_are_kept(self, longer):
        assert "# set by you\nsize = 32" in longer[0].folder.plan_path.read_text()


def test_by_more_steps(disc_data, tmp_path):
    train_quickly(disc_data, tmp_path / "run", steps=4)
    run = uvala.train(tmp_path / "run", resume=True, settings={"length.steps": 6})
    assert run.card.training.steps == 6


def test_one_by_more_steps_that_was_cut_off_can_be_gone_on_with(disc_data, tmp_path):
    run = train_quickly(disc_data, tmp_path / "run", steps=4).folder
    plan = lengthened(run.plan, {"length.steps": 6}, None, used=1)
    lengthen(run, plan, read_progress(run), 1.0, EventLog(None))  # and then the power goes
    assert uvala.train(run.path, resume=True).card.training.steps == 6


class TestValidations:
    """As many as in a fresh training of the new length."""

    @pytest.fixture
    def run(self, disc_run, tmp_path):
        """A run in which nobody has said how often it is validated."""
        path = shutil.copytree(disc_run.path, tmp_path / "run")
        lines = (path / "log.jsonl").read_text().splitlines(keepends=True)
        (path / "log.jsonl").write_text("".join(line for line in lines if "validation.rounds" not in line))
        return RunFolder(path)

    def longer(self, run, **length):
        plan = run.plan.model_copy(update={"length": LengthConfig(**length)})
        return lengthen(run, plan, Progress(step=80), 10.0, EventLog(run.log_path)).plan

    @pytest.mark.parametrize(
        ("length", "rounds"),
        [({"budget": 60.0}, 8), ({"budget": 600.0}, 20), ({"budget": 36000.0}, 50), ({"steps": 200}, 20)],
        ids=str,
    )
    def test_whatever_it_was(self, run, length, rounds):
        assert self.longer(run, **length).validation.rounds == rounds

    def test_also_when_it_is_lengthened_again(self, run):
        self.longer(run, budget=60.0)
        assert self.longer(RunFolder(run.path), budget=36000.0).validation.rounds == 50

    def test_but_for_a_number_that_somebody_wants(self, disc_run, tmp_path):
        run = RunFolder(shutil.copytree(disc_run.path, tmp_path / "run"))
        assert self.longer(run, budget=36000.0).validation.rounds == run.plan.validation.rounds == 4


class TestRefused:
    @pytest.mark.parametrize(
        ("length", "told"),
        [
            ({"length.steps": 5}, r"length\.steps = 5, with 80 steps done.*to 81 or more"),
            ({"length.steps": 79}, r"length\.steps = 79, with 80 steps done"),
        ],
        ids=str,
    )
    def test_fewer_steps_than_are_done(self, disc_run, length, told):
        with pytest.raises(ConfigError, match=told):
            uvala.train(disc_run.path, resume=True, settings=length)

    def test_as_many_steps_as_were_done_when_it_was_stopped(self):
        plan, shorter = (Plan(length=LengthConfig(steps=steps)) for steps in (9, 6))
        with pytest.raises(ConfigError, match="with 6 steps done"):
            refuse_less_than_done(plan, shorter, Progress(step=6), 10)
        refuse_less_than_done(plan, shorter, Progress(step=5), 10)
        refuse_less_than_done(plan, plan, Progress(step=9), 10)  # cut off before its scores

    @pytest.mark.parametrize(
        "before", [LengthConfig(epochs=10), LengthConfig(steps=100), LengthConfig(budget=600)], ids=str
    )
    def test_fewer_epochs_than_are_done(self, before):
        plan, shorter = Plan(length=before), Plan(length=LengthConfig(epochs=4))
        with pytest.raises(ConfigError, match=r"length\.epochs = 4, with 5 epochs done.*to 6 or more"):
            refuse_less_than_done(plan, shorter, Progress(step=50, share=1), 10)
        refuse_less_than_done(plan, shorter, Progress(step=30, share=1), 10)

    def test_fewer_epochs_than_a_finished_run_by_steps_has_done(self, disc_run):
        with pytest.raises(ConfigError, match=r"length\.epochs = 1, with .* epochs done"):
            uvala.train(disc_run.path, resume=True, epochs=1)

    def test_a_device_that_is_not_there_before_anything_is_written(self, disc_run, tmp_path):
        path = shutil.copytree(disc_run.path, tmp_path / "run")
        files = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
        with pytest.raises(RunError, match="cuda:99"):
            uvala.train(path, resume=True, settings={"length.steps": 99}, device="cuda:99")
        assert files == {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}

    def test_a_finished_training_without_more_time(self, disc_run):
        with pytest.raises(RunError, match=r"whose training is finished.*--budget \+10m"):
            uvala.train(disc_run.path, resume=True)

    def test_more_time_for_a_new_training(self, disc_data, tmp_path):
        with pytest.raises(ConfigError, match=r"--budget \+10m for a new training"):
            uvala.train(disc_data, out=tmp_path / "run", budget="+10m")

    def test_a_folder_in_which_a_training_still_runs(self, disc_data, tmp_path):
        refused = []

        def go_on(event):
            if event["event"] == "validation" and not refused:
                refused.append(event)
                with pytest.raises(StorageError, match="another process is at work"):
                    uvala.train(tmp_path / "run", resume=True)

        run = train_quickly(disc_data, tmp_path / "run", steps=4, listener=go_on)
        assert refused
        assert run.card.training.finished

    def test_another_tracker_but_not_the_same(self, disc_run, tmp_path):
        path = shutil.copytree(disc_run.path, tmp_path / "run")
        plan = path / "plan.toml"
        plan.write_text(plan.read_text().replace('tracking = "none"', 'tracking = "tensorboard"'))
        with pytest.raises(ConfigError, match="--resume together with another tracking"):
            uvala.train(path, resume=True, track="mlflow")
        with pytest.raises(RunError, match="whose training is finished"):
            uvala.train(path, resume=True, track="tensorboard")

    def test_a_run_that_is_none(self, disc_data):
        with pytest.raises(ConfigError, match=r"which is no run.*uvala train --resume RUN"):
            uvala.train(disc_data, resume=True)

    def test_another_recipe_plan_or_start(self, disc_run):
        with pytest.raises(ConfigError, match="--resume together with another seed, recipe"):
            uvala.train(disc_run.path, resume=True, recipe="nnunet", seed=9)

    def test_data_that_are_gone(self, disc_run, tmp_path):
        card = json.loads((disc_run.path / "card.json").read_text())
        card["data"]["path"] = str(tmp_path / "gone")
        card["training"]["finished"] = False
        (tmp_path / "run").mkdir()
        (tmp_path / "run/card.json").write_text(json.dumps(card))
        shutil.copy(disc_run.path / "plan.toml", tmp_path / "run")
        with pytest.raises(ConfigError, match=r"no longer in .*gone.*uvala train DATA --resume --out"):
            uvala.train(tmp_path / "run", resume=True)
