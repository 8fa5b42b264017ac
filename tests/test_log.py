import errno
import os
from pathlib import Path

import pytest

from uvala.errors import StorageError
from uvala.log import EventLog, read_events


def test_events_come_back_as_they_were_said(tmp_path):
    heard = []
    log = EventLog(tmp_path / "log.jsonl", heard.append)
    log("step", loss=0.5)
    log("note", text="µm")
    assert list(read_events(tmp_path / "log.jsonl")) == heard
    assert [event["event"] for event in heard] == ["step", "note"]


def test_a_line_cut_by_a_power_failure_is_passed_over(tmp_path):
    log = EventLog(tmp_path / "log.jsonl")
    log("step", loss=0.5)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"event": "st')
    assert [event["event"] for event in read_events(tmp_path / "log.jsonl")] == ["step"]


def test_a_missing_log_has_no_events(tmp_path):
    assert list(read_events(tmp_path / "none")) == []


def test_a_line_that_the_disk_took_in_part_does_not_spoil_the_next(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text('{"event": "st')

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageError):
            log("step", loss=0.5)
    log("note", text="there is room again")
    assert [event["event"] for event in read_events(tmp_path / "log.jsonl")] == ["note"]
