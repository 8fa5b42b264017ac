"""Folders of predictions that are gone on with."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

import uvala
from uvala.errors import StorageError
from uvala.files import held
from uvala.prediction.record import NAME

KINDS = ("csv", "coco")


@pytest.fixture
def images(disc_data, tmp_path) -> Path:
    (tmp_path / "images").mkdir()
    for path in sorted((disc_data / "images").iterdir())[:4]:
        shutil.copy(path, tmp_path / "images")
    return tmp_path / "images"


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != NAME]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stop_after(images: int):
    def progress(done, total):
        if done == images:
            raise KeyboardInterrupt

    return progress


class TestResume:
    def test_skips_what_is_done(self, disc_run, images, tmp_path):
        out, seen = tmp_path / "out", []
        with pytest.raises(KeyboardInterrupt):
            disc_run.predict_files([images], out, progress=stop_after(2))
        outputs, _ = disc_run.predict_files([images], out, resume=True, watch=lambda *_: seen.append(1))
        assert [output.mask.name for output in outputs] == [f"0{index}.png" for index in range(4)]
        assert sum(output.resumed for output in outputs) == 4 - len(seen) >= 2

    def test_ends_with_the_files_of_an_undisturbed_one(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "whole", objects=KINDS, probabilities=True)
        options = {"objects": KINDS, "probabilities": True}
        with pytest.raises(KeyboardInterrupt):
            disc_run.predict_files([images], tmp_path / "cut", **options, progress=stop_after(2))
        disc_run.predict_files([images], tmp_path / "cut", **options, resume=True)
        assert contents(tmp_path / "cut") == contents(tmp_path / "whole")

    def test_says_what_lies_in_the_place_of_an_image_that_is_damaged_now(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        (images / "01.png").write_bytes(b"no image")
        _, (failure,) = disc_run.predict_files([images], tmp_path / "out", resume=True)
        assert "out/01.png is of the image that was there before" in str(failure.error)

    def test_tries_again_what_failed(self, disc_run, images, tmp_path):
        good = (images / "01.png").read_bytes()
        (images / "01.png").write_bytes(good[:100])
        _, failures = disc_run.predict_files([images], tmp_path / "out")
        assert [failure.source.path.name for failure in failures] == ["01.png"]
        (images / "01.png").write_bytes(good)
        outputs, failures = disc_run.predict_files([images], tmp_path / "out", resume=True)
        assert [output.resumed for output in outputs] == [True, False, True, True]
        assert not failures

    def test_does_again_what_changed_while_it_was_predicted(self, disc_run, images, tmp_path):
        def change(*_):
            shutil.copy(images / "03.png", images / "00.png")

        disc_run.predict_files([images / "00.png"], tmp_path / "out", watch=change)
        outputs, _ = disc_run.predict_files([images / "00.png"], tmp_path / "out", resume=True)
        assert [output.resumed for output in outputs] == [False]
        disc_run.predict_files([images / "03.png"], tmp_path / "expected")
        assert (tmp_path / "out/00.png").read_bytes() == (tmp_path / "expected/03.png").read_bytes()

    def test_takes_images_that_were_added(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out", objects=KINDS)
        shutil.copy(images / "00.png", images / "new.png")
        outputs, _ = disc_run.predict_files([images], tmp_path / "out", objects=KINDS, resume=True)
        assert [output.resumed for output in outputs] == [True] * 4 + [False]
        listed = json.loads((tmp_path / "out/objects/coco.json").read_text())["images"]
        assert [image["file_name"] for image in listed] == ["00.png", "01.png", "02.png", "03.png", "new.png"]

    def test_results_among_the_images_are_no_images(self, disc_run, images):
        disc_run.predict_files([images], images / "out")
        outputs, _ = disc_run.predict_files([images], images / "out", resume=True)
        assert len(outputs) == 4

    def test_by_another_model_is_refused(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        views = uvala.load_run(disc_run.path, device="cpu", test_time=True)
        with pytest.raises(StorageError, match="predictions of another model"):
            views.predict_files([images], tmp_path / "out", resume=True)

    def test_with_other_options_is_refused(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        with pytest.raises(StorageError, match="begun with another --probabilities"):
            disc_run.predict_files([images], tmp_path / "out", probabilities=True, resume=True)

    def test_lets_auto_choose_the_backend_that_it_chose_before(self, disc_run, images, tmp_path):
        chosen, auto = (
            uvala.load_run(disc_run.path, device="cpu", backend=name) for name in ("onnxruntime", "auto")
        )
        chosen.predict_files([images], tmp_path / "whole", probabilities=True)
        with pytest.raises(KeyboardInterrupt):
            chosen.predict_files([images], tmp_path / "cut", probabilities=True, progress=stop_after(1))
        auto.predict_files([images], tmp_path / "cut", probabilities=True, resume=True)
        assert auto.predictor.backends == ["onnxruntime"]
        assert contents(tmp_path / "cut") == contents(tmp_path / "whole")

    def test_by_another_backend_is_refused_with_the_way_on(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        other = uvala.load_run(disc_run.path, device="cpu", backend="onnxruntime")
        with pytest.raises(StorageError, match=r"another --backend.*give --backend auto"):
            other.predict_files([images], tmp_path / "out", resume=True)

    def test_with_another_ceiling_is_refused_where_tiles_are_blended(self, disc_run, images, tmp_path):
        some, more = (
            uvala.load_run(disc_run.path, device="cpu", memory=memory, settings={"tiles.mode": "blended"})
            for memory in (120_000_000, 400_000_000)
        )
        some.predict_files([images], tmp_path / "out")
        with pytest.raises(StorageError, match=r"begun with another --memory or --set tiles;"):
            more.predict_files([images], tmp_path / "out", resume=True)

    def test_with_another_ceiling_goes_on_where_tiles_are_exact(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        more = uvala.load_run(disc_run.path, device="cpu", memory=400_000_000)
        outputs, _ = more.predict_files([images], tmp_path / "out", resume=True)
        assert all(output.resumed for output in outputs)

    def test_by_another_device_is_refused(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        record = tmp_path / "out" / NAME
        record.write_text(record.read_text().replace('"device": "cpu"', '"device": "cuda"'))
        with pytest.raises(StorageError, match=r"another --device.*\(--device cuda\)"):
            disc_run.predict_files([images], tmp_path / "out", resume=True)

    def test_while_another_process_is_at_work_is_refused(self, disc_run, images, tmp_path):
        disc_run.predict_files([images], tmp_path / "out")
        with held(tmp_path / "out"), pytest.raises(StorageError, match="another process is at work"):
            disc_run.predict_files([images], tmp_path / "out", resume=True)

    def test_of_files_whose_names_are_no_utf_8(self, disc_run, images, tmp_path):
        (images / "00.png").rename(images / os.fsdecode(b"caf\xe9.png"))
        (images / "01.png").rename(images / "a\u2028b.png")
        options = {"objects": ("csv", "labels"), "format": "tiff"}
        _, failures = disc_run.predict_files([images], tmp_path / "out", **options)
        assert not failures
        outputs, failures = disc_run.predict_files([images], tmp_path / "out", **options, resume=True)
        assert [output.resumed for output in outputs] == [True] * 4
        assert not failures


def test_two_that_begin_at_once_do_not_share_a_folder(disc_run, images, tmp_path):
    (tmp_path / "out").mkdir()
    with held(tmp_path / "out"), pytest.raises(StorageError, match="another process is at work"):
        disc_run.predict_files([images], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_ends_it_and_says_so(disc_run, images, tmp_path, monkeypatch):
    def full(*_, **__):
        raise StorageError(found="no space left", expected="room", fix="free some")

    monkeypatch.setattr("uvala.prediction.folder.write_prediction", full)
    with pytest.raises(StorageError, match="no space left"):
        disc_run.predict_files([images], tmp_path / "out")


def test_results_and_failures_come_in_the_order_of_the_images(disc_run, images, tmp_path):
    (images / "00.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9), "red").save(images / "02.png")
    seen = []
    outputs, failures = disc_run.predict_files(
        [images], tmp_path / "out", progress=lambda done, total: seen.append((done, total))
    )
    assert [output.mask.name for output in outputs] == ["01.png", "03.png"]
    assert [failure.source.path.name for failure in failures] == ["00.png", "02.png"]
    assert seen == [(done, 4) for done in range(5)]
