"""`benchmarks/metrics.py speed`: ours and the library that a user would take, in turn, on the same images.

Images of 2048 x 2048 pixels with 20 and with 2,000 objects; the prediction has each object moved and grown
or shrunk by about two pixels, and a twentieth of them lost. Both sides get what they ask for (one type, one
layout) before the clock starts.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import metrics_definitions as definitions
import numpy as np
import skimage.measure
import skimage.metrics
import sklearn.metrics
import surface_distance
import torch
import torchmetrics.functional.classification as torch_classes
from metrics_checks_objects import by_faster_coco_eval, by_torch_panoptic_quality
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import variation_of_information as skimage_vi

from uvala import metrics
from uvala.instances import CocoImage, border_weight_map, to_coco

SLOW = 2.0  # seconds, above which a library runs once; a mark says so
LIBRARY_ONCE = "\\*"


class Scene:
    """A truth and a prediction of `count` round objects, `off` pixels apart, and what libraries want."""

    def __init__(self, side: int, count: int, off: float = 2.0) -> None:
        rng = np.random.default_rng(0)
        cells = int(np.ceil(np.sqrt(count)))
        pitch = side / cells
        places = rng.permutation(cells**2)[:count]
        middles = (np.stack(np.divmod(places, cells), axis=1) + 0.5) * pitch
        centres = middles + rng.normal(0, 0.05 * pitch, (count, 2))
        radii = pitch * rng.uniform(0.25, 0.42, count)
        self.truth = disks(side, centres, radii)
        kept = rng.random(count) < 0.95
        moved = centres + rng.normal(0, off, centres.shape)
        grown = np.maximum(radii + rng.normal(0, off, count), 1)
        self.prediction = disks(side, moved[kept], grown[kept])
        blurred = ndimage.gaussian_filter((self.prediction > 0).astype(np.float32), 2)
        one = np.clip(blurred + rng.normal(0, 0.05, blurred.shape).astype(np.float32), 0, 1)
        self.probabilities = np.stack([1 - one, one])  # [2, H, W]
        self.masks = self.prediction > 0, self.truth > 0
        self.classes = self.masks[0].astype(np.uint8), self.masks[1].astype(np.uint8)
        self.scores = rng.random(np.unique(self.prediction).size - 1)
        self.annotations = coco_annotations(self.prediction), coco_annotations(self.truth)
        prediction, truth = (torch.as_tensor(each).long() for each in self.classes)
        self.tensors = torch.as_tensor(self.probabilities), prediction, truth


def disks(side: int, centres: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.int32]:
    """Numbered disks, later ones over earlier ones."""
    labels = np.zeros((side, side), np.int32)
    for number, ((y, x), radius) in enumerate(zip(centres, radii, strict=True), start=1):
        top, left = (max(int(middle - radius), 0) for middle in (y, x))
        reach = int(2 * radius) + 3
        part = labels[top : top + reach, left : left + reach]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        part[(rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2] = number
    return labels


class Contest(NamedTuple):
    """ours and theirs get a Scene; theirs is None where no library has it."""

    name: str
    ours: Callable[[Scene], Any]
    library: str
    theirs: Callable[[Scene], Any] | None = None


def from_counts(scene: Scene) -> Any:
    confusion = metrics.confusion_matrix(*scene.classes, 2)
    scores = (metrics.dice, metrics.iou, metrics.precision, metrics.recall)
    return [score(confusion) for score in scores]


def torch_from_counts(scene: Scene) -> Any:
    """One pass for a confusion matrix, as a collection of its metrics shares one."""
    tp, fp, _, fn, _ = torch_classes.multiclass_stat_scores(*scene.tensors[1:], 2, average=None).T
    return 2 * tp / (2 * tp + fp + fn), tp / (tp + fp + fn), tp / (tp + fp), tp / (tp + fn)


def outline_scores(scene: Scene) -> Any:
    distances = metrics.surface_distances(*scene.masks)
    return distances.hausdorff(95), distances.normalised_dice(2)


def package_outline_scores(scene: Scene) -> Any:
    prediction, truth = scene.masks
    distances = surface_distance.compute_surface_distances(truth, prediction, (1.0, 1.0))
    return (
        surface_distance.compute_robust_hausdorff(distances, 95),
        surface_distance.compute_surface_dice_at_tolerance(distances, 2),
    )


def scikit_image_betti(scene: Scene) -> Any:
    return [
        (skimage.measure.label(mask, connectivity=2).max(), skimage.measure.euler_number(mask, 2))
        for mask in scene.masks
    ]


def sklearn_v_measure(scene: Scene) -> Any:
    """V_info alone, with zeros as one segment."""
    inside = scene.truth > 0
    return sklearn.metrics.v_measure_score(scene.truth[inside], scene.prediction[inside])


def coco(scene: Scene) -> Any:
    return metrics.coco_average_precision([(metrics.overlaps(scene.prediction, scene.truth), scene.scores)])


def faster_coco_eval(scene: Scene) -> Any:
    """From run lengths that were made before; ours starts from label maps."""
    found, truth = scene.annotations
    return by_faster_coco_eval(found, truth, scene.scores, [scene.truth.shape], most=10_000)


def coco_annotations(labels: NDArray[np.int32]) -> list[dict[str, Any]]:
    """As a COCO file has them, of image 0."""
    made = to_coco([CocoImage("", labels)], ["cell"])["annotations"]
    return [{name: value for name, value in each.items() if name != "id"} | {"image_id": 0} for each in made]


def all_of_probabilities(scene: Scene) -> Any:
    counts = metrics.count_probabilities(scene.probabilities, scene.classes[1])
    return counts.ece, counts.brier, counts.nll, counts.roc_auc, counts.average_precision, counts.best_f1(1)


def exact_ranking(scene: Scene) -> Any:
    scores, truth = scene.probabilities[1], scene.masks[1]
    return (
        metrics.roc_auc(scores, truth),
        metrics.average_precision(scores, truth),
        metrics.best_f1(scores, truth),
    )


def sklearn_ranking(scene: Scene) -> Any:
    flat = scene.masks[1].ravel(), scene.probabilities[1].ravel()
    area, mean = sklearn.metrics.roc_auc_score(*flat), sklearn.metrics.average_precision_score(*flat)
    return area, mean, sklearn.metrics.precision_recall_curve(*flat)


def torch_calibration(scene: Scene) -> Any:
    """ECE alone: the rest of our row would come on top."""
    return torch_classes.multiclass_calibration_error(
        scene.tensors[0][None], scene.tensors[2][None], 2, n_bins=15
    )


CONTESTS = [
    Contest("Dice, IoU, precision, recall", from_counts, "torchmetrics", torch_from_counts),
    Contest("HD95 and NSD", outline_scores, "surface-distance", package_outline_scores),
    Contest("boundary IoU", lambda s: metrics.boundary_iou(*s.masks), "58 erosions, scipy",
            lambda s: definitions.boundary_iou(*s.masks, 58)),
    Contest("clDice", lambda s: metrics.cl_dice(*s.masks), "scikit-image's skeletons",
            lambda s: definitions.cl_dice(*s.masks)),
    Contest("Betti errors", lambda s: metrics.betti_errors(*s.masks), "scikit-image", scikit_image_betti),
    Contest("V_rand and V_info", lambda s: metrics.v_rand_and_info(s.prediction, s.truth),
            "scikit-learn, V-measure", sklearn_v_measure),
    Contest("adapted Rand error", lambda s: metrics.adapted_rand_error(s.prediction, s.truth), "scikit-image",
            lambda s: skimage.metrics.adapted_rand_error(s.truth, s.prediction)),
    Contest("variation of information", lambda s: metrics.variation_of_information(s.prediction, s.truth),
            "scikit-image", lambda s: skimage_vi(s.truth, s.prediction, ignore_labels=[0])),
    Contest("object AP at 10 thresholds", lambda s: metrics.object_ap(s.prediction, s.truth), "-"),
    Contest("PQ", lambda s: metrics.panoptic_quality(s.prediction, s.truth), "torchmetrics",
            lambda s: by_torch_panoptic_quality(s.prediction, s.truth)),
    Contest("AJI", lambda s: metrics.aji(s.prediction, s.truth), "-"),
    Contest("COCO AP", coco, "faster-coco-eval", faster_coco_eval),
    Contest("ROC AUC, average precision, best F1, exact", exact_ranking, "scikit-learn", sklearn_ranking),
    Contest("ECE, Brier, NLL, ROC AUC, AP, best F1 of a data set", all_of_probabilities,
            "torchmetrics, ECE alone", torch_calibration),
]  # fmt: skip


class Timing(NamedTuple):
    """Median seconds of ours, and the ratio to theirs as text."""

    ours: float
    ratio: str


def speed(rounds: int) -> int:
    """Print both tables."""
    began = time.perf_counter()
    scenes = [Scene(2048, count) for count in (20, 2000)]
    print("| metric | 20 objects, ms | 2,000 objects, ms | library | ratio, 20 | ratio, 2,000 |")
    print("|---|--:|--:|---|---|---|")
    for contest in CONTESTS:
        few, many = (timed(contest, scene, rounds) for scene in scenes)
        times = f"{1e3 * few.ours:.0f} | {1e3 * many.ours:.0f}"
        print(f"| {contest.name} | {times} | {contest.library} | {few.ratio} | {many.ratio} |", flush=True)
    print("\n| target | ours, ms | library | ratio |\n|---|--:|---|---|")
    for name, contest, scene in targets():
        found = timed(contest, scene, rounds)
        print(f"| {name} | {1e3 * found.ours:.0f} | {contest.library} | {found.ratio} |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s; {LIBRARY_ONCE} the library ran once.")
    return 0


def targets() -> Iterator[tuple[str, Contest, Scene]]:
    """What is to take less than 100 ms (weights) and 50 ms (outlines), and outlines that are further off."""
    weights = Contest("", lambda s: border_weight_map(s.truth), "a distance map per object", full_weight_map)
    yield "border weight map, 512x512, 200 objects", weights, Scene(512, 200)
    outlines = Contest("", outline_scores, "surface-distance", package_outline_scores)
    for off in (1.0, 3.0, 10.0):
        yield f"HD95 and NSD, 20 objects, outlines off by {off:.0f}", outlines, Scene(2048, 20, off)


def full_weight_map(scene: Scene) -> Any:
    """As notebooks write it: a distance map of the whole image for each object, and a sort."""
    numbers = range(1, int(scene.truth.max()) + 1)
    far = np.stack([ndimage.distance_transform_edt(scene.truth != number) for number in numbers], axis=-1)
    far.partition(1, axis=-1)
    return 1 + (scene.truth == 0) * 10 * np.exp(-(far[..., :2].sum(axis=-1) ** 2) / 50)


def timed(contest: Contest, scene: Scene, rounds: int) -> Timing:
    """Ours and theirs in turn after a first run of ours; the median and quartiles of neighbours' ratios."""
    seconds(contest.ours, scene)
    if contest.theirs is None:
        return Timing(statistics.median(seconds(contest.ours, scene) for _ in range(rounds)), "-")
    first = seconds(contest.theirs, scene)  # also what the library prepares once
    if first > SLOW:
        ours = statistics.median(seconds(contest.ours, scene) for _ in range(min(rounds, 3)))
        return Timing(ours, f"{ours / first:.2g} {LIBRARY_ONCE}")
    pairs = [(seconds(contest.ours, scene), seconds(contest.theirs, scene)) for _ in range(rounds)]
    low, middle, high = statistics.quantiles((our / their for our, their in pairs), n=4)
    return Timing(statistics.median(our for our, _ in pairs), f"{middle:.2g} ({low:.2g}-{high:.2g})")


def seconds(work: Callable[[Scene], Any], scene: Scene) -> float:
    """Wall-clock time of one run."""
    began = time.perf_counter()
    work(scene)
    return time.perf_counter() - began
