"""Where patches can be centred: a few pixels of each class, one of each object."""

import numpy as np
import pytest

import uvala.data.patch_places
from uvala.arrays import IGNORE
from uvala.data.patch_places import class_places, object_places


class TestClassPlaces:
    def test_each_class_has_places_of_its_own(self):
        classes = np.random.default_rng(0).choice([0, 1, 4, IGNORE], size=(50, 60)).astype(np.uint8)
        places = class_places(classes)
        assert [set(classes.ravel()[each]) for each in places] == [{0}, {1}, {4}]

    def test_of_few_pixels_all_are_remembered(self):
        classes = np.zeros((100, 100), np.uint8)
        classes[3, 40:47] = 1
        np.testing.assert_array_equal(class_places(classes)[1], 340 + np.arange(7))

    def test_of_many_pixels_some_are_from_everywhere(self):
        (places,) = class_places(np.zeros((400, 500), np.uint8))
        assert len(np.unique(places)) == len(places) == 2000
        quarters = np.bincount(places // 50_000, minlength=4)  # of 100 rows each; 500 expected, deviation 19
        assert abs(quarters - 500).max() < 4 * 19

    def test_an_image_of_any_size_is_looked_at_in_bands(self, monkeypatch):
        classes = np.random.default_rng(0).integers(0, 3, (90, 120)).astype(np.uint8)
        expected = class_places(classes)
        monkeypatch.setattr(uvala.data.patch_places, "_BAND", 1000)
        for found, whole in zip(class_places(classes), expected, strict=True):
            np.testing.assert_array_equal(found, whole)

    def test_where_all_is_to_be_ignored_there_are_none(self):
        assert class_places(np.full((5, 5), IGNORE, np.uint8)) == ()


class TestObjectPlaces:
    def test_each_object_has_one_in_its_middle(self):
        classes = np.zeros((20, 30), np.uint8)
        classes[2:5, 3:6] = 1
        classes[10:15, 20:25] = 1
        np.testing.assert_array_equal(object_places(classes, None), [3 * 30 + 4, 12 * 30 + 22])

    def test_objects_that_touch_are_two_where_they_are_numbered(self):
        labels = np.zeros((10, 10), np.int32)
        labels[4:7, 1:4], labels[4:7, 4:7] = 7, 900
        classes = (labels > 0).astype(np.uint8)
        assert object_places(classes, labels).tolist() == [52, 55]
        assert len(object_places(classes, None)) == 1

    def test_of_several_classes_each_has_its_objects(self):
        classes = np.zeros((9, 9), np.uint8)
        classes[1, 1], classes[1, 2], classes[7, 7] = 1, 2, 2
        assert sorted(object_places(classes, None).tolist()) == [10, 11, 70]

    def test_what_is_to_be_ignored_is_no_object(self):
        classes = np.full((9, 9), IGNORE, np.uint8)
        classes[4:] = 0
        labels = np.zeros((9, 9), np.int32)
        labels[:3, :3] = 1
        assert len(object_places(classes, None)) == len(object_places(classes, labels)) == 0

    def test_more_than_4096_are_drawn_from_evenly(self):
        classes = np.zeros((200, 200), np.uint8)
        classes[::2, ::2] = 1  # 10,000 objects of a pixel
        places = object_places(classes, None)
        assert len(np.unique(places)) == 4096
        halves = np.bincount(places // 20_000)  # 2048 expected, deviation 25
        assert abs(halves - 2048).max() < 4 * 25

    @pytest.mark.parametrize("numbered", [True, False])
    def test_an_image_of_any_size_is_looked_at_in_squares(self, monkeypatch, numbered):
        monkeypatch.setattr(uvala.data.patch_places, "_BLOCK", 10)
        classes = np.zeros((20, 30), np.uint8)
        classes[2:5, 3:6] = 1
        classes[12:15, 8:13] = 1  # two columns in one square, three in the next
        labels = classes.astype(np.int32) if numbered else None
        assert sorted(object_places(classes, labels).tolist()) == [3 * 30 + 4, 13 * 30 + 9, 13 * 30 + 11]
