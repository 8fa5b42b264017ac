"""The objects of predictions as files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from faster_coco_eval.core import mask as coco_masks
from numpy.testing import assert_array_equal

from uvala.data.masks import ClassEntry, MaskEncoding
from uvala.errors import UnknownNameError
from uvala.images.boxes import PixelFacts
from uvala.prediction.engine import Prediction
from uvala.prediction.objects import KINDS, ObjectFiles, object_kinds

FOREGROUND = np.array([[0.9, 0.7, 0, 0.6], [0, 0, 0, 0.8], [1, 0, 0, 0]], np.float32)
LABELS = [[1, 1, 0, 2], [0, 0, 0, 2], [3, 0, 0, 0]]
ENCODING = MaskEncoding(
    kind="values",
    classes=(ClassEntry(name="background", values=(0,)), ClassEntry(name="nucleus", values=(255,))),
)


def predicted(foreground):
    """A prediction of these probabilities of a nucleus for an image of noise."""
    probabilities = np.stack([1 - foreground, foreground])
    image = np.random.default_rng(0).integers(0, 255, (3, *foreground.shape), dtype=np.uint8)
    return Prediction(image, probabilities.argmax(axis=0).astype(np.uint8), probabilities, ENCODING)


@pytest.fixture
def folder(tmp_path):
    """What is written of two images, one with three objects and one with none."""
    files = ObjectFiles(tmp_path / "objects", KINDS, spacing=(0.5, 0.5), unit="um")
    counts = [
        files.write(Path("case/full"), "case/full.png", predicted(FOREGROUND)),
        files.write(Path("empty"), "empty.png", predicted(0 * FOREGROUND)),
    ]
    files.finish()
    assert counts == [3, 0]
    return tmp_path / "objects"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


class TestFiles:
    def test_each_image_has_a_file_of_each_kind_and_all_have_one_coco_file(self, folder):
        expected = [
            f"{name}.{suffix}" for name in ("case/full", "empty") for suffix in ("csv", "geojson", "tif")
        ]
        assert names(folder) == sorted(["coco.json", *expected])

    def test_labels_are_numbers_in_16_bits(self, folder):
        labels = tifffile.imread(folder / "case/full.tif")
        assert labels.dtype == np.uint16
        assert_array_equal(labels, LABELS)

    def test_labels_know_how_large_a_pixel_is(self, tmp_path):
        facts = PixelFacts(spacing=(0.25, 0.25), unit="um")
        ObjectFiles(tmp_path, ["labels"]).write(Path("a"), "a.png", predicted(FOREGROUND), facts)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            assert 'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"' in file.ome_metadata

    def test_the_table_has_a_row_per_object_with_its_score_in_the_unit_asked_for(self, folder):
        with (folder / "case/full.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [float(row["area_um2"]) for row in rows] == [0.5, 0.5, 0.25]
        np.testing.assert_allclose([float(row["score"]) for row in rows], [0.8, 0.7, 1], rtol=1e-6)

    def test_the_table_of_no_objects_is_its_header(self, folder):
        full, empty = ((folder / f"{name}.csv").read_text().splitlines() for name in ("case/full", "empty"))
        assert empty == full[:1]

    def test_polygons_are_named_after_the_class_and_carry_measurements(self, folder):
        features = json.loads((folder / "case/full.geojson").read_text())["features"]
        properties = [feature["properties"] for feature in features]
        assert [each["classification"]["name"] for each in properties] == ["nucleus"] * 3
        assert [each["measurements"]["area_px"] for each in properties] == [2, 2, 1]

    def test_coco_knows_all_images_and_every_object(self, folder):
        coco = json.loads((folder / "coco.json").read_text())
        assert [image["file_name"] for image in coco["images"]] == ["case/full.png", "empty.png"]
        assert [category["name"] for category in coco["categories"]] == ["nucleus"]
        for number, annotation in enumerate(coco["annotations"], start=1):
            assert_array_equal(coco_masks.decode(annotation["segmentation"]), np.equal(LABELS, number))

    def test_more_objects_than_16_bits_hold_get_32(self, tmp_path):
        foreground = np.zeros((520, 520), np.float32)
        foreground[::2, ::2] = 1  # 67600 pixels that do not touch
        files = ObjectFiles(tmp_path, ["labels"])
        assert files.write(Path("many"), "many.png", predicted(foreground)) == 260**2
        labels = tifffile.imread(tmp_path / "many.tif")
        assert (labels.dtype.itemsize, labels.max()) == (4, 260**2)

    @pytest.mark.parametrize("kind", KINDS)
    def test_only_what_was_asked_for_is_written(self, tmp_path, kind):
        files = ObjectFiles(tmp_path, [kind])
        files.write(Path("a"), "a.png", predicted(FOREGROUND))
        files.finish()
        expected = {"labels": "a.tif", "geojson": "a.geojson", "coco": "coco.json", "csv": "a.csv"}
        assert names(tmp_path) == [expected[kind]]

    def test_coco_of_no_images_is_a_file_without_any(self, tmp_path):
        ObjectFiles(tmp_path, ["coco"]).finish()
        assert json.loads((tmp_path / "coco.json").read_text())["images"] == []


class TestKinds:
    @pytest.mark.parametrize("asked", [["csv", "labels"], ["csv,labels"], [" Labels , csv", "csv,"]], ids=str)
    def test_may_be_repeated_or_joined_by_commas(self, asked):
        assert object_kinds(asked) == ("labels", "csv")

    def test_none_are_none(self):
        assert object_kinds([]) == object_kinds([""]) == ()

    def test_another_name_is_answered_with_the_nearest(self):
        with pytest.raises(UnknownNameError, match="did you mean 'geojson'"):
            object_kinds(["csv,geo-json"])
