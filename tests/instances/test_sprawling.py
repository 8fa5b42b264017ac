"""An object that is described square by square is the object that is described as a whole."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from uvala.arrays import Box, Size
from uvala.instances import large, sprawling
from uvala.instances.coco import annotations_of
from uvala.instances.large import write_large_objects
from uvala.instances.measure import measure_objects
from uvala.instances.sprawling import Sprawling, measure_sprawling

MICROSCOPE = {"spacing": (0.3, 0.3), "unit": "um"}
MAP = {"spacing": (0.5, 0.7), "unit": "m"}
SHAPES = {
    "a pixel": np.ones((1, 1), bool),
    "a line": np.ones((1, 40), bool),
    "a slanted line": np.eye(33, dtype=bool),
    "a square": np.ones((20, 20), bool),
    "a frame": np.pad(np.zeros((30, 20), bool), 3, constant_values=True),
    "two parts": np.repeat(np.array([[True, False, True]]), 20, axis=1).repeat(9, axis=0),
}


@pytest.fixture(autouse=True)
def _small_squares(monkeypatch):
    monkeypatch.setattr(sprawling, "_SIDE", 16)
    monkeypatch.setattr(sprawling, "_IN_A_STRIP", 200)


def blob(seed):
    """The pixels of a ragged object, bool, none of whose edges is empty."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=rng.integers(20, 90, 2)), rng.choice([0.5, 2, 5]))
    mask = noise > np.quantile(noise, rng.uniform(0.2, 0.8))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def found_in(labels):
    rows, columns = np.nonzero(labels)
    box = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    return Sprawling(box, lambda part: labels[part.slices] > 0)


def assert_described_alike(mask, margins, **options):
    rng = np.random.default_rng(1)
    labels = np.pad(mask, margins).astype(np.int32)
    image = rng.normal(100, 9, (2, *labels.shape)).astype(np.float32)
    foreground = rng.random(labels.shape, np.float32)
    expected = measure_objects(labels, image, foreground=foreground, **options)
    columns = measure_sprawling(
        found_in(labels),
        lambda box: image[:, *box.slices],
        lambda box: foreground[box.slices],
        spacing=options.get("spacing", (1.0, 1.0)),
        unit=options.get("unit", "px"),
        whole=Size(*labels.shape),
    )
    columns["label"] = expected["label"]
    assert list(columns) == list(expected)
    for name, values in expected.items():
        assert columns[name].dtype == values.dtype, name
        assert_allclose(columns[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("options", [{}, MICROSCOPE, MAP], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_all_that_is_measured_of_a_ragged_object(seed, options):
    assert_described_alike(blob(seed), ((seed, 5), (3, seed)), **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_that_is_measured_of_a_plain_one(shape):
    assert_described_alike(SHAPES[shape], 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_outline_covers_its_pixels(seed):
    labels = np.pad(blob(seed), 3).astype(np.int32)
    area = 0.0
    for polygon in found_in(labels).outline():
        for ring in (polygon.outer, *polygon.holes):
            x, y = ring.T.astype(float)
            area += (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2
    assert area == labels.sum()


class TestFiles:
    """As `write_large_objects` writes them."""

    @pytest.fixture
    def labels(self):
        """A ragged object, and a small one beside it."""
        ragged = blob(3)
        labels = np.zeros((ragged.shape[0] + 9, ragged.shape[1] + 20), np.int32)
        labels[4 : 4 + ragged.shape[0], 2 : 2 + ragged.shape[1]] = ragged
        labels[6:9, -5:] = 2
        return labels

    def written(self, folder, labels, boxes=None):
        annotations = []

        def image(box):
            if boxes is not None:
                boxes.append(box)
            return np.ones((1, box.height, box.width), np.uint8)

        count = write_large_objects(
            labels,
            class_name="tissue",
            table=folder / "t.csv",
            geojson=folder / "g.geojson",
            annotate=annotations.append,
            image=image,
            block=8,
        )
        assert count == 2
        features = json.loads((folder / "g.geojson").read_text())["features"]
        return (folder / "t.csv").read_text(), features, [json.loads(each) for each in annotations]

    def test_hold_the_same_numbers_and_run_lengths(self, tmp_path, labels, monkeypatch):
        table, features, annotations = self.written(tmp_path, labels)
        monkeypatch.setattr(large, "SPRAWLING", 500)
        assert (labels == 1).any(axis=1).sum() * (labels == 1).any(axis=0).sum() > 500
        in_squares = self.written(tmp_path, labels)
        for one, other in zip(table.splitlines()[1:], in_squares[0].splitlines()[1:], strict=True):
            for value, same in zip(one.split(","), other.split(","), strict=True):
                assert value == same or abs(float(value) - float(same)) < 1e-6
        assert table.splitlines()[0] == in_squares[0].splitlines()[0]
        assert annotations == in_squares[2] == annotations_of(labels)
        assert [each["properties"]["name"] for each in in_squares[1]] == ["1", "2"]
        assert in_squares[1][0]["geometry"]["type"] == "MultiPolygon"
        assert in_squares[1][1] == features[1]

    def test_are_made_from_no_more_than_a_square_at_a_time(self, tmp_path, labels, monkeypatch):
        monkeypatch.setattr(large, "SPRAWLING", 500)
        boxes = []
        self.written(tmp_path, labels, boxes)
        assert max(max(box.height, box.width) for box in boxes) <= 16


def test_run_lengths_go_on_from_a_column_to_the_next():
    labels = np.ones((20, 30), np.int32)
    labels[3:9, 7:20] = 0
    found, whole = found_in(labels), Size(20, 30)
    annotation = large.annotation_in_strips(found.strips(), 0.5, box=found.box, whole=whole)
    assert annotation == annotations_of(labels, [0.5])[0]
    assert_array_equal(annotation["bbox"], [0, 0, 30, 20])
