"""Trials: a short training in a place of its own."""

import signal
from dataclasses import replace

import pytest
import torch

import uvala
from uvala.api.preparing import prepare, write_down
from uvala.api.resuming import used_by
from uvala.api.trying import improve_by_trials, trial_score
from uvala.api.wishes import asked_for
from uvala.config import override
from uvala.log import EventLog, read_events
from uvala.plan.budget import Clock
from uvala.plan.schema import write_plan
from uvala.runs.folder import RunFolder, open_run
from uvala.training.checkpoint import read_progress
from uvala.training.stop import StopSignal

HOURS = {"length.budget": 7200.0, "length.steps": None}


@pytest.fixture
def prepared(disc_data):
    wishes = asked_for({"length.steps": 5, "patches.size": 32}, model="pocket_unet", device="cpu")
    return prepare(disc_data, wishes, None, Clock(None), torch.device("cpu"), None, 0.0)


@pytest.mark.parametrize(
    "length", [{}, {"length.budget": 600.0, "length.steps": None}], ids=["steps", "10 min"]
)
def test_without_much_time_nothing_is_tried(prepared, tmp_path, length):
    asked = replace(prepared, plan=override(prepared.plan, length, where="here"))
    improve_by_trials(asked, {}, RunFolder(tmp_path), EventLog(None), clock=Clock(None), stop=StopSignal())
    assert list(tmp_path.iterdir()) == []


def test_what_is_clearly_better_stands_in_plan_and_log(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("uvala.api.trying.trial_score", lambda prepared, *_: score(prepared.plan))
    long = replace(prepared, plan=override(prepared.plan, HOURS, where="here"))
    rate = long.plan.optimiser.learning_rate

    def score(plan):
        return (0.9 if plan.optimiser.learning_rate > rate else 0.5), 3

    run = RunFolder(tmp_path)
    log = write_down(long, run, None, 0.0)
    improve_by_trials(long, {}, run, log, clock=Clock(7200.0), stop=StopSignal())
    assert run.plan.optimiser.learning_rate == pytest.approx(3 * rate, rel=0.05)
    assert "score 0.900 in a trial" in run.plan_path.read_text()
    said = [event for event in read_events(run.log_path) if event.get("path") == "optimiser.learning_rate"]
    assert said[-1]["value"] == run.plan.optimiser.learning_rate


def test_all_trials_are_compared_by_as_many_images_as_the_first_has_time_for(prepared, tmp_path, monkeypatch):
    told = []

    def score(prepared, run, seconds, asked, images):
        told.append(images)
        return 0.5, images or 4

    monkeypatch.setattr("uvala.api.trying.trial_score", score)
    long = replace(prepared, plan=override(prepared.plan, HOURS, where="here"))
    run = RunFolder(tmp_path)
    log = write_down(long, run, None, 0.0)
    improve_by_trials(long, {}, run, log, clock=Clock(7200.0), stop=StopSignal())
    assert told[0] == 0
    assert set(told[1:]) == {4}


def test_the_time_used_is_known_after_a_power_cut(prepared, tmp_path, monkeypatch):
    def cut_off(prepared, run, seconds, asked, images):
        assert not asked()
        raise KeyboardInterrupt

    monkeypatch.setattr("uvala.api.trying.trial_score", cut_off)
    long = replace(prepared, plan=override(prepared.plan, HOURS, where="here"))
    run = RunFolder(tmp_path)
    log = write_down(long, run, None, 0.0)
    with pytest.raises(KeyboardInterrupt):
        improve_by_trials(long, {}, run, log, clock=Clock(7200.0, used=300.0), stop=StopSignal())
    assert used_by(run, read_progress(run)) >= 300


@pytest.fixture
def stopped(disc_data, tmp_path, monkeypatch):
    """A training of two hours that was stopped in its first trial."""

    def stopping(*args):
        signal.raise_signal(signal.SIGINT)
        return trial_score(*args)

    monkeypatch.setattr("uvala.api.trying.trial_score", stopping)
    settings = {"patches.size": 32, "patches.batch": 4}
    options = {"budget": "2h", "model": "pocket_unet", "device": "cpu", "settings": settings}
    return uvala.train(disc_data, out=tmp_path / "run", **options)


def test_a_stop_in_a_trial_is_one_of_the_training(stopped):
    said = [event["text"] for event in read_events(stopped.folder.log_path) if "text" in event]
    assert any(text.startswith("stopped in a trial: the plan stays as it was") for text in said)
    assert any(text.startswith("stopped at step 0; uvala train --resume") for text in said)
    assert not stopped.card.training.finished
    assert stopped.report.is_file()
    assert not list(stopped.path.rglob(".trial-*"))


def test_a_run_that_is_cut_off_in_a_trial_can_be_gone_on_with(disc_data, tmp_path, monkeypatch):
    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("uvala.api.trying.trial_score", cut_off)
    with pytest.raises(KeyboardInterrupt):
        uvala.train(
            disc_data,
            out=tmp_path / "run",
            budget="2h",
            model="pocket_unet",
            device="cpu",
            settings={"patches.size": 32, "patches.batch": 4},
        )
    plan = override(open_run(tmp_path / "run").plan, {"length.budget": None, "length.steps": 2}, where="here")
    write_plan(tmp_path / "run/plan.toml", plan, {})  # not the two hours
    assert uvala.train(tmp_path / "run", resume=True).card.training.finished


@pytest.mark.slow  # ten seconds, the least that a training can have
def test_a_trial_trains_for_so_long_and_finds_the_discs(prepared, tmp_path):
    plan = override(prepared.plan, {"length.budget": 3600.0, "length.steps": None}, where="here")
    score, images = trial_score(replace(prepared, plan=plan), RunFolder(tmp_path), 10.0, lambda: False, 1)
    assert RunFolder(tmp_path).plan.length.budget == 10
    assert images == 1
    assert 0.8 < score <= 1
