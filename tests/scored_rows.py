"""Images of one row, scored: enough to see what tables and files say of them."""

import numpy as np

from uvala.evaluation.evaluate import evaluate

NAMES = ("background", "cell", "debris, other")


def scored(*pairs, names=NAMES):
    """Scores of images given as (prediction, truth), each a list of class indices."""
    cases = [
        (f"{index}.png", np.array([prediction], np.uint8), np.array([truth], np.uint8))
        for index, (prediction, truth) in enumerate(pairs)
    ]
    return evaluate(cases, names, "test")
