"""What looks wrong in scores, in sentences: results that are rarely what they seem."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from uvala.evaluation.scores import Scores

__all__ = ["verdict"]

_ALIKE = 1e-6  # Dice of two images closer than this are the same number: no two real images are
_MANY = 0.1  # of the true objects: fewer joined or cut ones are ordinary
_BETTER = 0.05  # V_rand that another threshold would gain: less is within what validation images can tell


def verdict(scores: Scores) -> tuple[str, ...]:
    """Sentences about results that are rarely what they seem, the gravest first; () if none stands out."""
    confusion = np.array(scores.confusion, np.int64)
    if not confusion.any():
        return ("No pixel was counted: the masks mark every pixel of these images as ignored.",)
    names, modelled = scores.class_names, scores.probabilities is not None
    return (
        *_one_sided(confusion, names, modelled=modelled),
        *_exchanged(confusion, names, modelled=modelled),
        *_constant(scores),
        *_objects(scores),
        *_threshold(scores),
    )


def _objects(scores: Scores) -> Iterator[str]:
    """Touching objects joined, objects cut, and none found at all."""
    objects = scores.objects
    if objects is None or not objects.true_objects or scores.task != "instances":
        return
    if not objects.predicted_objects:
        yield f"Not one object is found, although the masks hold {objects.true_objects:,}."
        return
    if objects.merged > _MANY * objects.true_objects:
        yield (
            f"{objects.merged:,} of the predicted objects join several true ones: touching objects are not "
            "told apart."
        )
    if objects.split > _MANY * objects.true_objects:
        yield f"{objects.split:,} of {objects.true_objects:,} true objects are cut into several."


def _threshold(scores: Scores) -> Iterator[str]:
    """Membranes cut at a threshold that does not fit these images."""
    partition = scores.partition
    if partition is None or partition.v_rand is None or partition.plain.best_v_rand is None:
        return
    gain = partition.plain.best_v_rand - partition.v_rand
    if gain > _BETTER:
        yield (
            f"The model's own cells, found above a threshold of {partition.chosen_threshold:.2f}, have a "
            f"V_rand of {partition.v_rand:.3f}; by a threshold alone, "
            f"at {partition.plain.best_v_rand_threshold:.2f} it would be "
            f"{partition.plain.best_v_rand:.3f}. These images are not like those that it was chosen on."
        )


def _one_sided(confusion: NDArray[np.int64], names: Sequence[str], *, modelled: bool) -> Iterator[str]:
    """What is wrong with the classes that occur at all, in truth and in prediction.

    modelled: whether a model predicted them; of masks that were made elsewhere no training is known.
    """
    share = confusion.sum(axis=1) / confusion.sum()
    true, predicted = (np.flatnonzero(confusion.any(axis=axis)).tolist() for axis in (1, 0))
    if len(true) == 1:
        yield (
            f"The masks of these images hold only '{names[true[0]]}': they cannot show whether anything else "
            "is found."
        )
    if len(predicted) == 1 and len(true) > 1:
        words = (
            f"'{names[predicted[0]]}' for every pixel of every image, although "
            f"{1 - share[predicted[0]]:.1%} of the pixels are something else"
        )
        yield (
            f"The model predicts {words}: it has not learnt to tell the classes apart. Train longer, and "
            "look at the masks with `uvala check`."
            if modelled
            else f"The scored masks say {words}: make sure that they are the right files, and that their "
            "values are those of the true masks."
        )
        return
    for index in sorted(set(true) - set(predicted)):
        yield f"'{names[index]}' is never predicted, although it is {share[index]:.2%} of the pixels."
    for index in sorted(set(predicted) - set(true)):
        yield f"'{names[index]}' is predicted, although no mask of these images holds it."


def _exchanged(confusion: NDArray[np.int64], names: Sequence[str], *, modelled: bool) -> Iterator[str]:
    """Two classes that would both score better under each other's name."""
    if len(names) == 2 and confusion[0, 1] > confusion[0, 0] and confusion[1, 0] > confusion[1, 1]:
        yield (
            f"'{names[0]}' and '{names[1]}' seem to be exchanged: most pixels of each are predicted as the "
            "other. Compare the encoding of these masks with that of the "
            f"{'training data' if modelled else 'scored ones'}."
        )


def _constant(scores: Scores) -> Iterator[str]:
    """The same Dice on each of several images."""
    known = [image.mean_dice for image in scores.images if image.mean_dice is not None]
    if len(known) < 3 or max(known) - min(known) > _ALIKE:
        return
    if min(known) > 1 - _ALIKE:
        modelled = scores.probabilities is not None
        other = f"they are not {'among the training images' if modelled else 'scored against themselves'}"
        yield (
            f"All {len(known)} images score a perfect Dice of 1: make sure that {other} and that "
            "the true masks are not empty."
        )
    else:
        yield (
            f"All {len(known)} images score the same Dice of {known[0]:.3f}: the prediction does not seem to "
            "depend on the image. Look at a few overlays, and at the masks with `uvala check`."
        )
