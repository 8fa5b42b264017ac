"""Objects as COCO instances, against the COCO API's own masks."""

import json

import numpy as np
import pytest
from faster_coco_eval import COCO
from faster_coco_eval.core import mask as coco_masks
from numpy.testing import assert_array_equal
from scipy import ndimage

from uvala.arrays import Size
from uvala.errors import ShapeError
from uvala.instances.coco import CocoImage, add_to_coco, annotations_of, run_lengths, to_coco
from uvala.instances.components import connected_components
from uvala.instances.large import write_large_objects
from uvala.instances.measure import measure_objects


def random_labels(seed):
    """Small maps of all kinds; every tenth is enlarged, for run lengths of several letters."""
    random = np.random.default_rng(seed)
    shape = random.integers(1, 12, 2)
    labels = random.integers(0, random.integers(2, 6), shape) * (random.random(shape) < random.random())
    return labels if seed % 10 else np.kron(labels, np.ones((17, 23), int))


CASES = [
    np.zeros((4, 5), int),
    np.ones((4, 5), int),
    np.array([[3]]),
    np.array([[0, 0], [0, 1]]),
    np.zeros((0, 3), int),
    *map(random_labels, range(1000)),
]


def each_object(labels):
    numbers = np.unique(labels[labels > 0])
    return [np.asfortranarray(labels == number, np.uint8) for number in numbers]


def annotations(labels, **options):
    return to_coco([CocoImage("image.png", labels)], ["cell"], **options)["annotations"]


class TestMasks:
    """Nothing but the mask decides what is written, so it is the same in every program."""

    def test_strings_are_those_that_the_coco_api_writes(self):
        for labels in CASES:
            for mask, annotation in zip(each_object(labels), annotations(labels), strict=True):
                expected = coco_masks.encode(mask)["counts"]
                assert annotation["segmentation"]["counts"].encode() == expected

    def test_strings_are_read_as_the_objects(self):
        for labels in CASES:
            for mask, annotation in zip(each_object(labels), annotations(labels), strict=True):
                assert_array_equal(coco_masks.decode(annotation["segmentation"]), mask)

    def test_numbers_are_read_as_the_objects(self):
        for labels in CASES:
            found = annotations(labels, compressed=False)
            for mask, annotation in zip(each_object(labels), found, strict=True):
                rle = coco_masks.frPyObjects(annotation["segmentation"], *labels.shape)
                assert_array_equal(coco_masks.decode(rle), mask)

    def test_areas_and_boxes_are_those_of_the_coco_api(self):
        for labels in CASES:
            for mask, annotation in zip(each_object(labels), annotations(labels), strict=True):
                rle = coco_masks.encode(mask)
                assert annotation["area"] == coco_masks.area(rle)
                assert annotation["bbox"] == list(coco_masks.toBbox(rle))

    def test_runs_go_down_the_columns_and_begin_outside(self):
        labels = np.array([[1, 0, 1], [1, 1, 0]])
        assert [counts.tolist() for counts in run_lengths(labels)] == [[0, 2, 1, 2, 1]]


class TestParts:
    """What is cut out of an image is described as in the image."""

    @pytest.mark.parametrize("margin", [0, 1])
    def test_each_object_alone(self, margin):
        for labels in CASES:
            numbers = np.unique(labels[labels > 0])
            for number, expected in zip(numbers, annotations(labels), strict=True):
                left, top, width, height = expected["bbox"]
                corner = max(top - margin, 0), max(left - margin, 0)
                cut = labels[corner[0] : top + height + margin, corner[1] : left + width + margin] == number
                (found,) = annotations_of(cut.astype(int), corner=corner, whole=Size(*labels.shape))
                assert expected == expected | found

    @pytest.mark.parametrize("block", [7, 16, 100])
    def test_all_objects_of_a_large_image_in_their_order(self, block):
        rng = np.random.default_rng(block)
        labels = connected_components(ndimage.gaussian_filter(rng.normal(size=(60, 90)), 1) > 0.1)
        foreground = rng.random(labels.shape, np.float32)
        scores = measure_objects(labels, foreground=foreground)["score"]
        found: list[str] = []
        write_large_objects(
            labels,
            class_name="cell",
            annotate=found.append,
            foreground=lambda box: foreground[box.slices],
            block=block,
        )
        expected = to_coco([CocoImage("a.png", labels, scores)], ["cell"])["annotations"]
        ids = ({"id": each["id"], "image_id": 1} for each in expected)
        assert [each | json.loads(text) for each, text in zip(ids, found, strict=True)] == expected


class TestFile:
    """Images, annotations and categories, tied by ids from 1."""

    IMAGES = (
        CocoImage("a.png", np.array([[1, 1, 0], [0, 0, 5]]), scores=[0.25, 1], classes=[1, 0]),
        CocoImage("b.png", np.zeros((4, 4), int), scores=[]),
        CocoImage("c.png", np.array([[9]]), scores=[0.5]),
    )

    @pytest.fixture
    def collection(self):
        return to_coco(self.IMAGES, ["nucleus", "debris"])

    def test_each_image_is_listed_with_its_size(self, collection):
        assert collection["images"][0] == {"id": 1, "file_name": "a.png", "height": 2, "width": 3}
        assert [image["id"] for image in collection["images"]] == [1, 2, 3]

    def test_annotations_are_numbered_through_and_know_their_image(self, collection):
        found = [(each["id"], each["image_id"], each["category_id"]) for each in collection["annotations"]]
        assert found == [(1, 1, 2), (2, 1, 1), (3, 3, 1)]

    def test_scores_are_written_where_there_are_any(self, collection):
        assert [each["score"] for each in collection["annotations"]] == [0.25, 1, 0.5]
        assert "score" not in annotations(np.ones((2, 2), int))[0]

    def test_it_is_json(self, collection):
        assert json.loads(json.dumps(collection)) == collection

    def test_the_coco_api_opens_it(self, collection):
        coco = COCO(collection)
        assert coco.getImgIds() == [1, 2, 3]
        assert_array_equal(coco.annToMask(coco.loadAnns([1])[0]), [[1, 1, 0], [0, 0, 0]])

    def test_image_by_image_it_is_the_same(self, collection):
        grown = to_coco([], ["nucleus", "debris"])
        for image in self.IMAGES:
            add_to_coco(grown, image)
        assert grown == collection


@pytest.mark.parametrize(
    "options",
    [{"scores": [1, 2]}, {"classes": [0, 0]}, {"classes": [1]}, {"classes": [-1]}, {"classes": [0.0]}],
    ids=str,
)
def test_what_is_not_one_fitting_value_per_object_is_refused(options):
    with pytest.raises(ShapeError, match=r"one per object|places in a list of 1 categories"):
        to_coco([CocoImage("a.png", np.ones((2, 2), int), **options)], ["cell"])


def test_what_is_no_label_map_is_refused():
    with pytest.raises(ShapeError, match="expected object numbers"):
        to_coco([CocoImage("a.png", np.ones(3))], ["cell"])
