"""predictions.jsonl, which a resume reads."""

import json
import os
import shutil
from pathlib import Path

import pytest

from uvala.errors import DataError, StorageError
from uvala.images.read import Source
from uvala.prediction.record import NAME, Failure, Output, Record, settings_in, state_of

SETTINGS = {
    "model": "abc",
    "tiles": [],
    "decoding": {"min_size": 1},
    "device": "cpu",
    "backend": ["torch"],
    "format": "auto",
    "objects": ("csv",),
    "overlays": False,
}
A = Path("a")  # what the results of the image are called


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.png").write_bytes(b"an image")
    return Source(tmp_path / "a.png")


@pytest.fixture
def out(tmp_path, source):
    """A folder in which that image is done."""
    folder = tmp_path / "out"
    record = Record.begin(folder, SETTINGS, resume=False)
    (folder / "a.png").write_bytes(b"a mask")
    record.add(A, Output(source, folder / "a.png", (0, 1), 7), state_of(source.path))
    return folder


def resumed(out, **changed):
    return Record.begin(out, SETTINGS | changed, resume=True)


def test_what_is_done_is_known_again(out, source):
    found = resumed(out).result(source, A)
    assert found == Output(source, out / "a.png", (0, 1), 7, resumed=True)


def test_an_image_that_changed_is_not_done(out, source):
    source.path.write_bytes(b"another image")
    assert resumed(out).result(source, A) is None


def test_another_image_in_its_place_is_not_done_though_it_is_as_long_and_as_old(out, source):
    before = source.path.stat()
    source.path.write_bytes(b"another!")
    os.utime(source.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.path.stat().st_size == before.st_size
    assert resumed(out).result(source, A) is None


def test_an_image_whose_mask_is_gone_is_not_done(out, source):
    (out / "a.png").unlink()
    assert resumed(out).result(source, A) is None


def test_a_failure_is_told_and_tried_again(out, source):
    target = Path("b")
    error = DataError(found="nothing", expected="something", fix="look again")
    resumed(out).add(target, Failure(source, error), state_of(source.path))
    assert "nothing" in json.loads((out / NAME).read_text().splitlines()[-1])["error"]
    assert resumed(out).result(source, target) is None


def test_an_image_that_changes_while_it_is_predicted_is_not_done(out, source):
    before = state_of(source.path)
    source.path.write_bytes(b"changed meanwhile")
    resumed(out).add(A, Output(source, out / "a.png", (0,)), before)
    assert resumed(out).result(source, A) is None


class TestAnImageOfTheSameName:
    """The name of a result belongs to one image, wherever that lies."""

    @pytest.fixture
    def other(self, source, tmp_path):
        """A copy in another folder, as old as the original."""
        (tmp_path / "other").mkdir()
        return Source(Path(shutil.copy2(source.path, tmp_path / "other")))

    def test_is_refused(self, out, other):
        other.path.write_bytes(b"of another length")
        with pytest.raises(StorageError, match="whose result would replace that of"):
            resumed(out).result(other, A)

    def test_is_refused_though_it_is_as_long_and_as_old(self, out, source, other):
        before = other.path.stat()
        other.path.write_bytes(b"another!")
        os.utime(other.path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert other.path.stat().st_size == source.path.stat().st_size
        with pytest.raises(StorageError, match="whose result would replace that of"):
            resumed(out).result(other, A)

    def test_is_the_same_where_it_was_only_moved(self, out, other):
        assert resumed(out).result(other, A) == Output(other, out / "a.png", (0, 1), 7, resumed=True)


class TestAFolder:
    """Of a Zarr image all files count."""

    @pytest.fixture
    def folder(self, tmp_path):
        for chunk in ("0", "1"):
            (tmp_path / "z.zarr/c" / chunk).mkdir(parents=True)
            (tmp_path / "z.zarr/c" / chunk / "0").write_bytes(b"pixels")
        return tmp_path / "z.zarr"

    def test_is_known_again(self, folder):
        assert state_of(folder) == state_of(folder)

    def test_is_another_when_a_chunk_changes_in_place(self, folder):
        before = state_of(folder)
        (folder / "c/1/0").write_bytes(b"others")
        os.utime(folder / "c/1/0", ns=(0, before["modified"] + 10**9))
        assert state_of(folder) != before

    def test_is_another_when_an_old_chunk_takes_the_place_of_one(self, folder, tmp_path):
        (tmp_path / "old").write_bytes(b"of another length")
        os.utime(tmp_path / "old", (0, 0))
        before = state_of(folder)
        shutil.copy2(tmp_path / "old", folder / "c/1/0")
        assert state_of(folder) != before

    def test_that_was_moved_is_refused(self, folder, out, tmp_path):
        record, b = resumed(out), Path("b")
        record.add(b, Output(Source(folder), out / "a.png", (0,)), state_of(folder))
        folder.rename(tmp_path / "moved.zarr")
        with pytest.raises(StorageError, match="whose result would replace that of"):
            resumed(out).result(Source(tmp_path / "moved.zarr"), b)


@pytest.mark.parametrize("name", [b"caf\xe9", "a\u2028b\u0085c".encode(), "zellen_ä".encode()], ids=repr)
def test_files_may_be_called_anything(out, source, name):
    target = Path(os.fsdecode(name))
    renamed = Source(source.path.rename(source.path.with_name(f"{target.name}.png")))
    resumed(out).add(target, Output(renamed, out / "a.png", (0,)), state_of(renamed.path))
    assert resumed(out).result(renamed, target) == Output(renamed, out / "a.png", (0,), resumed=True)


class TestBegin:
    def test_a_folder_of_predictions_is_not_taken_by_another(self, out):
        with pytest.raises(StorageError, match="go on with these by --resume"):
            Record.begin(out, SETTINGS, resume=False)

    @pytest.mark.parametrize("resume", [False, True])
    def test_a_folder_that_holds_something_else_is_refused(self, tmp_path, resume):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(StorageError, match="already holds files"):
            Record.begin(tmp_path, SETTINGS, resume=resume)

    def test_to_resume_what_never_began_begins_it(self, tmp_path):
        assert Record.begin(tmp_path / "new", SETTINGS, resume=True).done == {}

    def test_another_model_is_refused(self, out):
        with pytest.raises(StorageError, match="which holds predictions of another model"):
            resumed(out, model="def")

    def test_other_options_are_refused_by_name(self, out):
        with pytest.raises(StorageError, match="begun with another --format and another --objects"):
            resumed(out, format="zarr", objects=())

    def test_other_options_are_called_as_on_the_command_line(self, out):
        with pytest.raises(StorageError, match=r"begun with another --overlay;"):
            resumed(out, overlays=True)

    def test_another_backend_is_refused_with_the_way_to_the_one_before(self, out):
        with pytest.raises(StorageError, match=r"another --backend; .* give --backend auto"):
            resumed(out, backend=["openvino"])

    def test_another_device_is_refused_with_the_name_of_the_one_before(self, out):
        with pytest.raises(StorageError, match=r"another --device; .* begun with \(--device cpu\)"):
            resumed(out, device="cuda")

    def test_other_tiles_are_refused_where_they_decide_numbers(self, out):
        with pytest.raises(StorageError, match=r"another --memory or --set tiles;"):
            resumed(out, tiles=[{"size": 64}])

    def test_objects_are_not_found_otherwise_in_some_of_the_images(self, out):
        with pytest.raises(StorageError, match=r"another --set objects;"):
            resumed(out, decoding={"min_size": 9})

    def test_as_long_as_no_image_is_done_objects_may_be_found_otherwise(self, tmp_path, source):
        error = DataError(found="a clump too large", expected="less", fix="raise the threshold")
        record = Record.begin(tmp_path / "new", SETTINGS, resume=False)
        record.add(A, Failure(source, error), state_of(source.path))
        resumed(tmp_path / "new", decoding={"min_size": 9})
        assert settings_in(tmp_path / "new")["decoding"] == {"min_size": 9}
        with pytest.raises(StorageError, match="another --format"):
            resumed(tmp_path / "new", format="zarr")

    @pytest.mark.parametrize("end", [b'{"result": "b", "so', b"\xff\xfe", b"12"])
    def test_a_line_that_was_cut_off_spoils_no_other(self, out, source, end):
        with (out / NAME).open("ab") as stream:
            stream.write(end)
        resumed(out).add(Path("c"), Output(source, out / "a.png", (0,)), state_of(source.path))
        assert resumed(out).done.keys() == {"a", "c"}

    def test_a_folder_whose_beginning_was_cut_off_is_begun(self, tmp_path):
        (tmp_path / NAME).write_text('{"mod')
        Record.begin(tmp_path, SETTINGS, resume=True)
        assert Record.begin(tmp_path, SETTINGS, resume=True).done == {}


class TestSettings:
    def test_are_those_that_a_folder_was_begun_with(self, out):
        assert settings_in(out)["backend"] == ["torch"]

    def test_of_a_folder_without_predictions_are_none(self, tmp_path):
        assert settings_in(tmp_path) == {}
