"""The scores by their definitions, pixel by pixel and pair by pair: slow, short, and written without ours.

For arrays of at most a few hundred pixels. `benchmarks/metrics.py verify` compares uvala.metrics with them.
"""

from collections import Counter
from itertools import product
from math import dist, hypot, log, log2, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import log_softmax
from skimage.morphology import skeletonize

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]
Pairs = list[tuple[int, int]]
Place = tuple[float, float]
Outline = dict[Place, float]
"""How much outline is at each corner of pixels."""
Way = list[tuple[float, float]]
"""Distances and lengths."""

EIGHT = np.ones((3, 3), bool)


def share(part: float, whole: float, otherwise: float = nan) -> float:
    """part / whole, or `otherwise` where that is 0 / 0."""
    return part / whole if whole else otherwise


def dice_and_iou(prediction: Mask, truth: Mask) -> tuple[float, float]:
    """Of two sets of pixels."""
    both, either = (prediction & truth).sum(), (prediction | truth).sum()
    return share(2 * both, prediction.sum() + truth.sum()), share(both, either)


# outlines: Nikolov et al. (2018)


def outline(mask: Mask, spacing: Place) -> Outline:
    """A corner has four pixels; beyond the image is background."""
    height, width = spacing
    padded, found = np.pad(mask, 1), {}
    for row, column in np.ndindex(mask.shape[0] + 1, mask.shape[1] + 1):
        (a, b), (c, d) = padded[row : row + 2, column : column + 2]
        inside = int(a) + int(b) + int(c) + int(d)
        if inside in (1, 3):
            length = hypot(height, width) / 2
        elif inside == 2:
            length = width if a == b else height if a == c else hypot(height, width)
        else:
            continue
        found[row * height, column * width] = length
    return found


def one_way(start: Outline, goal: Outline) -> Way:
    """(distance to the nearest element of `goal`, length) of each element of `start`, nearest first."""
    return sorted((min(dist(one, other) for other in goal), length) for one, length in start.items())


def surface_scores(prediction: Mask, truth: Mask, spacing: Place, tolerance: float) -> list[float]:
    """HD, HD95, ASSD, NSD."""
    ours, theirs = outline(prediction, spacing), outline(truth, spacing)
    if not (ours and theirs):
        return [nan] * 4 if not ours and not theirs else [np.inf] * 3 + [0.0]
    ways = one_way(ours, theirs), one_way(theirs, ours)
    total = sum(length for way in ways for _, length in way)
    near = sum(length for way in ways for distance, length in way if distance <= tolerance + 1e-9)
    average = sum(distance * length for way in ways for distance, length in way) / total
    return [max(ways[0][-1][0], ways[1][-1][0]), max(map(percentile_95, ways)), average, near / total]


def percentile_95(way: Way) -> float:
    """The first distance, rising, within which 95% of the length lie."""
    lengths = np.cumsum([length for _, length in way])
    return way[int((lengths / lengths[-1] >= 0.95).argmax())][0]


def boundary_iou(prediction: Mask, truth: Mask, width: int) -> float:
    """Cheng et al. (2021): IoU of what `width` erosions take away."""
    bands = [m & ~ndimage.binary_erosion(m, EIGHT, iterations=width) for m in (prediction, truth)]
    return dice_and_iou(*bands)[1]


# topology


def cl_dice(prediction: Mask, truth: Mask) -> float:
    """Shit et al. (2021), equations 1 and 2."""
    ours, theirs = skeletonize(prediction), skeletonize(truth)
    if not (ours.any() and theirs.any()):
        return 0.0 if ours.any() or theirs.any() else nan
    right, found = (ours & truth).sum() / ours.sum(), (theirs & prediction).sum() / theirs.sum()
    return share(2 * right * found, right + found, 0.0)


# partitions: Arganda-Carreras et al. (2015)


def segments(prediction: Labels, truth: Labels, zeros: str = "segment") -> Pairs:
    """(predicted, true) segment of each pixel of a true segment; a predicted 0 means what `zeros` says."""
    pixels = [(int(p), int(t)) for p, t in zip(prediction.flat, truth.flat, strict=True) if t]
    if zeros == "excluded":
        return [(p, t) for p, t in pixels if p]
    if zeros == "pixels":
        return [(p or -place, t) for place, (p, t) in enumerate(pixels, start=1)]
    return pixels


def pairs_together(pixels: Pairs, themselves: bool) -> list[int]:
    """Ordered pairs of pixels that are together in both partitions, in the predicted, in the true one."""
    predicted, true = np.array(pixels or np.zeros((0, 2))).T
    together = predicted[:, None] == predicted, true[:, None] == true
    alone = 0 if themselves else len(pixels)
    return [int(same.sum()) - alone for same in (together[0] & together[1], *together)]


def v_rand(prediction: Labels, truth: Labels, zeros: str) -> list[float]:
    """F, split, merge; 0 where truth has pixels and `zeros` leaves none, NaN where it has none."""
    pixels = segments(prediction, truth, zeros)
    if not pixels:
        return [0.0 if truth.any() else nan] * 3
    both, predicted, true = pairs_together(pixels, themselves=True)
    return [2 * both / (predicted + true), both / true, both / predicted]


def v_info(prediction: Labels, truth: Labels, zeros: str) -> list[float]:
    """F, split, merge; nothing to share, nothing missing: 1."""
    pixels = segments(prediction, truth, zeros)
    if not pixels:
        return [0.0 if truth.any() else nan] * 3
    joint, s, t = marginals(pixels)
    n = len(pixels)
    shared = sum(k / n * log(k * n / (s[i] * t[j])) for (i, j), k in joint.items())
    h_s, h_t = (sum(k / n * log(n / k) for k in counts.values()) for counts in (s, t))
    return [share(2 * shared, h_s + h_t, 1.0), share(shared, h_s, 1.0), share(shared, h_t, 1.0)]


def adapted_rand_error(prediction: Labels, truth: Labels) -> list[float]:
    """Error, split, merge, from pairs of different pixels."""
    both, predicted, true = pairs_together(segments(prediction, truth), themselves=False)
    return [1 - share(2 * both, predicted + true), 1 - share(both, true), 1 - share(both, predicted)]


def variation_of_information(prediction: Labels, truth: Labels) -> list[float]:
    """H(S|T) + H(T|S), H(S|T), H(T|S), in bits."""
    pixels = segments(prediction, truth)
    joint, s, t = marginals(pixels)
    split = sum(k * log2(t[j] / k) for (_, j), k in joint.items())
    merge = sum(k * log2(s[i] / k) for (i, _), k in joint.items())
    return [share(part, len(pixels)) for part in (split + merge, split, merge)]


def marginals(pixels: Pairs) -> tuple[Counter[tuple[int, int]], Counter[int], Counter[int]]:
    """How often each pair, each predicted and each true segment occurs."""
    return Counter(pixels), Counter(p for p, _ in pixels), Counter(t for _, t in pixels)


# objects


def object_masks(labels: Labels) -> list[Mask]:
    """The mask of each object, by rising number."""
    return [labels == number for number in np.unique(labels) if number]


def matched_ious(prediction: Labels, truth: Labels, threshold: float) -> list[float]:
    """IoU of the pairs above a threshold of at least 0.5, where nobody has two partners."""
    pairs = product(object_masks(prediction), object_masks(truth))
    return [iou for iou in (dice_and_iou(*pair)[1] for pair in pairs) if iou > threshold]


def object_ap(prediction: Labels, truth: Labels, threshold: float) -> float:
    """TP / (TP + FP + FN)."""
    hits = len(matched_ious(prediction, truth, threshold))
    return share(hits, len(object_masks(prediction)) + len(object_masks(truth)) - hits)


def panoptic_quality(prediction: Labels, truth: Labels) -> list[float]:
    """PQ, SQ, RQ: Kirillov et al. (2019)."""
    ious = matched_ious(prediction, truth, 0.5)
    objects = len(object_masks(prediction)) + len(object_masks(truth))
    if not objects:
        return [nan] * 3
    return [2 * sum(ious) / objects, share(sum(ious), len(ious), 0.0), 2 * len(ious) / objects]


def aggregated_jaccard(prediction: Labels, truth: Labels) -> float:
    """Kumar et al. (2017), algorithm 1."""
    predicted, shared, united, used = object_masks(prediction), 0, 0, set()
    for true in object_masks(truth):
        ious = [dice_and_iou(one, true)[1] for one in predicted]
        if not any(ious):
            united += true.sum()
            continue
        best = int(np.argmax(ious))
        used.add(best)
        shared += (predicted[best] & true).sum()
        united += (predicted[best] | true).sum()
    united += sum(one.sum() for place, one in enumerate(predicted) if place not in used)
    return share(shared, united)


# probabilities: Guo et al. (2017)


def calibration_errors(probabilities: Floats, truth: Labels, bins: int = 15) -> list[float]:
    """ECE and MCE; a bin holds its upper edge."""
    confidence = probabilities.astype(float).max(axis=0).ravel()
    right = (probabilities.argmax(axis=0) == truth).ravel()
    gaps = []
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if inside.any():
            gaps.append((abs(right[inside].mean() - confidence[inside].mean()), inside.mean()))
    return [sum(gap * weight for gap, weight in gaps), max(gap for gap, _ in gaps)]


def brier(probabilities: Floats, truth: Labels) -> float:
    """Sum over the classes, mean over the pixels."""
    one_hot = np.arange(len(probabilities))[:, None, None] == truth
    return ((probabilities.astype(float) - one_hot) ** 2).sum(axis=0).mean()


def nll(probabilities: Floats, truth: Labels) -> float:
    """Mean of -log p, p at least 1e-7."""
    of_truth = np.take_along_axis(probabilities, truth[None].astype(int), axis=0)
    return -np.log(of_truth.astype(float).clip(1e-7)).mean()


def likelihood_and_slope(logs: Floats, classes: Labels, temperature: float) -> tuple[float, float]:
    """-log likelihood of softmax(logs / T), and its derivative by log T; logs: float64 [N, K]."""
    scaled = log_softmax(logs / temperature, axis=1)
    rows = np.arange(len(logs))
    expected = (np.exp(scaled) * logs).sum(axis=1)
    return -scaled[rows, classes].mean(), (logs[rows, classes] - expected).mean() / temperature


def roc_auc(scores: Floats, truth: Mask) -> float:
    """How often a positive scores higher than a negative, ties half."""
    above = np.subtract.outer(scores[truth].astype(float), scores[~truth].astype(float))
    return (above > 0).mean() + (above == 0).mean() / 2 if above.size else nan


def sign_flip_p(differences: Floats) -> float:
    """The share of all sign flips whose sum is as far from 0."""
    flips = np.array([*product([-1, 1], repeat=len(differences))])
    return (np.abs(flips @ differences) >= abs(differences.sum()) - 1e-12).mean()


# training targets


def distances(labels: Labels) -> Floats:
    """From each pixel to the nearest of each object: float64 [objects, H, W]."""
    places = np.indices(labels.shape).reshape(2, -1).T
    away = np.linalg.norm(places[:, None] - places, axis=2)  # [pixels, pixels]
    nearest = [away[:, one.ravel()].min(axis=1) for one in object_masks(labels)]
    return np.reshape(nearest, (-1, *labels.shape))


def border_weight_map(labels: Labels, w0: float, sigma: float) -> Floats:
    """Ronneberger et al. (2015), equation 2, with w_c = 1 and the second term on background."""
    nearest = np.sort(distances(labels), axis=0)
    if len(nearest) < 2:
        return np.ones(labels.shape)
    return 1 + (labels == 0) * w0 * np.exp(-((nearest[0] + nearest[1]) ** 2) / (2 * sigma**2))


def interior(labels: Labels, width: int) -> Mask:
    """Pixels of objects with nothing else within `width` rows and columns."""
    inside = np.zeros(labels.shape, bool)
    for row, column in zip(*np.nonzero(labels), strict=True):
        around = labels[max(row - width, 0) : row + width + 1, max(column - width, 0) : column + width + 1]
        inside[row, column] = (around == labels[row, column]).all()
    return inside


def distance_map(labels: Labels) -> Floats:
    """Depth of each pixel in its object, as a share of the deepest."""
    expected = np.zeros(labels.shape)
    for one in object_masks(labels):
        outside = distances((~one).astype(int))
        expected[one] = outside[0][one] / outside[0][one].max() if len(outside) else 1
    return expected
