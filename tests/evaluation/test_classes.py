"""The pixel scores of classes over all images together, and how sure they are."""

import numpy as np
import pytest

from uvala.evaluation.evaluate import evaluate

NAMES = ("background", "cell", "rare")


def image(rng, *, rare=False):
    """Prediction and truth: two classes with errors, and a third one, badly found, where asked for."""
    truth = (rng.random((16, 16)) < 0.5).astype(np.uint8)
    wrong = rng.random((16, 16)) < 0.05
    prediction = np.where(wrong, 1 - truth, truth).astype(np.uint8)
    if rare:
        truth[0], prediction[0, : rng.integers(6, 13)] = 2, 2
    return prediction, truth


def scored(count, rare):
    """Scores of images, the first `rare` of which hold the rare class."""
    rng = np.random.default_rng(0)
    cases = [(f"{place}", *image(rng, rare=place < rare)) for place in range(count)]
    return evaluate(cases, NAMES, "test", settings={"outlines": False, "task": "semantic", "resamples": 500})


class TestMeans:
    """Mean Dice and mean IoU of the classes."""

    def test_their_interval_is_that_of_a_mean_over_the_same_classes(self):
        found = scored(20, rare=2)
        rare = found.classes[2].dice
        # where the rare class is not drawn, the mean of the other two would be higher than any with it
        others = [score.dice for score in found.classes[:2]]
        for value, interval in (
            (found.mean_dice, found.mean_dice_interval),
            (found.mean_iou, found.mean_iou_interval),
        ):
            assert interval[0] < value < interval[1]
        assert rare < min(others)
        assert found.mean_dice_interval[1] < np.mean(others) - 0.02

    def test_a_class_that_no_image_holds_changes_nothing(self):
        found = scored(20, rare=0)
        assert found.mean_dice_interval[0] < found.mean_dice < found.mean_dice_interval[1]


class TestRareClass:
    """A class that few images hold."""

    @pytest.mark.parametrize("images", [1, 4])
    def test_has_no_interval_however_many_images_lack_it(self, images):
        assert scored(20, rare=images).classes[2].dice_interval is None

    def test_has_one_from_five_images_on(self):
        low, high = scored(20, rare=5).classes[2].dice_interval
        assert low <= scored(20, rare=5).classes[2].dice <= high
