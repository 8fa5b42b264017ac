"""P16: a training that was stopped and goes on is the training that was never stopped, bit for bit."""

import pytest

from jobs import equal, train, weights
from uvala.errors import RunError
from uvala.log import read_events
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import events_to_keep, read_progress
from uvala.training.progress import Progress

OPTIONS = {
    "sgd with momentum": {"optimiser.name": "sgd", "optimiser.nesterov": True},
    "rmsprop on a plateau": {
        "optimiser.name": "rmsprop",
        "optimiser.schedule": "plateau",
        "optimiser.patience": 0,
    },
    "adam in parts": {"optimiser.name": "adam", "optimiser.accumulate": 2},
    "memory formats": {"execution.memory_format": "mixed"},
    "float16 with a scaled loss": {"precision": "float16"},
    "deterministic bfloat16": {"precision": "bfloat16", "execution.deterministic": True},
    "dropout": {"model.name": "unet", "model.options": {"dropout": 0.5, "width": 4, "depth": 2}},
    "a frozen encoder": {
        "freeze.encoder": 0.5,
        "model.name": "unet",
        "model.options": {"width": 4, "depth": 2},
    },
}


class TestStopped:
    @pytest.mark.parametrize("after", [1, 3, 4, 6, 11], ids=lambda after: f"after step {after}")
    def test_a_stop_changes_nothing(self, data, whole, tmp_path, after):
        """Also before the first validation, where a stop makes one of its own so that there are weights."""
        stopped = train(data, tmp_path, stop=Countdown(after))
        assert stopped.progress.step == after
        assert weights(tmp_path)
        train(data, tmp_path, resume=True)
        assert equal(whole, tmp_path)

    def test_before_the_first_validation_it_looks_at_images_for_seconds_only(
        self, data, whole, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("uvala.training.judging._EXTRA_SECONDS", 0.0)
        train(data, tmp_path, stop=Countdown(2))
        looks = [e["images"] for e in read_events(tmp_path / "log.jsonl") if e["event"] == "validation"]
        assert looks == [1], "of three"
        assert weights(tmp_path)
        train(data, tmp_path, resume=True)
        assert equal(whole, tmp_path)

    @pytest.mark.parametrize("settings", OPTIONS.values(), ids=OPTIONS)
    def test_whatever_the_options(self, data, tmp_path, settings):
        train(data, tmp_path / "whole", settings=settings)
        train(data, tmp_path / "cut", settings=settings, stop=Countdown(5))
        train(data, tmp_path / "cut", settings=settings, resume=True)
        assert equal(tmp_path / "whole", tmp_path / "cut")

    def test_a_resume_of_nothing_begins_anew(self, data, whole, tmp_path):
        train(data, tmp_path, resume=True)
        assert equal(whole, tmp_path)


class TestDamage:
    """Two generations are kept: if the disk spoils the newest, the one before is used, and that is said."""

    @pytest.fixture
    def stopped(self, data, tmp_path):
        train(data, tmp_path, stop=Countdown(9))
        return tmp_path

    @pytest.mark.parametrize("harm", ["cut short", "a flipped bit", "empty"])
    def test_the_generation_before_is_used(self, data, whole, stopped, harm):
        damage(stopped / "checkpoint/state.safetensors", harm)
        events = []
        train(data, stopped, resume=True, listener=events.append)
        assert equal(whole, stopped)
        assert [event for event in events if "is damaged" in event.get("text", "")]

    def test_without_a_whole_one_it_is_refused(self, data, stopped):
        for path in (stopped / "checkpoint").iterdir():
            damage(path, "a flipped bit")
        with pytest.raises(RunError, match=r"checksum is wrong.*train anew"):
            train(data, stopped, resume=True)

    def test_the_weights_in_the_folder_follow_the_checkpoint(self, data, stopped):
        best = read_progress(RunFolder(stopped)).best_step
        (stopped / "model.safetensors").unlink()
        training = train(data, stopped, resume=True, stop=lambda: True)
        assert training.job.run.weights_step == best


class TestLog:
    """The log may be ahead of the checkpoint; a resume says nothing twice."""

    def test_a_validation_that_was_said_but_not_kept_is_dropped(self, data, tmp_path, monkeypatch):
        def cut_off(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("uvala.training.loop.pack_state", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path)
        assert validated(read_events(tmp_path / "log.jsonl")) == [4]
        assert validated(to_keep(tmp_path)) == []

    def test_the_extra_validation_of_a_stop_is_dropped(self, data, tmp_path):
        train(data, tmp_path, stop=Countdown(2))
        assert validated(read_events(tmp_path / "log.jsonl")) == [2]
        assert validated(to_keep(tmp_path)) == []

    def test_the_others_are_kept(self, data, tmp_path):
        train(data, tmp_path, stop=Countdown(9))
        assert validated(to_keep(tmp_path)) == [4, 8]

    def test_of_warnings_those_of_a_step_that_is_not_repeated(self):
        events = [{"event": "warning", "text": str(step), "step": step} for step in (3, 7)]
        kept = events_to_keep([*events, {"event": "warning", "text": "stopped"}], Progress(step=5))
        assert [event["text"] for event in kept] == ["3"]

    def test_what_a_resume_says_again_is_dropped(self):
        events = [{"event": kind, "text": ""} for kind in ("note", "cache", "tuned", "end")]
        assert [event["event"] for event in events_to_keep(events, Progress(step=5))] == ["note"]


def to_keep(out):
    return events_to_keep(read_events(out / "log.jsonl"), read_progress(RunFolder(out)))


def validated(events) -> list[int]:
    return [event["step"] for event in events if event["event"] == "validation"]


class Countdown:
    """Asks for a stop after so many steps; it is asked before each step and after each validation."""

    def __init__(self, steps: int) -> None:
        # validations at steps 4, 8 and 12 ask once more
        self.left = steps + sum(steps >= step for step in (4, 8, 12))

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def damage(path, harm):
    content = bytearray(path.read_bytes())
    if harm == "a flipped bit":
        content[-1000] ^= 4
    path.write_bytes({"cut short": content[:-100], "a flipped bit": content, "empty": b""}[harm])


def test_without_a_checkpoint_the_training_is_at_its_beginning(tmp_path):
    assert read_progress(RunFolder(tmp_path)).step == 0
