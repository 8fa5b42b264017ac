import errno
import fcntl
import json
import os
import resource
import subprocess
import sys

import pytest

from uvala.errors import StorageError
from uvala.files import (
    claim_folder,
    held,
    making,
    replacing,
    storage_errors,
    write_bytes,
    write_json,
    write_text,
)

WRITE_BEYOND_THE_LIMIT = """
import resource, sys
from pathlib import Path
from uvala.errors import StorageError
from uvala.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_bytes(Path(sys.argv[1]), bytes(50_000))
except StorageError as error:
    print(error)
"""


def test_the_old_content_stays_until_the_new_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on the size of files")
def test_no_space_left_is_one_sentence_and_leaves_nothing(tmp_path):
    path = tmp_path / "model.safetensors"
    result = subprocess.run(
        [sys.executable, "-c", WRITE_BEYOND_THE_LIMIT, str(path)], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith(f"found no space left while writing {path}")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_bytes(tmp_path / "out" / "a.png", b"")


def test_a_folder_with_files_is_not_claimed(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(StorageError, match="already holds files"):
        claim_folder(tmp_path, purpose="the run")


def test_results_are_readable_as_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_json_holds_a_file_name_that_is_no_utf_8(tmp_path):
    names = ["zellen_ä.png", os.fsdecode(b"caf\xe9.png")]
    write_json(tmp_path / "a.json", names)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == names


def test_a_folder_is_on_the_disk_with_all_its_files_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, fsync = set(), os.fsync

    def recorded(handle):
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    with replacing(tmp_path / "a") as temporary:
        (temporary / "b").mkdir(parents=True)
        (temporary / "b" / "c").write_text("x")
    assert (tmp_path / "a" / "b" / "c").stat().st_ino in synced
    assert (tmp_path / "a" / "b").stat().st_ino in synced


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ENOTCONN])
def test_a_disk_that_is_gone_is_one_sentence(tmp_path, number):
    with pytest.raises(StorageError, match=os.strerror(number)), storage_errors(tmp_path / "a"):
        raise OSError(number, os.strerror(number))


class TestHeld:
    """Of several processes that work in a folder at the same time, all but the first are refused."""

    def test_by_one_at_a_time(self, tmp_path):
        with (
            held(tmp_path),
            pytest.raises(StorageError, match="another process is at work"),
            held(tmp_path),
        ):
            raise AssertionError("two hold it")

    def test_by_another_afterwards(self, tmp_path):
        for _ in range(2):
            with held(tmp_path):
                pass
        assert os.listdir(tmp_path) == []

    def test_by_nobody_who_was_killed(self, tmp_path):
        code = "import os, sys; from pathlib import Path; from uvala.files import held\n"
        code += "with held(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert os.listdir(tmp_path) == [".lock"]
        claim_folder(tmp_path, purpose="the run")
        with held(tmp_path):
            pass

    def test_by_nobody_whose_lock_file_was_removed_while_he_took_it(self, tmp_path, monkeypatch):
        lock = fcntl.flock

        def remove_and_lock(stream, how):
            monkeypatch.setattr(fcntl, "flock", lock)
            (tmp_path / ".lock").unlink()  # as the one before does at his end
            lock(stream, how)

        monkeypatch.setattr(fcntl, "flock", remove_and_lock)
        with (
            held(tmp_path),
            pytest.raises(StorageError, match="another process is at work"),
            held(tmp_path),
        ):
            raise AssertionError("two hold it")


class TestMaking:
    """A folder for what is not done yet, beside the place of what is."""

    def test_leaves_what_was_moved_out_of_it(self, tmp_path):
        with making(tmp_path / "new" / "a.onnx") as folder:
            (folder / "a.onnx").write_bytes(b"done")
            (folder / "scrap").mkdir()
            (folder / "a.onnx").rename(tmp_path / "new" / "a.onnx")
        assert os.listdir(tmp_path / "new") == ["a.onnx"]

    def test_goes_when_making_it_failed(self, tmp_path):
        with pytest.raises(ZeroDivisionError), making(tmp_path / "a"):
            raise ZeroDivisionError
        assert os.listdir(tmp_path) == []

    def test_takes_away_what_a_killed_process_left(self, tmp_path):
        code = "import os, sys; from pathlib import Path; from uvala.files import making\n"
        code += "with making(Path(sys.argv[1])) as folder:\n"
        code += "    (folder / 'half').touch(); os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
        assert os.listdir(tmp_path) == [".a.part"]
        with making(tmp_path / "a") as folder:
            assert "half" not in os.listdir(folder)
        assert os.listdir(tmp_path) == []

    def test_is_one_process_at_a_time(self, tmp_path):
        with (
            making(tmp_path / "a"),
            pytest.raises(StorageError, match="another process is at work"),
            making(tmp_path / "a"),
        ):
            raise AssertionError("two make it")
