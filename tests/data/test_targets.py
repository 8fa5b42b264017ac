"""What a network learns of objects."""

import numpy as np
import pytest

from drawn import write_touching_squares
from uvala.arrays import IGNORE
from uvala.data.dataset import read_dataset
from uvala.data.target_config import TargetConfig
from uvala.data.targets import make_target, require_objects
from uvala.errors import ConfigError
from uvala.instances.border import distance_map

DISTANCE = TargetConfig(objects="distance")


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    """Masks that number two squares of 6x6 which touch, and one that stands alone."""
    return read_dataset(write_touching_squares(tmp_path_factory.mktemp("squares")))


def target_of(dataset, **config):
    sample = dataset.samples[0]
    classes = dataset.classes(sample)
    return classes, make_target(dataset, sample, classes, TargetConfig(**config))


class TestMakeTarget:
    def test_classes_alone_are_left_as_they_are(self, squares):
        classes, target = target_of(squares)
        assert target.classes is classes
        assert target.maps.shape == (0, *classes.shape)

    def test_borders_are_a_class_of_their_own_between_objects_that_touch(self, squares):
        classes, target = target_of(squares, objects="borders")
        assert set(np.unique(target.classes)) == {0, 1, 2}
        np.testing.assert_array_equal(target.classes > 0, classes > 0)
        # rows 4..9; the squares meet between columns 9 and 10
        assert (target.classes[4:10, 9:11] == 2).all()
        assert (target.classes[5:9, 5:9] == 1).all()

    def test_the_distance_is_highest_inside_and_low_where_objects_touch(self, squares):
        classes, target = target_of(squares, objects="distance")
        assert target.maps.shape == (1, *classes.shape)
        np.testing.assert_array_equal(target.maps[0] > 0, classes > 0)
        assert target.maps[0].max() == 1
        assert target.maps[0][6, 9] < target.maps[0][6, 6]

    def test_weights_are_one_away_from_gaps_and_large_in_them(self, squares):
        _, target = target_of(squares, objects="weights")
        weights = target.maps[0]
        assert weights[6, 6] == pytest.approx(1)
        assert weights[7, 17] > 3  # between the second square (to column 15) and the third (from 19)
        assert weights[31, 31] == pytest.approx(1, abs=0.2)

    def test_several_classes_of_objects_are_refused(self, squares):
        with pytest.raises(ConfigError, match="two classes"):
            require_objects(3, TargetConfig(objects="borders"))

    def test_objects_that_are_known_already_are_not_looked_for_again(self, squares):
        sample = squares.samples[0]
        classes, labels = squares.classes(sample), squares.instances(sample)
        known = make_target(squares, sample, classes, DISTANCE, labels=labels)
        np.testing.assert_array_equal(known.maps, make_target(squares, sample, classes, DISTANCE).maps)
        one = make_target(squares, sample, classes, DISTANCE, labels=(labels > 0).astype(np.int32))
        assert (one.maps[0][6, 9:11] > known.maps[0][6, 9:11]).all()  # where the two met before


class TestIgnoredPixels:
    def test_stay_ignored(self, tmp_path):
        data = read_dataset(write_touching_squares(tmp_path, ignore=True))
        classes, target = target_of(data, objects="borders")
        assert (classes == IGNORE).any()
        np.testing.assert_array_equal(target.classes == IGNORE, classes == IGNORE)

    def test_are_no_border_of_an_object_beside_them(self, squares):
        sample = squares.samples[0]
        classes = squares.classes(sample).copy()
        classes[4:10, 3] = IGNORE  # to the left of the first square
        target = make_target(squares, sample, classes, TargetConfig(objects="borders")).classes
        assert (target[4:10, 4] == IGNORE).all()
        assert (target[4, 5:10] == 2).all()

    @pytest.mark.parametrize("columns", [3, 4, 7, 9], ids=str)
    def test_are_like_the_edge_of_the_image_to_the_distance(self, squares, columns):
        sample = squares.samples[0]
        classes, labels = squares.classes(sample).copy(), squares.instances(sample)
        classes[:, :columns] = IGNORE  # up to the first square, which begins at 4, and of it all but a column
        target = make_target(squares, sample, classes, DISTANCE)
        np.testing.assert_allclose(target.maps[0][:, columns:], distance_map(labels[:, columns:]))

    def test_are_no_outline_to_the_distance_of_an_object_beside_them(self, squares):
        sample = squares.samples[0]
        classes = squares.classes(sample).copy()
        before = make_target(squares, sample, classes, DISTANCE).maps[0]
        classes[4:10, 2:4] = IGNORE  # to the left of the first square
        beside = make_target(squares, sample, classes, DISTANCE).maps[0]
        assert (beside[6:8, 4] > before[6:8, 4]).all()
        np.testing.assert_array_equal(beside[:, 10:], before[:, 10:])

    def test_may_be_all_that_there_is(self, squares):
        sample = squares.samples[0]
        classes = np.full_like(squares.classes(sample), IGNORE)
        assert np.isfinite(make_target(squares, sample, classes, DISTANCE).maps).all()
