"""Checks of scores of partitions and objects, of training targets and decoding, for metrics_verified.py."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import metrics_definitions as definitions
import numpy as np
import skimage.metrics
import sklearn.metrics
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as run_lengths
from numpy.typing import NDArray
from scipy import ndimage
from torchmetrics.functional.detection import panoptic_quality as torch_panoptic_quality

from label_pairs import label_pairs
from uvala import metrics
from uvala.arrays import Size
from uvala.instances import ObjectConfig, border_classes, border_weight_map, distance_map, find_objects
from uvala.instances.decode import Maps
from uvala.instances.merge import objects_in_blocks

Check = Iterator[tuple[Any, Any] | None]


def parts(score: Any) -> list[float]:
    return [float(score), score.split, score.merge]


def partition(name: str, zeros: str) -> Callable[[int], Check]:
    """V_rand or V_info with one meaning of zeros: the F-score and both parts."""

    def check(cases: int) -> Check:
        for pair in label_pairs(cases, seed=2):
            ours, theirs = (
                getattr(metrics, name)(*pair, zeros=zeros),
                getattr(definitions, name)(*pair, zeros),
            )
            yield parts(ours), theirs

    return check


def v_measures(cases: int) -> Check:
    """The information score with zeros as a segment; scikit-learn refuses no pixels."""
    for prediction, truth in label_pairs(cases, seed=3):
        if not truth.any():
            yield None
            continue
        inside = truth > 0
        homogeneity, completeness, v = sklearn.metrics.homogeneity_completeness_v_measure(
            truth[inside], prediction[inside]
        )
        yield parts(metrics.v_info(prediction, truth, zeros="segment")), [v, completeness, homogeneity]


def errors_of_partitions(cases: int) -> Check:
    """Adapted Rand error and variation of information, each with both parts."""
    for pair in label_pairs(cases, seed=4):
        ours = metrics.adapted_rand_error(*pair), metrics.variation_of_information(*pair)
        theirs = definitions.adapted_rand_error(*pair), definitions.variation_of_information(*pair)
        yield [*map(parts, ours)], theirs


def adapted_rand_of_scikit_image(cases: int) -> Check:
    """What it calls precision is compared with our recall, and the other way round."""
    for prediction, truth in label_pairs(cases, seed=5):
        if not truth.any():
            yield None
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            error, precision, recall = skimage.metrics.adapted_rand_error(truth, prediction)
        yield parts(metrics.adapted_rand_error(prediction, truth)), [error, 1 - precision, 1 - recall]


# objects


def ap_and_aji(cases: int) -> Check:
    for pair in label_pairs(cases, seed=6):
        theirs = [definitions.object_ap(*pair, threshold) for threshold in metrics.IOU_THRESHOLDS]
        yield (
            [*metrics.object_ap(*pair), metrics.aji(*pair)],
            [*theirs, definitions.aggregated_jaccard(*pair)],
        )


def panoptic(cases: int) -> Check:
    for pair in label_pairs(cases, seed=7):
        ours = metrics.panoptic_quality(*pair)
        yield [ours, ours.sq, ours.rq], definitions.panoptic_quality(*pair)


def panoptic_of_torchmetrics(cases: int) -> Check:
    """PQ, SQ, RQ; it knows no image without objects."""
    for prediction, truth in label_pairs(cases, seed=8):
        ours = metrics.panoptic_quality(prediction, truth)
        empty = not (prediction.any() or truth.any())
        yield None if empty else ([ours, ours.sq, ours.rq], by_torch_panoptic_quality(prediction, truth))


def by_torch_panoptic_quality(prediction: Any, truth: Any) -> list[float]:
    maps = [torch.as_tensor(np.stack([m > 0, m], -1).astype(np.int64))[None] for m in (prediction, truth)]
    found = torch_panoptic_quality(
        *maps, things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True
    )
    return found.reshape(2, 3)[0].tolist()


def coco(cases: int) -> Check:
    """AP, AP50, AP75 of data sets of four images, with scores that are often equal."""
    source, rng = label_pairs(4 * cases, seed=9), np.random.default_rng(9)
    for _ in range(cases):
        pairs = list(islice(source, 4))
        predicted, true = map(annotations, zip(*pairs, strict=True))
        if not (predicted and true):
            yield None
            continue
        found = [metrics.overlaps(*pair) for pair in pairs]
        scores = [rng.integers(0, 8, each.predicted_ids.size) / 8 for each in found]
        ours = metrics.coco_average_precision([*zip(found, scores, strict=True)])
        shapes = [each.shape for _, each in pairs]
        theirs = by_faster_coco_eval(predicted, true, np.concatenate(scores), shapes)
        yield [ours.ap, ours.ap50, ours.ap75], theirs


def by_faster_coco_eval(
    found: list[dict[str, Any]], truth: list[dict[str, Any]], scores: Any, shapes: Any, most: int = 100
) -> list[float]:
    """AP, AP50, AP75 of the annotations of images of these shapes."""
    collection = {
        "images": [{"id": image, "height": h, "width": w} for image, (h, w) in enumerate(shapes)],
        "annotations": [a | {"id": number} for number, a in enumerate(truth, start=1)],
        "categories": [{"id": 1, "name": "cell"}],
    }
    scored = [a | {"score": float(score)} for a, score in zip(found, scores, strict=True)]
    annotated = COCO(collection)
    evaluation = COCOeval_faster(annotated, annotated.loadRes(scored), "segm")
    evaluation.params.iouThrs = np.array(metrics.IOU_THRESHOLDS)
    evaluation.params.maxDets = [1, 2, most]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.array(evaluation.eval["precision"])[:, :, 0, 0, -1]  # [10 thresholds, 101 recalls]
    return [precision.mean(), precision[0].mean(), precision[5].mean()]


def annotations(images: Any) -> list[dict[str, Any]]:
    """Run lengths of each object, made by the library; images: label maps."""
    made = []
    for image, labels in enumerate(images):
        for one in definitions.object_masks(labels):
            segmentation = run_lengths.encode(np.asfortranarray(one, dtype=np.uint8))
            place = {"image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
            made.append(place | {"segmentation": segmentation, "area": int(one.sum())})
    return made


# training targets and decoding


def weight_maps(cases: int) -> Check:
    for number, (labels, _) in enumerate(label_pairs(cases, seed=16)):
        sigma = (5.0, 0.7)[number % 2]
        theirs = definitions.border_weight_map(labels, 10, sigma)
        yield border_weight_map(labels, sigma=sigma, class_weights=(1, 1)) / theirs, 1


def border_pixels(cases: int) -> Check:
    """Pixels that differ, and the seeds of each object without an interior, of which all else is border."""
    for number, (labels, _) in enumerate(label_pairs(cases, seed=17)):
        width = 1 + number % 2
        inside = definitions.interior(labels, width)
        found = border_classes(labels, width=width)
        lost = [one for one in definitions.object_masks(labels) if not inside[one].any()]
        seeds = [int((found[one] == 1).sum()) for one in lost]
        for one in lost:
            found[one] = 2
        wrong = int((found != np.where(inside, 1, 2 * (labels > 0))).sum())
        yield [wrong, *seeds], [0, *[1] * len(seeds)]


def depths(cases: int) -> Check:
    for labels, _ in label_pairs(cases, seed=18):
        yield distance_map(labels), definitions.distance_map(labels)


def blocks(cases: int) -> Check:
    """Pixels that have another number than in the objects of the whole image."""
    rng = np.random.default_rng(19)
    for number in range(cases):
        method = ("watershed", "components", "probability", "borders", "distance")[number % 5]
        shape, levels = rng.integers(1, 48, 2), rng.choice([3, 8, 255])
        foreground, borders, distance = (blobs(rng, shape, levels) for _ in range(3))
        maps = Maps(foreground, foreground * borders, distance)
        config = ObjectConfig(
            method=method, threshold=0.4, seed_depth=float(rng.choice([0, 1])),
            min_size=int(rng.choice([0, 9])), max_hole=int(rng.choice([0, 9])),
            smoothing=float(rng.choice([0, 1])), connectivity=int(rng.integers(1, 3)),
        )  # fmt: skip
        whole = find_objects(maps.foreground, config, borders=maps.borders, distance=maps.distance)
        size, block = Size(*foreground.shape), int(rng.integers(3, 40))
        found = objects_in_blocks(
            lambda box, m=maps: Maps(*(v[box.slices] for v in m)), size, config, block=block
        )
        yield int((found != whole).sum()), 0


def blobs(rng: np.random.Generator, shape: Any, levels: int) -> NDArray[np.float32]:
    """Probabilities of few levels, so that many pixels are equally high."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.choice([0.5, 2, 4]))
    unit = (noise - noise.min()) / max(np.ptp(noise), 1e-9)
    return (np.round(unit * levels) / levels).astype(np.float32)
