"""A training that goes on for longer than it was meant to: what is validated, and that it can only gain."""

import shutil
import sys

import pytest

from jobs import equal, same, train, weights
from kills import killed
from uvala.log import read_events
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress
from uvala.training.pace import StepPace
from uvala.training.validate import validate

LONGER = {"length.steps": 24}
LEARNING = {"optimiser.learning_rate": 0.03, "patches.class_share": 1.0}
RUINOUS = {"optimiser.learning_rate": 10.0, "optimiser.average": 0.0, "watchdog.divergence": 1e9}


@pytest.fixture(scope="module")
def short(data, tmp_path_factory):
    """A training of 12 steps whose validations had time for one image of three."""
    out = tmp_path_factory.mktemp("short")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepPace, "validation_limit", 0.0)
        train(data, out)
    return out


@pytest.fixture
def run(short, tmp_path):
    return shutil.copytree(short, tmp_path / "run")


def said(out, kind):
    return [event for event in read_events(out / "log.jsonl") if event["event"] == kind]


class TestValidations:
    def test_look_at_as_many_images_as_in_a_fresh_training(self, data, run):
        train(data, run, resume=True, settings=LONGER)
        images = [(event["step"], event["images"]) for event in said(run, "validation")]
        assert images == [(4, 1), (8, 1), (12, 1), (16, 3), (24, 3)]

    def test_are_beaten_by_the_kept_weights_as_they_score_on_these(self, data, run):
        kept = weights(run)
        training = train(data, run, resume=True, settings=LONGER, stop=lambda: True)
        assert same(weights(run), kept)
        assert training.progress.floor.score == training.progress.best_score == score_of_kept(training)

    def test_leave_the_training_as_it_was(self, data, run):
        before = read_weights(data, run)
        assert same(read_weights(data, run, settings=LONGER), before)

    def test_are_told_of(self, data, run):
        train(data, run, resume=True, settings=LONGER, stop=lambda: True)
        assert "validations look at 3 images instead of 1" in said(run, "note")[-1]["text"]

    def test_of_all_images_score_nothing_again(self, data, whole, tmp_path):
        run = shutil.copytree(whole, tmp_path / "run")
        training = train(data, run, resume=True, settings=LONGER, stop=lambda: True)
        assert training.progress.floor.score == read_progress(RunFolder(whole)).best_score
        assert not said(run, "note")


class TestGain:
    @pytest.fixture(scope="class")
    @classmethod
    def learnt(cls, data, tmp_path_factory):
        out = tmp_path_factory.mktemp("learnt")
        train(data, out, settings={**LEARNING, "length.steps": 60})
        return out

    def test_worse_weights_do_not_take_the_place_of_those_that_were_kept(self, data, learnt, tmp_path):
        run = shutil.copytree(learnt, tmp_path / "run")
        train(data, run, resume=True, settings={**LEARNING, **RUINOUS, "length.steps": 90})
        assert same(weights(run), weights(learnt))
        text = said(run, "warning")[-1]["text"]
        assert "still those that the training went on with at step 60" in text
        assert "none of 1 validation since then was as good" in text

    def test_nothing_is_said_where_better_ones_did(self, data, learnt, tmp_path):
        run = shutil.copytree(learnt, tmp_path / "run")
        train(data, run, resume=True, settings={**LEARNING, "length.steps": 120})
        assert read_progress(RunFolder(run)).best_step > 60
        assert not [event for event in said(run, "warning") if "went on with" in event["text"]]


MOMENTS = {
    "while the kept weights are scored": ("uvala.training.validate.predict_outputs", 2),
    "before their score is written down": ("uvala.training.loop.pack_state", 1),
    "in the first step": ("torch.optim.AdamW.step", 1),
    "after the next validation": ("uvala.training.loop.pack_state", 7),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
class TestKilled:
    @pytest.fixture(scope="class")
    @classmethod
    def longer(cls, data, short, tmp_path_factory):
        """The training that nothing disturbs."""
        out = shutil.copytree(short, tmp_path_factory.mktemp("longer") / "run")
        train(data, out, resume=True, settings=LONGER)
        return out

    @pytest.mark.parametrize(("at", "call"), MOMENTS.values(), ids=MOMENTS)
    def test_it_ends_as_if_it_had_not_been(self, data, longer, run, at, call):
        assert killed(data, run, at, call, resume=True, settings=LONGER)
        train(data, run, resume=True, settings=LONGER)
        assert equal(longer, run)
        found, expected = (read_progress(RunFolder(out)) for out in (run, longer))
        assert (found.best_step, found.floor) == (expected.best_step, expected.floor)


def score_of_kept(training):
    """The score of the kept weights on all validation images."""
    job, model = training.job, training.average.model
    model.load_state_dict(training.judge.good)
    store = training.judge.store
    return validate(model, store, job.validation, job.network, job.plan.tiles, job.device).score


def read_weights(data, run, **options):
    """The present weights of a training and their average, when it goes on."""
    training = train(data, run, resume=True, stop=lambda: True, **options)
    models = {"present": training.model, "average": training.average.model}
    return {
        f"{name}.{key}": value.numpy()
        for name, model in models.items()
        for key, value in model.state_dict().items()
    }
