"""Images that are predicted block by block."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from predictions import (
    cut_small,
    images_are_large,
    killed_while_predicting,
    wait_for_a_block,
    write_image,
)
from uvala.api.predicting import predict_paths
from uvala.data.masks import ClassEntry, MaskEncoding
from uvala.errors import ImageError, StorageError
from uvala.images.lazy import open_image
from uvala.instances.config import ObjectConfig
from uvala.prediction.folder import Failure, find_inputs, predict_files
from uvala.prediction.layers import layers_of
from uvala.prediction.wanted import Wanted
from uvala.tiling.test_time_config import TestTimeConfig

SIZE = (150, 210)
EVERYTHING = Wanted(
    probabilities=True,
    uncertainty=True,
    precision="float32",
    overlays=True,
    objects=("labels", "geojson", "csv", "coco"),
)


@pytest.fixture(scope="module")
def predictor(disc_run):
    return cut_small(disc_run.path)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    return write_image(tmp_path_factory.mktemp("large") / "big.npy", SIZE)


@pytest.fixture(scope="module")
def in_memory(predictor, image):
    return predictor(np.load(image)[None])


def predict_large(predictor, image, out, wanted, **options):
    with images_are_large():
        (result,) = predict_files(predictor, find_inputs([image]), out, wanted=wanted, **options)
    return result


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder of predictions, but for its record, which has times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def out(predictor, image, tmp_path_factory):
    """A folder with everything that can be written of the image."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with images_are_large():
        (result,), _ = predict_paths(predictor, [image], out, EVERYTHING)
    assert result.classes == (0, 1)
    return out


class TestFiles:
    """What is written of a large image is what is written of the same image in memory."""

    def test_masks(self, out, in_memory):
        assert_array_equal(tifffile.imread(out / "big.tif"), in_memory.encoded)

    def test_probabilities(self, out, in_memory):
        assert_allclose(tifffile.imread(out / "probabilities/big.tif"), in_memory.probabilities, atol=1e-6)

    def test_uncertainty(self, out, in_memory):
        assert_allclose(tifffile.imread(out / "uncertainty/big.tif"), in_memory.uncertainty, atol=1e-5)

    def test_objects(self, out, in_memory):
        assert_array_equal(tifffile.imread(out / "objects/big.tif"), in_memory.objects)

    def test_measurements(self, predictor, image, out, tmp_path):
        list(predict_files(predictor, find_inputs([image]), tmp_path, wanted=EVERYTHING))
        large, small = (
            list(csv.DictReader((folder / "objects/big.csv").read_text().splitlines()))
            for folder in (out, tmp_path)
        )
        assert large[0].keys() == small[0].keys()
        for one, other in zip(large, small, strict=True):
            for name in ("label", "area_px", "top", "left", "intensity_mean"):
                assert one[name] == other[name]
            assert float(one["score"]) == pytest.approx(float(other["score"]), abs=1e-6)

    def test_run_lengths(self, predictor, image, out, tmp_path):
        list(predict_files(predictor, find_inputs([image]), tmp_path, wanted=Wanted(objects=("coco",))))
        large, small = (json.loads((folder / "objects/coco.json").read_text()) for folder in (out, tmp_path))
        for one, other in zip(large["annotations"], small["annotations"], strict=True):
            assert one.pop("score") == pytest.approx(other.pop("score"), abs=1e-6)
        assert large == small

    def test_overlays(self, out, in_memory):
        assert_array_equal(np.array(Image.open(out / "overlays/big.png")), in_memory.overlay())

    def test_nothing_else_is_left(self, out):
        assert [path for path in out.rglob(".*")] == []


@pytest.mark.parametrize("form", ["png", "tiff", "zarr"])
def test_masks_of_all_forms_hold_the_same(predictor, image, in_memory, tmp_path, form):
    result = predict_large(predictor, image, tmp_path, Wanted(format=form))
    read = {
        "png": lambda path: np.array(Image.open(path)),
        "tiff": tifffile.imread,
        "zarr": lambda path: zarr.open_group(path, mode="r")["0"][:],
    }[form]
    assert_array_equal(read(result.mask), in_memory.encoded)


@pytest.mark.parametrize(
    ("precision", "off"), [("uint8", 0.502 / 255), ("float16", 5e-4), ("auto", 0.502 / 255)]
)
def test_probabilities_may_be_stored_in_few_bits(predictor, image, in_memory, tmp_path, precision, off):
    wanted = Wanted(format="zarr", probabilities=True, precision=precision)
    predict_large(predictor, image, tmp_path, wanted)
    stored = zarr.open_group(tmp_path / "probabilities/big.zarr", mode="r")["0"][:]
    expected = in_memory.probabilities * (255 if stored.dtype == np.uint8 else 1)
    assert_allclose(stored, expected, rtol=0, atol=off * (255 if stored.dtype == np.uint8 else 1))


@pytest.mark.parametrize("kind", ["colours", "instances"])
def test_masks_are_spelt_as_those_trained_on(predictor, image, in_memory, tmp_path, kind):
    card = predictor.card
    values = ((0x102030,), (0xFFEEDD,)) if kind == "colours" else ((0,), (1,))
    classes = tuple(ClassEntry(name=str(index), values=each) for index, each in enumerate(values))
    encoding = MaskEncoding(kind=kind, classes=classes, dtype="uint8" if kind == "colours" else "uint16")
    predictor.card = card.model_copy(update={"encoding": encoding})
    try:
        result = predict_large(predictor, image, tmp_path, Wanted())
    finally:
        predictor.card = card
    objects = in_memory.objects if kind == "instances" else None
    assert_array_equal(tifffile.imread(result.mask), encoding.encode(in_memory.mask, objects))


def test_overlays_show_the_objects_where_masks_number_them(predictor, image, in_memory, tmp_path):
    card = predictor.card
    classes = tuple(ClassEntry(name=str(value), values=(value,)) for value in (0, 1))
    encoding = MaskEncoding(kind="instances", classes=classes, dtype="uint16")
    settings = card.objects.settings.model_copy(update={"min_size": 150, "threshold": 0.7})
    objects = card.objects.model_copy(update={"settings": settings})
    predictor.card = card.model_copy(update={"encoding": encoding, "objects": objects})
    try:
        predict_large(predictor, image, tmp_path, Wanted(overlays=True))
        expected = predictor(np.load(image)[None]).overlay()
    finally:
        predictor.card = card
    assert_array_equal(np.array(Image.open(tmp_path / "overlays/big.png")), expected)
    assert (expected != in_memory.overlay()).any()


def test_what_is_kept_of_an_image_does_not_depend_on_the_method(predictor):
    card = predictor.card
    learnt = card.network.model_copy(update={"objects": "distance"})

    def layers(method):
        found = card.objects.model_copy(update={"settings": ObjectConfig(method=method)})
        changed = card.model_copy(update={"network": learnt, "objects": found})
        return layers_of(SimpleNamespace(card=changed, votes=1), EVERYTHING)

    assert layers("distance") == layers("components") == layers("watershed")
    assert "distance" in layers("components")


def test_views_that_disagree_are_told(disc_run, image, tmp_path):
    predictor = cut_small(disc_run.path)
    predictor.card = predictor.card.model_copy(update={"test_time": TestTimeConfig(flip_horizontal=True)})
    predict_large(predictor, image, tmp_path, Wanted(uncertainty=True, precision="float32"))
    expected = predictor(np.load(image)[None], spread=True)
    entropy, disagreement = tifffile.imread(tmp_path / "uncertainty/big.tif")
    assert_allclose(entropy, expected.uncertainty, rtol=0, atol=1e-5)
    assert_allclose(disagreement, expected.disagreement, rtol=0, atol=1e-5)


class TestInterrupted:
    """A prediction that was stopped goes on where it was, and its files are those of one that was not."""

    def interrupt(self, predictor, image, out, blocks):
        def watch(pixels, share):
            seen.append(pixels)
            if len(seen) == blocks:
                wait_for_a_block(out)
                raise KeyboardInterrupt

        seen = []
        with images_are_large(), pytest.raises(KeyboardInterrupt):
            predict_paths(predictor, [image], out, EVERYTHING, watch=watch)

    def resume(self, predictor, image, out):
        pixels = []
        with images_are_large():
            outputs, failures = predict_paths(
                predictor,
                [image],
                out,
                EVERYTHING,
                resume=True,
                watch=lambda more, share: pixels.append(more),
            )
        assert len(outputs) == 1
        assert not failures
        return sum(pixels)

    @pytest.mark.parametrize("blocks", [1, 7])
    def test_by_an_exception(self, predictor, image, out, tmp_path, blocks):
        self.interrupt(predictor, image, tmp_path / "out", blocks)
        predicted = self.resume(predictor, image, tmp_path / "out")
        assert predicted < SIZE[0] * SIZE[1]
        assert contents(tmp_path / "out") == contents(out)

    def test_by_a_kill(self, disc_run, predictor, image, out, tmp_path):
        assert killed_while_predicting(disc_run.path, image, tmp_path / "out", EVERYTHING, blocks=5)
        assert self.resume(predictor, image, tmp_path / "out") < SIZE[0] * SIZE[1]
        assert contents(tmp_path / "out") == contents(out)

    def test_while_files_are_written(self, predictor, image, out, tmp_path, monkeypatch):
        def cut(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("uvala.prediction.large.LargePrediction._write_overlay", cut)
            with images_are_large(), pytest.raises(KeyboardInterrupt):
                predict_paths(predictor, [image], tmp_path / "out", EVERYTHING)
        assert self.resume(predictor, image, tmp_path / "out") == 0
        assert contents(tmp_path / "out") == contents(out)

    @pytest.mark.parametrize("at", ["folder.Record.add", "large.Stage.remove"])
    def test_between_the_files_and_the_removal_of_the_stage(
        self, predictor, image, out, tmp_path, monkeypatch, at
    ):
        def cut(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"uvala.prediction.{at}", cut)
            with images_are_large(), pytest.raises(KeyboardInterrupt):
                predict_paths(predictor, [image], tmp_path / "out", EVERYTHING)
        assert self.resume(predictor, image, tmp_path / "out") == 0
        assert contents(tmp_path / "out") == contents(out)

    def test_goes_on_with_tiles_of_another_size(self, disc_run, predictor, image, out, tmp_path):
        self.interrupt(predictor, image, tmp_path / "out", 7)
        larger = cut_small(disc_run.path, size=128)
        assert self.resume(larger, image, tmp_path / "out") < SIZE[0] * SIZE[1]
        for name in ("big.tif", "objects/big.tif"):
            masks = (tifffile.imread(folder / name) for folder in (tmp_path / "out", out))
            assert_array_equal(*masks)

    def test_by_blended_tiles_of_another_size_is_refused(self, disc_run, image, tmp_path):
        small, larger = (cut_small(disc_run.path, size=size, mode="blended") for size in (64, 128))
        self.interrupt(small, image, tmp_path / "out", 2)
        with images_are_large(), pytest.raises(StorageError, match="another --memory or --set tiles"):
            predict_paths(larger, [image], tmp_path / "out", EVERYTHING, resume=True)

    def test_without_a_record_by_blended_tiles_of_another_size_begins_anew_and_says_so(
        self, disc_run, image, tmp_path
    ):
        small, larger = (cut_small(disc_run.path, size=size, mode="blended") for size in (64, 128))
        self.interrupt(small, image, tmp_path / "out", 2)
        result = predict_large(larger, image, tmp_path / "out", EVERYTHING)
        assert "begun anew, since what was done before" in result.notes[-1]

    def test_goes_on_with_an_image_that_lies_elsewhere_now(self, predictor, image, out, tmp_path):
        self.interrupt(predictor, image, tmp_path / "out", 7)
        moved = tmp_path / "moved" / image.name
        moved.parent.mkdir()
        shutil.copy2(image, moved)
        assert self.resume(predictor, moved, tmp_path / "out") < SIZE[0] * SIZE[1]
        assert_array_equal(tifffile.imread(tmp_path / "out/big.tif"), tifffile.imread(out / "big.tif"))

    def test_leaves_nothing_behind_where_the_image_is_predicted_in_memory_after_all(
        self, predictor, image, tmp_path
    ):
        self.interrupt(predictor, image, tmp_path / "out", 4)
        assert list((tmp_path / "out").glob(".*.stage"))
        predict_paths(predictor, [image], tmp_path / "out", EVERYTHING, resume=True)
        assert not list((tmp_path / "out").glob(".*.stage"))

    def test_of_an_image_that_changed_since_begins_anew(self, predictor, image, tmp_path):
        copy = tmp_path / "big.npy"
        copy.write_bytes(image.read_bytes())
        self.interrupt(predictor, copy, tmp_path / "out", 4)
        write_image(copy, SIZE, seed=5)
        assert self.resume(predictor, copy, tmp_path / "out") == SIZE[0] * SIZE[1]


def test_an_image_with_other_channels_is_passed_over(predictor, tmp_path):
    np.save(tmp_path / "colour.npy", np.arange(90 * 90 * 3, dtype=np.uint16).reshape(90, 90, 3))
    result = predict_large(predictor, tmp_path / "colour.npy", tmp_path / "out", Wanted())
    assert isinstance(result, Failure)
    assert "an image of 3 channels; expected 1" in str(result.error)
    assert not list((tmp_path / "out").iterdir())


def test_damage_that_shows_while_reading_is_told_of_the_file(predictor, tmp_path, monkeypatch):
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
    tifffile.imwrite(path, noise, tile=(64, 64), compression="deflate")
    content = bytearray(path.read_bytes())
    content[40000:45000] = bytes(5000)
    path.write_bytes(content)
    monkeypatch.setattr("uvala.prediction.folder.open_image", partial(open_image, at_once=0))
    result = predict_large(predictor, path, tmp_path / "out", Wanted())
    assert isinstance(result, Failure)
    assert isinstance(result.error, ImageError)
    assert "cut.tif" in str(result.error)
