"""A disk that is full, gone or slow while a training writes."""

import errno
import os

import pytest

from drawn import write_discs
from jobs import same, state, train, weights
from uvala.errors import StorageError
from uvala.training import keeper
from uvala.training.checkpoint import State


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


@pytest.fixture
def full(monkeypatch):
    """full(part of a file's name): from now on, the disk has no room for such files, or another trouble."""

    def fill(name: str, number: int = errno.ENOSPC) -> None:
        sync = os.fsync

        def refuse(handle: int) -> None:
            if name in os.readlink(f"/proc/self/fd/{handle}"):
                raise OSError(number, os.strerror(number))
            sync(handle)

        monkeypatch.setattr(os, "fsync", refuse)

    return fill


needs_names = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs the names of open files")


@needs_names
class TestFullDisk:
    def test_without_room_for_a_checkpoint_the_training_goes_on_and_says_so_once(
        self, data, tmp_path, full, monkeypatch
    ):
        train(data, tmp_path / "whole")
        monkeypatch.setattr(keeper, "_SECONDS", 0.0)
        full("state")
        events = []
        training = train(data, tmp_path / "run", listener=events.append)
        assert training.progress.step == 12
        assert same(weights(tmp_path / "whole"), weights(tmp_path / "run"))
        warnings = [event["text"] for event in events if event["event"] == "warning"]
        assert len(warnings) == 1
        assert "no space left" in warnings[0]

    def test_that_is_gone_ends_no_training(self, data, tmp_path, full):
        full("state", errno.EIO)
        events = []
        training = train(data, tmp_path, listener=events.append)
        assert training.progress.step == 12
        warnings = [event["text"] for event in events if event["event"] == "warning"]
        assert "cannot be written (Input/output error)" in warnings[0]

    def test_the_checkpoints_before_stay_whole(self, data, tmp_path, full):
        train(data, tmp_path / "whole")
        steps = iter(range(99))
        train(data, tmp_path / "run", stop=lambda: next(steps) == 6)
        full("state")
        train(data, tmp_path / "run", resume=True)
        train(data, tmp_path / "run", resume=True)
        assert same(weights(tmp_path / "whole"), weights(tmp_path / "run"))

    def test_without_room_for_the_best_weights_it_ends_and_the_old_ones_stay(self, data, tmp_path, full):
        steps = iter(range(99))
        train(data, tmp_path, stop=lambda: next(steps) == 6)
        before = weights(tmp_path)
        full("model")
        with pytest.raises(StorageError, match="no space left while writing"):
            train(data, tmp_path, resume=True)
        assert same(before, weights(tmp_path))
        assert not list(tmp_path.rglob("*.part"))


def test_a_log_that_cannot_be_written_ends_no_training(data, tmp_path, monkeypatch):
    events = []
    (tmp_path / "log.jsonl").mkdir()  # nobody can append to a folder
    training = train(data, tmp_path, listener=events.append)
    assert training.progress.step == 12
    assert [event["step"] for event in events if event["event"] == "validation"] == [4, 8, 12]


def test_a_slow_disk_is_written_to_less_often(tmp_path, monkeypatch):
    from uvala.log import EventLog
    from uvala.runs.folder import RunFolder
    from uvala.training.distributed import World
    from uvala.training.voice import Voice

    now = [1000.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    kept = keeper.Keeper(RunFolder(tmp_path), World.alone(), Voice(EventLog(None)))

    def slowly() -> State:
        now[0] += 3.0
        return State({}, {})

    kept.keep(slowly, 1)
    now[0] += 200
    assert not kept.due
    now[0] += 101
    assert kept.due


def test_state_of_a_stopped_training_can_be_read(data, tmp_path):
    train(data, tmp_path)
    parts = {key.partition(".")[0] for key in state(tmp_path)}
    assert parts == {"model", "average", "good", "optimiser"}
