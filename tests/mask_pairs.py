"""Pairs of small masks that tests of scores share: alike, moved, unrelated, and every empty combination."""

from itertools import product

import numpy as np
from scipy import ndimage

SHAPES = [(1, 1), (1, 9), (7, 1), (2, 2), (8, 8), (9, 14)]


def mask_pairs(count, seed=0):
    """`count` pairs (prediction, truth), bool [H, W], at most 24x24; all pairs of plain masks come first."""
    plain = [pair for shape in SHAPES for pair in product(plain_masks(shape), repeat=2)]
    rng = np.random.default_rng(seed)
    return plain[:count] + [random_pair(rng) for _ in range(count - len(plain))]


def plain_masks(shape):
    """Empty, full, the first pixel, a pixel in the middle, all but that one."""
    first, middle = np.zeros((2, *shape), bool)
    first[0, 0] = middle[shape[0] // 2, shape[1] // 2] = True
    return [np.zeros(shape, bool), np.ones(shape, bool), first, middle, ~middle]


def random_pair(rng):
    """Blobs or specks; the prediction has some pixels flipped, or is moved, or is another mask altogether."""
    shape = tuple(rng.integers(1, 25, 2))
    smooth = rng.choice([0, 1, 2])
    truth = ndimage.gaussian_filter(rng.normal(size=shape), smooth) > rng.normal() * 0.3 / (1 + smooth)
    flipped = truth ^ (rng.random(shape) < rng.choice([0.02, 0.2]))
    moved = np.roll(truth, rng.integers(-3, 4, 2), axis=(0, 1))
    other = ndimage.gaussian_filter(rng.normal(size=shape), 1) > 0.1
    prediction = (flipped, moved, other)[rng.integers(3)]
    return prediction, truth
