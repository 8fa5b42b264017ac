import numpy as np

from uvala.arrays import IGNORE
from uvala.data.class_centroids import class_centroids, leanings_of
from uvala.plan.orientation import find_orientation, orientation_of

NAMES = ("ground", "sky")


def maps(count: int, seed: int = 0, sky_on_top: bool = True) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        classes = np.zeros((40, 30), np.uint8)
        if sky_on_top:
            classes[: rng.integers(8, 16)] = 1
        else:
            row, column = rng.integers(0, 30), rng.integers(0, 20)
            classes[row : row + 10, column : column + 10] = 1
        found.append(classes)
    return found


def test_sky_above_ground_means_up_and_down_differ():
    found = find_orientation(maps(20), NAMES)
    assert (found.vertical, found.horizontal) == (True, False)
    assert "'ground' lies towards the bottom in 100% of the images" in found.reason


def test_a_class_on_one_side_means_left_and_right_differ():
    found = find_orientation([each.T.copy() for each in maps(20)], NAMES)
    assert (found.vertical, found.horizontal) == (False, True)


def test_both_axes_are_looked_at():
    both = [np.where(np.arange(30) < 12, each, 2 * each).astype(np.uint8) for each in maps(20)]
    found = find_orientation(both, ("ground", "left sky", "right sky"))
    assert (found.vertical, found.horizontal) == (True, True)


def test_objects_anywhere_have_no_orientation():
    assert not find_orientation(maps(20, sky_on_top=False), NAMES).vertical


def test_too_few_images_prove_nothing():
    assert not find_orientation(maps(5), NAMES).vertical


def test_of_a_few_photographs_up_and_down_are_told_apart_all_the_same():
    leanings = leanings_of(class_centroids(each, 2) for each in maps(7))
    found = orientation_of(leanings, NAMES, photographs=True)
    assert (found.vertical, found.horizontal) == (True, False)
    assert found.reason.startswith("7 images with a class cannot tell")
    assert not orientation_of(leanings, NAMES).vertical


def test_enough_photographs_are_judged_by_their_masks():
    leanings = leanings_of(class_centroids(each, 2) for each in maps(20, sky_on_top=False))
    assert not orientation_of(leanings, NAMES, photographs=True).vertical


def test_ignored_pixels_have_no_place():
    with_sky = find_orientation(maps(20), NAMES)
    nothing = find_orientation([np.full((8, 8), IGNORE, np.uint8)] * 10, NAMES)
    assert (with_sky.vertical, nothing.vertical) == (True, False)
