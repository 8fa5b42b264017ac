"""Several images of which some are predicted block by block: what waits, what fails, what is told."""

import json
import os
from contextlib import contextmanager
from functools import partial
from threading import Event

import numpy as np
import pytest
import tifffile
import zarr
from numpy.testing import assert_array_equal

from predictions import cut_small, images_are_large, wait_for_a_block, write_image
from uvala.api.predicting import predict_paths
from uvala.errors import ConfigError, ImageError
from uvala.images.chunks import Chunks
from uvala.images.lazy import open_image
from uvala.prediction.large import LargePrediction
from uvala.prediction.wanted import Wanted

SIZE = (100, 140)
PIXELS = SIZE[0] * SIZE[1]


@pytest.fixture(scope="module")
def predictor(disc_run):
    return cut_small(disc_run.path)


@pytest.fixture
def images(tmp_path):
    """Three images; of what is written of them, names tell."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        write_image(folder / f"{name}.npy", SIZE, seed)
    return folder


def predict(predictor, images, out, wanted=None, **options):
    """Every image is large."""
    with images_are_large():
        return predict_paths(predictor, [images], out, wanted or Wanted(), **options)


def expected(predictor, path):
    return predictor(np.load(path)[None])


class TestSeveral:
    def test_have_their_own_files_and_one_list_of_objects(self, predictor, images, tmp_path):
        predict(predictor, images, tmp_path / "out", Wanted(objects=("labels", "coco")))
        listed = json.loads((tmp_path / "out/objects/coco.json").read_text())
        for number, path in enumerate(sorted(images.iterdir()), start=1):
            prediction = expected(predictor, path)
            assert_array_equal(tifffile.imread(tmp_path / f"out/{path.stem}.tif"), prediction.encoded)
            assert_array_equal(tifffile.imread(tmp_path / f"out/objects/{path.stem}.tif"), prediction.objects)
            found = [each for each in listed["annotations"] if each["image_id"] == number]
            assert len(found) == prediction.objects.max()

    def test_no_more_than_one_waits_while_the_next_is_predicted(
        self, predictor, images, tmp_path, monkeypatch
    ):
        events, third = [], Event()
        begin, end = LargePrediction.predict, LargePrediction.close

        def predicted(large, watch):
            events.append(f"begin {large.target}")
            if large.target.name == "c":
                third.set()
            begin(large, watch)

        def closed(large):
            third.wait(0.5)  # it would come in this time if it were not held back
            events.append(f"end {large.target}")
            end(large)

        monkeypatch.setattr(LargePrediction, "predict", predicted)
        monkeypatch.setattr(LargePrediction, "close", closed)
        predict(predictor, images, tmp_path / "out")
        assert events.index("end a") < events.index("begin c")

    @pytest.mark.parametrize(("wanted", "kept"), [(Wanted(), False), (Wanted(overlays=True), True)], ids=str)
    def test_readers_are_closed_before_the_files_are_written_where_these_do_not_show_the_image(
        self, predictor, images, tmp_path, monkeypatch, wanted, kept
    ):
        still_open, when_written = [], []

        @contextmanager
        def opened(source, **options):
            with open_image(source, **options) as image:
                still_open.append(source)
                yield image
            still_open.remove(source)

        write = LargePrediction.write

        def written(large):
            when_written.append(bool(still_open))
            return write(large)

        monkeypatch.setattr("uvala.prediction.folder.open_image", opened)
        monkeypatch.setattr(LargePrediction, "write", written)
        predict(predictor, images / "a.npy", tmp_path / "out", wanted)
        assert when_written == [kept]
        assert not still_open


def test_left_early_it_does_not_write_an_image_to_its_end(predictor, images, tmp_path, monkeypatch):
    begun, read = Event(), LargePrediction._layer

    def waiting(large, name, box):
        begun.set()
        assert large.left.wait(30)
        return read(large, name, box)

    def interrupted(pixels, share):
        if (tmp_path / "out/.b.stage").exists():
            assert begun.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr(LargePrediction, "_layer", waiting)
    with pytest.raises(KeyboardInterrupt):
        predict(predictor, images, tmp_path / "out", watch=interrupted)
    assert not list((tmp_path / "out").glob("*.tif"))
    monkeypatch.undo()
    outputs, _ = predict(predictor, images, tmp_path / "out", resume=True)
    for output in outputs:
        assert_array_equal(tifffile.imread(output.mask), expected(predictor, output.source.path).encoded)


class TestFailures:
    """An image that fails is told, and the others are predicted."""

    def test_what_is_too_large_for_a_png_is_not_predicted(self, predictor, images, tmp_path, monkeypatch):
        monkeypatch.setattr("uvala.prediction.results._MOST_IN_PNG", PIXELS - 1)
        write_image(images / "b.npy", (90, 90))
        seen = []
        outputs, failures = predict(
            predictor,
            images,
            tmp_path / "out",
            Wanted(format="png"),
            watch=lambda pixels, share: seen.append(pixels),
        )
        assert [output.mask.name for output in outputs] == ["b.png"]
        assert sum(seen) == 90 * 90
        assert [type(failure.error) for failure in failures] == [ConfigError] * 2
        assert "--format png for an image of 140x100 pixels" in str(failures[0].error)

    def test_one_that_fails_midway_says_what_stays(self, predictor, images, tmp_path):
        def damaged(pixels, share):
            if share > 0.3:
                wait_for_a_block(tmp_path / "out")
                raise ImageError(found="a torn tile", expected="a whole one", fix="scan it again")

        _, failures = predict(predictor, images / "a.npy", tmp_path / "out", watch=damaged)
        stage = tmp_path / "out/.a.stage"
        assert f"scan it again; what is predicted of it stays in {stage}: --resume" in str(failures[0].error)
        assert stage.is_dir()

    def test_one_that_fails_while_files_are_written_says_what_stays(
        self, predictor, images, tmp_path, monkeypatch
    ):
        def damaged(large):
            raise ImageError(found="a torn tile", expected="a whole one", fix="scan it again")

        with monkeypatch.context() as patch:
            patch.setattr(LargePrediction, "write", damaged)
            outputs, failures = predict(predictor, images, tmp_path / "out")
        assert not outputs
        assert all("stays in" in str(failure.error) for failure in failures)
        seen = []
        outputs, _ = predict(
            predictor, images, tmp_path / "out", resume=True, watch=lambda *_: seen.append(1)
        )
        assert len(outputs) == 3
        assert not seen


def test_where_objects_cannot_be_told_apart_others_are_found_in_what_is_predicted(
    disc_run, predictor, images, tmp_path, monkeypatch
):
    def sprawling(*_, **__):
        raise ConfigError(found="a clump", expected="a smaller one", fix="raise objects.threshold (--set)")

    out, wanted, seen = tmp_path / "out", Wanted(objects=("csv",)), []
    with monkeypatch.context() as patch:
        patch.setattr("uvala.prediction.large.objects_in_blocks", sprawling)
        _, (failure,) = predict(predictor, images / "a.npy", out, wanted)
    assert "(--set); what is predicted of it stays in" in str(failure.error)
    other = cut_small(disc_run.path)
    settings = other.card.objects.settings.model_copy(update={"threshold": 0.7})
    objects = other.card.objects.model_copy(update={"settings": settings})
    other.card = other.card.model_copy(update={"objects": objects})
    options = {"resume": True, "watch": lambda *_: seen.append(1)}
    (output,), _ = predict(other, images / "a.npy", out, wanted, **options)
    assert output.objects == expected(other, images / "a.npy").objects.max()
    assert not seen


def test_what_a_reader_keeps_is_let_go_before_the_files_are_written(predictor, images, tmp_path, monkeypatch):
    readers, kept, write = [], [], LargePrediction.write

    class Known(Chunks):
        def __init__(self, *given):
            super().__init__(*given)
            readers.append(self)

    def written(large):
        kept.append(readers[0]._bytes)
        return write(large)

    monkeypatch.setattr("uvala.images.chunks.Chunks", Known)
    monkeypatch.setattr("uvala.prediction.folder.open_image", partial(open_image, at_once=0))
    monkeypatch.setattr(LargePrediction, "write", written)
    zarr.create_array(store=tmp_path / "a.zarr", data=np.load(images / "a.npy"), chunks=(50, 50))
    predict(predictor, tmp_path / "a.zarr", tmp_path / "out", Wanted(overlays=True))
    assert kept == [0]
    assert readers[0]._bytes > 0  # the overlay shows the image once more


def test_an_image_whose_chunks_changed_in_place_is_predicted_again(predictor, images, tmp_path):
    values = np.load(images / "a.npy")
    stored = zarr.create_array(store=tmp_path / "a.zarr", data=values, chunks=(50, 50))
    predict(predictor, tmp_path / "a.zarr", tmp_path / "out")
    stored[:50, :50] = values[50:, :50]
    values[:50, :50] = values[50:, :50]
    (output,), _ = predict(predictor, tmp_path / "a.zarr", tmp_path / "out", resume=True)
    assert not output.resumed
    assert_array_equal(tifffile.imread(output.mask), predictor(values[None]).encoded)


def test_names_that_are_no_utf_8_are_names(predictor, images, tmp_path):
    name = os.fsdecode(b"caf\xe9")
    (images / "b.npy").rename(images / f"{name}.npy")
    wanted = Wanted(objects=("labels", "geojson", "csv", "coco"), overlays=True)
    _, failures = predict(predictor, images, tmp_path / "out", wanted)
    assert not failures
    outputs, _ = predict(predictor, images, tmp_path / "out", wanted, resume=True)
    assert all(output.resumed for output in outputs)
    listed = json.loads((tmp_path / "out/objects/coco.json").read_text())["images"]
    assert f"{name}.npy" in [each["file_name"] for each in listed]
