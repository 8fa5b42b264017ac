"""Fine-tuning: a training that begins with weights which are there already."""

import pytest
import torch

from drawn import write_discs
from jobs import job, same, state, train, weights
from uvala.errors import WeightsError
from uvala.log import read_events
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress
from uvala.training.loop import Training
from uvala.training.validate import Validation

LEARNING = {"length.steps": 60, "optimiser.learning_rate": 0.03, "patches.class_share": 1.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """Weights that have learnt the discs."""
    training = train(data, tmp_path_factory.mktemp("first"), settings=LEARNING)
    assert training.progress.best_dice > 0.7
    return {key: value.clone() for key, value in training.judge.good.items()}


RUINOUS = {"optimiser.learning_rate": 10.0, "optimiser.average": 0.0, "watchdog.divergence": 1e9}


def texts(out):
    return [event["text"] for event in read_events(out / "log.jsonl") if event["event"] == "warning"]


class TestStart:
    """P18: it never ends below where it began without saying so."""

    def test_is_validated_before_the_first_step(self, data, tmp_path, start):
        train(data, tmp_path, start=start, settings={"optimiser.learning_rate": 1e-6})
        steps = [e["step"] for e in read_events(tmp_path / "log.jsonl") if e["event"] == "validation"]
        assert steps == [0, 4, 8, 12]

    def test_is_kept_where_nothing_better_came(self, data, tmp_path, start):
        train(data, tmp_path, start=start, settings=RUINOUS)
        kept = weights(tmp_path)
        assert all(torch.equal(torch.from_numpy(kept[key]), value) for key, value in start.items())
        assert "still those that the training began with" in texts(tmp_path)[-1]
        assert "none of 3 validations since then was as good" in texts(tmp_path)[-1]

    def test_nothing_is_said_where_something_better_came(self, data, tmp_path, start):
        fresh = Training(job(data, tmp_path / "fresh")).model.state_dict()
        train(data, tmp_path / "run", start=fresh, settings=LEARNING)
        assert read_progress(RunFolder(tmp_path / "run")).best_step > 0
        assert not [text for text in texts(tmp_path / "run") if "began with" in text]

    def test_weights_that_are_as_good_are_kept_and_called_no_better(self, data, tmp_path, start, monkeypatch):
        found = Validation(0.8, 0.8, (0.8, 0.8), (0, 1), (0, 1), images=3, pixels=3, seconds=0.0)
        monkeypatch.setattr("uvala.training.judging.validate", lambda *_: found)
        train(data, tmp_path, start=start)
        assert read_progress(RunFolder(tmp_path)).best_step == 12
        assert "no better than those that the training began with (Dice 0.8000)" in texts(tmp_path)[-1]

    def test_a_resume_needs_it_no_more(self, data, tmp_path, start):
        train(data, tmp_path / "whole", start=start, settings=RUINOUS)
        train(data, tmp_path / "cut", start=start, settings=RUINOUS, stop=lambda: True)
        train(data, tmp_path / "cut", settings=RUINOUS, resume=True)
        assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
        assert same(state(tmp_path / "whole"), state(tmp_path / "cut"))
        assert "began with" in texts(tmp_path / "cut")[-1]

    def test_weights_of_another_network_are_refused(self, data, tmp_path, start):
        with pytest.raises(WeightsError, match="do not fit pocket_unet"):
            Training(job(data, tmp_path, start=start, settings={"model.options": {"width": 8}}))
