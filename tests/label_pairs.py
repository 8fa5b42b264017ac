"""Random small label maps, and pairs of them, with every way of being empty."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
SHAPES = ((1, 1), (1, 9), (7, 1), (4, 4), (8, 8), (8, 11), (12, 12))


def label_pairs(count: int, seed: int = 0, objects: int = 6) -> Iterator[tuple[Labels, Labels]]:
    """`count` pairs (prediction, truth) of equal shapes with numbers that are neither consecutive nor shared.

    In turn: both drawn independently, a prediction that is truth with errors, only truth, only a prediction,
    neither, a single object that fills the image, a single pixel.
    """
    rng = np.random.default_rng(seed)
    for case in range(count):
        shape = SHAPES[rng.integers(len(SHAPES))]
        truth = renumbered(rectangles(shape, rng, objects), rng)
        prediction = renumbered(rectangles(shape, rng, objects), rng)
        kind = case % 16
        if kind == 1:
            truth = np.zeros_like(truth)
        elif kind == 2:
            prediction = np.zeros_like(truth)
        elif kind == 3:
            truth, prediction = np.zeros_like(truth), np.zeros_like(truth)
        elif kind == 4:
            prediction = np.full_like(truth, 3)
        elif kind == 5:
            truth = np.full_like(truth, 300)
        elif kind == 6:
            truth, prediction = np.full_like(truth, 2), np.full_like(truth, 7)
        elif kind == 7:
            prediction = np.zeros_like(truth)
            prediction.flat[rng.integers(truth.size)] = 5
        elif kind >= 9:
            prediction = renumbered(with_errors(truth, rng), rng)
        yield prediction, truth


def rectangles(shape: tuple[int, int], rng: np.random.Generator, objects: int) -> Labels:
    """Up to `objects` rectangles, later ones over earlier ones, numbered from 1."""
    labels = np.zeros(shape, np.int32)
    for number in range(1, int(rng.integers(1, objects + 1)) + 1):
        top, left = (int(rng.integers(side)) for side in shape)
        labels[top : top + int(rng.integers(1, 6)), left : left + int(rng.integers(1, 6))] = number
    return labels


def with_errors(labels: Labels, rng: np.random.Generator) -> Labels:
    """The same objects, some shifted, merged, cut in two, lost, or with noise at their pixels."""
    changed = np.roll(labels, rng.integers(-1, 2, 2), (0, 1)) if rng.random() < 0.5 else labels.copy()
    numbers = np.unique(changed[changed > 0])
    if numbers.size and rng.random() < 0.5:
        one, other = rng.choice(numbers, 2)
        changed[changed == one] = other
    if numbers.size and rng.random() < 0.5:
        half = changed == rng.choice(numbers)
        half[:, : half.shape[1] // 2] = False
        changed[half] = 90
    if numbers.size and rng.random() < 0.3:
        changed[changed == rng.choice(numbers)] = 0
    noise = rng.random(labels.shape) < 0.1 * rng.random()
    changed[noise] = rng.integers(0, 3, int(noise.sum()))
    return changed


def renumbered(labels: Labels, rng: np.random.Generator) -> Labels:
    """The same objects under other numbers, at random and with gaps."""
    numbers = np.concatenate([[0], 1 + rng.permutation(200)]).astype(np.int32)
    return numbers[labels]
