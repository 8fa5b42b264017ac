"""Objects in pictures: what went wrong with each, on arrays small enough to read."""

import numpy as np
import pytest

from uvala.report.objects import OBJECT_COLOURS, compare, object_overlay, paint_kinds

KINDS = list(OBJECT_COLOURS)


def strip(numbers):
    """Objects of 3 rows from one row of numbers: int32 [3, W]."""
    return np.tile(np.array(numbers, np.int32), (3, 1))


def kinds(true, predicted, ignored=()):
    """What happened in each column, in words."""
    truth = (strip(true) > 0).astype(np.uint8)
    truth[:, list(ignored)] = 255
    found = compare(truth, strip(true), strip(predicted))
    return [KINDS[place] for place in found.kinds[1]]


class TestKinds:
    @pytest.mark.parametrize(
        ("true", "predicted", "expected"),
        [
            ([0, 1, 1, 0], [0, 7, 7, 0], ["no object", "found", "found", "no object"]),
            ([0, 1, 1, 0], [0, 0, 0, 0], ["no object", "missed", "missed", "no object"]),
            ([0, 0, 0, 0], [0, 5, 5, 0], ["no object", "spurious", "spurious", "no object"]),
            ([1, 1, 1, 1], [3, 3, 4, 4], ["split"] * 4),
            ([1, 1, 2, 2], [3, 3, 3, 3], ["merged"] * 4),
        ],
    )
    def test_each_kind_of_error_is_told_from_the_others(self, true, predicted, expected):
        assert kinds(true, predicted) == expected

    def test_ignored_pixels_are_neither_right_nor_wrong(self):
        assert kinds([0, 1, 1, 0], [0, 0, 0, 9], ignored=[3]) == ["no object", "missed", "missed", "ignored"]

    def test_numbers_of_objects_may_be_anything(self):
        assert kinds([0, 2_000_000_000, 0, 5], [0, 1_999_999_999, 0, 0])[1] == "found"

    def test_nothing_at_all_is_no_object(self):
        assert kinds([0, 0], [0, 0]) == ["no object"] * 2


class TestTints:
    def test_a_found_object_has_the_colour_of_the_true_one(self):
        true, predicted = strip([1, 1, 0, 2, 2]), strip([9, 9, 0, 4, 4])
        found = compare((true > 0).astype(np.uint8), true, predicted)
        assert (found.tints == found.true_tints).all()
        assert found.tints[0, 0] != found.tints[0, 3]

    def test_both_pieces_of_a_split_object_have_its_colour(self):
        true, predicted = strip([1, 1, 2, 2]), strip([5, 6, 7, 7])
        found = compare((true > 0).astype(np.uint8), true, predicted)
        assert found.tints[0].tolist() == found.true_tints[0].tolist()


class TestWords:
    def test_errors_are_counted(self):
        true, predicted = strip([1, 1, 0, 2, 2, 0, 3]), strip([4, 5, 0, 0, 0, 6, 7])
        found = compare((true > 0).astype(np.uint8), true, predicted)
        assert found.words == "3 true objects: 1 missed, 1 spurious and 1 split."

    def test_no_error_is_said(self):
        true = strip([1, 0, 2])
        words = compare((true > 0).astype(np.uint8), true, true).words
        assert words == "2 true objects, and none missed, spurious, split or merged."


def test_pieces_of_a_split_object_are_parted_by_a_seam():
    true, predicted = np.ones((9, 10), np.int32), np.repeat([[3], [4]], [5, 5], axis=0).T.repeat(9, axis=0)
    picture = paint_kinds(np.full((9, 10), KINDS.index("split"), np.uint8), true, predicted.astype(np.int32))
    assert (picture[4, 5] == (16, 17, 20)).all()
    assert (picture[4, 4] == OBJECT_COLOURS["split"]).all()


def test_the_image_shows_where_there_is_no_object():
    image = np.full((1, 3, 4), 200, np.uint8)
    objects = strip([0, 0, 1, 1])
    picture = object_overlay(image, objects, objects.astype(np.uint8))
    assert (picture[:, :2] == 200).all()
    assert (picture[:, 2:] != 200).any(axis=2).all()


def test_where_nothing_counts_no_outline_is_drawn():
    true = np.ones((9, 9), np.int32)
    kinds_of = np.full((9, 9), KINDS.index("found"), np.uint8)
    kinds_of[:, :4] = KINDS.index("ignored")
    picture = paint_kinds(kinds_of, np.pad(true[1:-1, 1:-1], 1), true)
    assert (picture[:, :4] == OBJECT_COLOURS["ignored"]).all()
    assert (picture[1, 5] == 255).all()
