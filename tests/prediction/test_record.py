"""predictions.jsonl, which a resume reads."""

import json

import pytest

from uvala.errors import DataError, StorageError
from uvala.images.read import Source
from uvala.prediction.record import NAME, Failure, Output, Record

SETTINGS = {"model": "abc", "format": "auto", "objects": ("csv",)}


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
    record.add(source.path.relative_to(tmp_path).with_suffix(""), Output(source, folder / "a.png", (0, 1), 7))
    return folder


def resumed(out, **changed):
    return Record.begin(out, SETTINGS | changed, resume=True)


def test_what_is_done_is_known_again(out, source):
    found = resumed(out).result(source, source.path.relative_to(out.parent).with_suffix(""))
    assert found == Output(source, out / "a.png", (0, 1), 7, resumed=True)


def test_an_image_that_changed_is_not_done(out, source):
    source.path.write_bytes(b"another image")
    assert resumed(out).result(source, source.path.relative_to(out.parent).with_suffix("")) is None


def test_an_image_whose_mask_is_gone_is_not_done(out, source):
    (out / "a.png").unlink()
    assert resumed(out).result(source, source.path.relative_to(out.parent).with_suffix("")) is None


def test_a_failure_is_told_and_tried_again(out, source):
    target = source.path.relative_to(out.parent).with_name("b")
    error = DataError(found="nothing", expected="something", fix="look again")
    resumed(out).add(target, Failure(source, error))
    assert "nothing" in json.loads((out / NAME).read_text().splitlines()[-1])["error"]
    assert resumed(out).result(source, target) is None


def test_the_name_of_a_result_belongs_to_one_image(out, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.png").write_bytes(b"of the same name")
    with pytest.raises(StorageError, match="whose result would replace that of"):
        resumed(out).result(Source(tmp_path / "other/a.png"), (tmp_path / "a").relative_to(tmp_path))


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

    @pytest.mark.parametrize("end", [b'{"result": "b", "so', b"\xff\xfe", b"12"])
    def test_a_line_that_was_cut_off_spoils_no_other(self, out, source, end):
        with (out / NAME).open("ab") as stream:
            stream.write(end)
        target = source.path.relative_to(out.parent).with_name("c")
        resumed(out).add(target, Output(source, out / "a.png", (0,)))
        assert resumed(out).done.keys() == {"a", "c"}

    def test_a_folder_whose_beginning_was_cut_off_is_begun(self, tmp_path):
        (tmp_path / NAME).write_text('{"mod')
        Record.begin(tmp_path, SETTINGS, resume=True)
        assert Record.begin(tmp_path, SETTINGS, resume=True).done == {}
