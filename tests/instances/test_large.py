"""Tables and outlines of large images are those of the whole image, to the last byte."""

import json

import numpy as np
import pytest
from scipy import ndimage

from uvala.errors import ShapeError
from uvala.instances.components import connected_components
from uvala.instances.filters import renumber
from uvala.instances.geojson import to_geojson
from uvala.instances.large import write_large_objects
from uvala.instances.measure import measure_objects, write_table

MICROSCOPE = {"spacing": (0.3, 0.3), "unit": "um"}


def random_labels(rng, shape):
    """Objects of all sizes, some of them in parts, numbered in the order of rows."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.choice([0.5, 1, 3]))
    labels = connected_components(noise > np.quantile(noise, rng.uniform(0.4, 0.95)))
    count = int(labels.max())
    groups = np.concatenate(
        [[0], rng.permutation(count) + 1 if rng.random() < 0.5 else rng.integers(1, count + 1, count)]
    )
    return renumber(groups[labels].astype(np.int32))


def in_memory(folder, labels, image, foreground, **options):
    columns = measure_objects(labels, image, foreground=foreground, **options)
    write_table(columns, folder / "a.csv")
    collection = to_geojson(labels, class_name="Zelle ä", measurements=columns)
    text = json.dumps(collection, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"
    return (folder / "a.csv").read_bytes(), text.encode()


def streamed(folder, labels, image, foreground, **options):
    table, geojson = folder / "b.csv", folder / "b.geojson"
    count = write_large_objects(
        labels,
        class_name="Zelle ä",
        table=table,
        geojson=geojson,
        image=None if image is None else lambda box: image[:, *box.slices],
        foreground=None if foreground is None else lambda box: foreground[box.slices],
        **options,
    )
    assert count == labels.max(initial=0)
    return table.read_bytes(), geojson.read_bytes()


@pytest.mark.parametrize("options", [{}, MICROSCOPE, {"spacing": (0.5, 0.7), "unit": "m"}], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_files_are_those_of_the_whole_image(tmp_path, seed, options):
    rng = np.random.default_rng(seed)
    for _ in range(3):
        labels = random_labels(rng, rng.integers(1, 90, 2))
        image = rng.normal(size=(2, *labels.shape)).astype(np.float32)
        foreground = rng.random(labels.shape, np.float32)
        expected = in_memory(tmp_path, labels, image, foreground, **options)
        assert (
            streamed(tmp_path, labels, image, foreground, block=int(rng.integers(1, 40)), **options)
            == expected
        )


def test_what_is_not_given_is_not_measured(tmp_path):
    labels = np.eye(9, dtype=np.int32)
    assert streamed(tmp_path, labels, None, None, block=4) == in_memory(tmp_path, labels, None, None)


@pytest.mark.parametrize("shape", [(9, 30), (0, 5)], ids=str)
def test_no_objects_are_a_header_and_a_collection_without_features(tmp_path, shape):
    labels, image = np.zeros(shape, np.int32), np.zeros((1, *shape), np.uint8)
    assert streamed(tmp_path, labels, image, None) == in_memory(tmp_path, labels, image, None)


def test_only_what_is_asked_for_is_written(tmp_path):
    write_large_objects(np.ones((3, 3), np.int32), class_name="a", table=tmp_path / "t.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]


def test_no_more_is_read_than_a_block_and_what_begins_in_it(tmp_path):
    dots = np.zeros((256, 256), bool)
    dots[2::8, 2::8] = dots[3::8, 2::8] = True
    boxes = []

    def image(box):
        boxes.append(box)
        return np.ones((1, box.height, box.width), np.uint8)

    write_large_objects(
        connected_components(dots), class_name="a", table=tmp_path / "t", image=image, block=32
    )
    assert max(max(box.height, box.width) for box in boxes) <= 32 + 1
    assert len(boxes) == 64


def test_numbers_that_are_not_in_the_order_of_rows_are_refused(tmp_path):
    for numbers in ([[2, 0], [0, 0], [1, 0]], [[1, 0], [0, 0], [3, 0]]):
        with pytest.raises(ShapeError, match="in the order in which rows meet them"):
            write_large_objects(np.array(numbers, np.int32), class_name="a", table=tmp_path / "t")
    assert not list(tmp_path.iterdir())
