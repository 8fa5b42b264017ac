"""Objects against objects: the measures of an image, and the counts of all images together."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import LabelMap
from uvala.evaluation.measures import State, known
from uvala.evaluation.resampling import Resampling
from uvala.evaluation.scores import ObjectScores, SizeRecall
from uvala.metrics.coco import coco_average_precision
from uvala.metrics.instances import (
    IOU_THRESHOLDS,
    JaccardSums,
    ObjectCounts,
    aggregated_jaccard,
    mean_over_images,
    object_counts,
    pooled,
)
from uvala.metrics.mistakes import ObjectRecords, object_errors, object_records, recall_by_size
from uvala.metrics.overlap import Overlaps, overlaps

__all__ = ["ObjectTally"]

_SIZES = 6  # classes of size: fewer hide where small objects begin to be lost, more are too thin to tell
_AT_75 = IOU_THRESHOLDS.index(0.75)


@dataclass
class ObjectTally:
    """What is kept of the objects of the images so far: numbers per image and per object, no pixels."""

    counts: list[ObjectCounts] = field(default_factory=list)
    jaccard: list[JaccardSums] = field(default_factory=list)
    records: list[ObjectRecords] = field(default_factory=list)
    ranked: list[tuple[Overlaps, NDArray[np.float64]]] = field(default_factory=list)
    errors: list[dict[str, float]] = field(default_factory=list)

    def add(
        self,
        objects: LabelMap,
        true_objects: LabelMap,
        probability: NDArray[np.float32] | None,
        counted: NDArray[np.bool_] | None,
    ) -> tuple[dict[str, float], State]:
        """Score an image's objects: its measures, NaN without any object, and where there are objects.

        objects, true_objects: integers [H, W], 0 outside. probability: of their class, by whose mean over the
        counted pixels of an object COCO's AP ranks it; None: there is no such AP.
        """
        found = overlaps(objects, true_objects, counted=counted)
        counts, sums, errors = object_counts(found), aggregated_jaccard(found), object_errors(found)
        if probability is not None:
            inside = objects if counted is None else np.where(counted, objects, 0)
            means = ndimage.mean(probability, inside, found.predicted_ids) if found.predicted_ids.size else []
            self.ranked.append((found, np.asarray(means, np.float64)))
        numbers = {
            "true_objects": found.true_ids.size,
            "predicted_objects": found.predicted_ids.size,
            "missed_objects": errors.missed.size,
            "spurious_objects": errors.spurious.size,
            "split_objects": errors.split.size,
            "merged_objects": errors.merged.size,
        }
        self.counts.append(counts)
        self.jaccard.append(sums)
        self.records.append(object_records(found))
        self.errors.append({name: float(number) for name, number in numbers.items()})
        measures = {
            "ap": counts.mean_ap,
            "ap50": float(counts.ap[0]),
            "ap75": float(counts.ap[_AT_75]),
            "f1": float(counts.f1[0]),
            "pq": float(counts.pq[0]),
            "sq": float(counts.sq[0]),
            "rq": float(counts.rq[0]),
            "aji": sums.score,
        }
        return measures | self.errors[-1], _state(found)

    def scores(
        self, resampling: Resampling, *, method: str, true_components: bool, predicted_components: bool
    ) -> ObjectScores:
        """The object scores of all images, of which there is at least one.

        true_components, predicted_components: whether such objects are but what hangs together of a class.
        """
        total = pooled(self.counts)
        table = np.stack(
            [np.stack([each.true_positives, _objects(each)]) for each in self.counts]
        )  # [N, 2, K]
        matched = np.array([each.matched_iou[0] for each in self.counts])
        pairs = np.column_stack([table[..., 0], matched])  # [N, 3]
        areas = np.array([(each.intersection, each.union) for each in self.jaccard])
        kinds = {"true": true_components, "predicted": predicted_components}
        coco = coco_average_precision(self.ranked) if self.ranked else None
        return ObjectScores(
            thresholds=IOU_THRESHOLDS,
            true_positives=tuple(total.true_positives.tolist()),
            false_positives=tuple(total.false_positives.tolist()),
            false_negatives=tuple(total.false_negatives.tolist()),
            ap=tuple(map(known, total.ap)),
            mean_ap=known(total.mean_ap),
            image_mean_ap=known(float(mean_over_images(self.counts).mean())),
            mean_ap_interval=resampling.of_sum(table, lambda sums: float(_ap(sums).mean())),
            ap50_interval=resampling.of_sum(table[..., 0], _ap),
            ap75_interval=resampling.of_sum(table[..., _AT_75], _ap),
            f1=tuple(map(known, total.f1)),
            f1_interval=resampling.of_sum(pairs, _f1),
            panoptic_quality=known(float(total.pq[0])),
            panoptic_quality_interval=resampling.of_sum(pairs, _pq),
            segmentation_quality=known(float(total.sq[0])),
            segmentation_quality_interval=resampling.of_sum(pairs, _sq),
            recognition_quality=known(float(total.rq[0])),
            recognition_quality_interval=resampling.of_sum(pairs, _f1),
            aggregated_jaccard=known(sum(self.jaccard, JaccardSums(0, 0)).score),
            aggregated_jaccard_interval=resampling.of_sum(areas, _ap),
            coco_ap=None if coco is None else known(coco.ap),
            coco_ap50=None if coco is None else known(coco.ap50),
            coco_ap75=None if coco is None else known(coco.ap75),
            images_absent=sum(not _objects(each).any() for each in self.counts),
            sizes=self._sizes(),
            method=method,
            from_components=any(kinds.values()),
            components=" and ".join(name for name, there in kinds.items() if there),
            **{
                key: int(sum(each[name] for each in self.errors))
                for key, name in (
                    ("true_objects", "true_objects"),
                    ("predicted_objects", "predicted_objects"),
                    ("missed", "missed_objects"),
                    ("spurious", "spurious_objects"),
                    ("split", "split_objects"),
                    ("merged", "merged_objects"),
                )
            },
        )

    def _sizes(self) -> tuple[SizeRecall, ...]:
        recalls = recall_by_size(self.records, classes=_SIZES)
        areas = np.concatenate([record.areas for record in self.records])
        places = np.searchsorted(recalls.edges[1:-1], areas, side="right")  # the class of each object
        rows = zip(recalls.objects.tolist(), recalls.matched.tolist(), strict=True)
        return tuple(
            SizeRecall(
                smallest=int(areas[places == place].min()),
                largest=int(areas[places == place].max()),
                objects=objects,
                found=matched,
            )
            for place, (objects, matched) in enumerate(rows)
            if objects
        )


def _objects(counts: ObjectCounts) -> NDArray[np.int64]:
    return counts.true_positives + counts.false_positives + counts.false_negatives


def _ap(sums: NDArray[Any]) -> Any:
    """AP of [2] or [2, K]: true positives, and objects with partners counted once; NaN without objects.

    Of the pixels of an intersection and a union likewise: AJI.
    """
    hits, objects = sums
    return hits / np.where(objects > 0, objects, np.nan)


def _f1(sums: NDArray[Any]) -> float:
    """F1 of [3]: true positives, objects with partners once, IoU of the pairs; NaN without objects."""
    hits, objects, _ = sums
    return float(2 * hits / (hits + objects)) if objects else float("nan")


def _sq(sums: NDArray[Any]) -> float:
    """Mean IoU of the pairs, 0 without pairs; NaN without objects."""
    hits, objects, matched = sums
    if not objects:
        return float("nan")
    return float(matched / hits) if hits else 0.0


def _pq(sums: NDArray[Any]) -> float:
    """Panoptic quality, SQ x RQ."""
    return _sq(sums) * _f1(sums)


def _state(found: Overlaps) -> State:
    if not found.true_ids.size:
        return "spurious" if found.predicted_ids.size else "absent"
    return "present" if found.predicted_ids.size else "missed"
