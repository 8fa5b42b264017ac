"""A result that is rarely what it seems is said in words."""

import numpy as np

from uvala.arrays import IGNORE
from uvala.evaluation.case import Case
from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.verdict import verdict

NAMES = ("background", "cell", "debris, other")


def scored(*pairs, names=NAMES):
    """Scores of images given as (prediction, truth), each a row of class indices."""
    cases = [
        (f"{index}.png", np.array([prediction], np.uint8), np.array([truth], np.uint8))
        for index, (prediction, truth) in enumerate(pairs)
    ]
    return evaluate(cases, names, "test")


def modelled(*pairs):
    """The same of a model, whose probabilities are those of its two classes."""
    rows = [(np.array([prediction], np.uint8), np.array([truth], np.uint8)) for prediction, truth in pairs]
    cases = [
        Case(f"{index}.png", truth, prediction, np.stack([1 - prediction, prediction]).astype(np.float32))
        for index, (prediction, truth) in enumerate(rows)
    ]
    return evaluate(cases, NAMES[:2], "test")


class TestVerdict:
    """Of pixels."""

    def test_an_ordinary_result_is_not_commented(self):
        good = scored(([0, 1, 1, 0], [0, 1, 0, 0]), ([0, 1, 1], [0, 1, 1]), ([0, 1], [1, 1]), names=NAMES[:2])
        assert verdict(good) == ()

    def test_one_class_predicted_everywhere(self):
        (sentence,) = verdict(modelled(([0, 0, 0, 0], [0, 1, 0, 0]), ([0, 0, 0], [1, 1, 0])))
        assert sentence.startswith(
            "The model predicts 'background' for every pixel of every image, although 42.9%"
        )
        assert "Train longer" in sentence

    def test_masks_that_no_model_made_are_not_told_to_train_longer(self):
        black = scored(([0, 0, 0, 0], [0, 1, 0, 0]), ([0, 0, 0], [1, 1, 0]), names=NAMES[:2])
        (sentence,) = verdict(black)
        assert sentence.startswith("The scored masks say 'background' for every pixel of every image")
        assert not {"train", "model", "learnt"} & set(sentence.lower().split())

    def test_a_class_that_is_never_predicted(self):
        blind = scored(([0, 1, 0, 0], [0, 1, 2, 0]), ([1, 0, 0], [1, 1, 0]))
        assert verdict(blind) == ("'debris, other' is never predicted, although it is 14.29% of the pixels.",)

    def test_a_class_that_is_predicted_without_being_there(self):
        dreaming = scored(([0, 1, 2, 0], [0, 1, 1, 0]), ([1, 0, 0], [1, 1, 0]))
        assert verdict(dreaming) == (
            "'debris, other' is predicted, although no mask of these images holds it.",
        )

    def test_masks_of_one_class_only(self):
        empty = scored(([0, 0], [0, 0]), ([0, 1], [0, 0]), names=NAMES[:2])
        assert "hold only 'background'" in verdict(empty)[0]

    def test_exchanged_classes(self):
        pairs = ([1, 1, 0, 1], [0, 0, 1, 0]), ([1, 0, 0], [0, 1, 0])
        for swapped, theirs in ((scored(*pairs, names=NAMES[:2]), "scored"), (modelled(*pairs), "training")):
            assert "seem to be exchanged" in verdict(swapped)[0]
            assert theirs in verdict(swapped)[0]

    def test_the_same_dice_on_every_image(self):
        constant = scored(*[([0, 1, 1, 0], [0, 1, 0, 1])] * 3, names=NAMES[:2])
        assert verdict(constant)[0].startswith("All 3 images score the same Dice of 0.500")

    def test_a_perfect_score_on_every_image(self):
        perfect = scored(*[([0, 1], [0, 1])] * 3, names=NAMES[:2])
        assert verdict(perfect)[0].startswith("All 3 images score a perfect Dice of 1: make sure")

    def test_two_images_are_too_few_to_call_a_dice_constant(self):
        assert verdict(scored(*[([0, 1], [0, 1])] * 2, names=NAMES[:2])) == ()

    def test_nothing_but_ignored_pixels(self):
        assert verdict(scored(([0, 1], [IGNORE, IGNORE])))[0].startswith("No pixel was counted")


def objects(predicted, true, task="instances"):
    """Scores of one image given as rows of object numbers."""
    ours, theirs = (np.array([row], np.int32) for row in (predicted, true))
    case = Case("0.png", (theirs > 0).astype(np.uint8), (ours > 0).astype(np.uint8), None, theirs, ours)
    return evaluate([case], NAMES[:2], "test", settings={"task": task})


class TestVerdictOfObjects:
    """Of objects that are found, but not one by one."""

    def test_touching_objects_that_are_not_told_apart(self):
        joined = objects([1, 1, 1, 1, 0, 2], [1, 1, 2, 2, 0, 3])
        assert verdict(joined)[-1].startswith("1 of the predicted objects join several true ones")

    def test_objects_that_are_cut(self):
        cut = objects([1, 1, 2, 2, 0, 3], [1, 1, 1, 1, 0, 3])
        assert verdict(cut)[-1] == "1 of 2 true objects are cut into several."

    def test_no_object_at_all(self):
        assert verdict(objects([0, 0, 0], [1, 0, 2]))[-1].startswith("Not one object is found")

    def test_objects_that_fit_are_not_commented(self):
        assert verdict(objects([1, 1, 0, 2], [3, 3, 0, 4])) == ()


def test_cells_cut_at_a_threshold_that_does_not_fit():
    truth = np.ones((12, 12), np.uint8)
    truth[:, 3::4] = 0
    cell = np.where(truth == 1, 0.9, 0.6).astype(np.float32)  # at 0.5, everything is one cell
    case = Case("0.png", truth, np.ones_like(truth), np.stack([1 - cell, cell]))
    scores = evaluate([case], ("membrane", "cell"), "test", settings={"task": "membranes"})
    assert "at 0.60 it would be 1.000" in verdict(scores)[-1]
