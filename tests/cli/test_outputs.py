"""Where a command will write is looked at before it works."""

import pytest

from uvala.cli.outputs import check_outputs
from uvala.errors import StorageError


def test_new_places_are_fine_and_are_not_made_yet(tmp_path):
    new = tmp_path / "new"
    check_outputs(files={"--json": new / "s.json", "--csv": None}, folders={"--out": new})
    assert not new.exists()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(StorageError, match=r"--json .* is a folder; .*choose another --json$"):
        check_outputs(files={"--json": tmp_path})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"--out .* is a file; .*choose another --out$"):
        check_outputs(files={}, folders={"--out": tmp_path / "file"})
    with pytest.raises(StorageError, match=r"--csv .* lies below .*file, .*choose another --csv$"):
        check_outputs(files={"--csv": tmp_path / "file" / "s.csv"})


def test_two_options_need_two_places(tmp_path):
    with pytest.raises(StorageError, match=r"--csv .* is what --json names, too"):
        check_outputs(files={"--json": tmp_path / "s", "--csv": tmp_path / "s"})
    with pytest.raises(StorageError, match=r"--out .* is what --json names, too"):
        check_outputs(files={"--json": tmp_path / "s"}, folders={"--out": tmp_path / "s"})
