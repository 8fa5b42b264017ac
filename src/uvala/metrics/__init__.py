"""How good a prediction is: pure functions on arrays, without torch.

    from uvala import metrics

    metrics.hd95(prediction == 1, truth == 1, spacing=(0.5, 0.5))
    metrics.v_rand(labels, true_labels)          # a number, with .split and .merge
    metrics.object_ap(labels, true_labels)       # at IoU 0.5, 0.55, ..., 0.95

What every function means, where it comes from and what it does with empty images is in docs/metrics.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvala.metrics.calibration import fit_temperature, sample_pixels, with_temperature
    from uvala.metrics.coco import CocoScores, coco_average_precision
    from uvala.metrics.instances import (
        IOU_THRESHOLDS,
        JaccardSums,
        ObjectCounts,
        aggregated_jaccard,
        mean_over_images,
        object_counts,
        pooled,
    )
    from uvala.metrics.intervals import (
        Interval,
        PairedDifference,
        bootstrap_interval,
        bootstrap_pooled,
        holm,
        paired_difference,
    )
    from uvala.metrics.mistakes import (
        ObjectErrors,
        ObjectRecords,
        SizeRecall,
        object_errors,
        object_records,
        recall_by_size,
    )
    from uvala.metrics.objects import PanopticQuality, aji, object_ap, panoptic_quality
    from uvala.metrics.overlap import Matches, Overlaps, match, overlaps
    from uvala.metrics.partition_curves import (
        BestThreshold,
        PartitionCurve,
        best_threshold,
        partition_curve,
        thin,
    )
    from uvala.metrics.partitions import (
        Disagreement,
        FScore,
        adapted_rand_error,
        same_partition,
        v_info,
        v_rand,
        v_rand_and_info,
        variation_of_information,
    )
    from uvala.metrics.pixels import (
        confusion_matrix,
        counted_pixels,
        dice,
        frequency_weighted,
        iou,
        macro,
        matthews,
        micro,
        pixel_accuracy,
        precision,
        recall,
        specificity,
    )
    from uvala.metrics.probabilities import ProbabilityCounts, ReliabilityBin, count_probabilities
    from uvala.metrics.ranking import BestF1, ThresholdCurve, average_precision, best_f1, roc_auc
    from uvala.metrics.surfaces import (
        SurfaceDistances,
        average_surface_distance,
        boundary_iou,
        hausdorff_distance,
        hd95,
        normalised_surface_dice,
        surface_distances,
    )
    from uvala.metrics.topology import BettiNumbers, betti_errors, betti_numbers, cl_dice

# imported when first used: a command that needs one metric does not wait for what all the others need
_HOME = {
    "BestF1": "uvala.metrics.ranking",
    "BestThreshold": "uvala.metrics.partition_curves",
    "BettiNumbers": "uvala.metrics.topology",
    "CocoScores": "uvala.metrics.coco",
    "Disagreement": "uvala.metrics.partitions",
    "FScore": "uvala.metrics.partitions",
    "IOU_THRESHOLDS": "uvala.metrics.instances",
    "Interval": "uvala.metrics.intervals",
    "JaccardSums": "uvala.metrics.instances",
    "Matches": "uvala.metrics.overlap",
    "ObjectCounts": "uvala.metrics.instances",
    "ObjectErrors": "uvala.metrics.mistakes",
    "ObjectRecords": "uvala.metrics.mistakes",
    "Overlaps": "uvala.metrics.overlap",
    "PairedDifference": "uvala.metrics.intervals",
    "PanopticQuality": "uvala.metrics.objects",
    "PartitionCurve": "uvala.metrics.partition_curves",
    "ProbabilityCounts": "uvala.metrics.probabilities",
    "ReliabilityBin": "uvala.metrics.probabilities",
    "SizeRecall": "uvala.metrics.mistakes",
    "SurfaceDistances": "uvala.metrics.surfaces",
    "ThresholdCurve": "uvala.metrics.ranking",
    "adapted_rand_error": "uvala.metrics.partitions",
    "aggregated_jaccard": "uvala.metrics.instances",
    "aji": "uvala.metrics.objects",
    "average_precision": "uvala.metrics.ranking",
    "average_surface_distance": "uvala.metrics.surfaces",
    "best_f1": "uvala.metrics.ranking",
    "best_threshold": "uvala.metrics.partition_curves",
    "betti_errors": "uvala.metrics.topology",
    "betti_numbers": "uvala.metrics.topology",
    "bootstrap_interval": "uvala.metrics.intervals",
    "bootstrap_pooled": "uvala.metrics.intervals",
    "boundary_iou": "uvala.metrics.surfaces",
    "cl_dice": "uvala.metrics.topology",
    "coco_average_precision": "uvala.metrics.coco",
    "confusion_matrix": "uvala.metrics.pixels",
    "count_probabilities": "uvala.metrics.probabilities",
    "counted_pixels": "uvala.metrics.pixels",
    "dice": "uvala.metrics.pixels",
    "fit_temperature": "uvala.metrics.calibration",
    "frequency_weighted": "uvala.metrics.pixels",
    "hausdorff_distance": "uvala.metrics.surfaces",
    "hd95": "uvala.metrics.surfaces",
    "holm": "uvala.metrics.intervals",
    "iou": "uvala.metrics.pixels",
    "macro": "uvala.metrics.pixels",
    "match": "uvala.metrics.overlap",
    "matthews": "uvala.metrics.pixels",
    "mean_over_images": "uvala.metrics.instances",
    "micro": "uvala.metrics.pixels",
    "normalised_surface_dice": "uvala.metrics.surfaces",
    "object_ap": "uvala.metrics.objects",
    "object_counts": "uvala.metrics.instances",
    "object_errors": "uvala.metrics.mistakes",
    "object_records": "uvala.metrics.mistakes",
    "overlaps": "uvala.metrics.overlap",
    "paired_difference": "uvala.metrics.intervals",
    "panoptic_quality": "uvala.metrics.objects",
    "partition_curve": "uvala.metrics.partition_curves",
    "pixel_accuracy": "uvala.metrics.pixels",
    "pooled": "uvala.metrics.instances",
    "precision": "uvala.metrics.pixels",
    "recall": "uvala.metrics.pixels",
    "recall_by_size": "uvala.metrics.mistakes",
    "roc_auc": "uvala.metrics.ranking",
    "same_partition": "uvala.metrics.partitions",
    "sample_pixels": "uvala.metrics.calibration",
    "specificity": "uvala.metrics.pixels",
    "surface_distances": "uvala.metrics.surfaces",
    "thin": "uvala.metrics.partition_curves",
    "v_info": "uvala.metrics.partitions",
    "v_rand": "uvala.metrics.partitions",
    "v_rand_and_info": "uvala.metrics.partitions",
    "variation_of_information": "uvala.metrics.partitions",
    "with_temperature": "uvala.metrics.calibration",
}

__all__ = [
    "IOU_THRESHOLDS",
    "BestF1",
    "BestThreshold",
    "BettiNumbers",
    "CocoScores",
    "Disagreement",
    "FScore",
    "Interval",
    "JaccardSums",
    "Matches",
    "ObjectCounts",
    "ObjectErrors",
    "ObjectRecords",
    "Overlaps",
    "PairedDifference",
    "PanopticQuality",
    "PartitionCurve",
    "ProbabilityCounts",
    "ReliabilityBin",
    "SizeRecall",
    "SurfaceDistances",
    "ThresholdCurve",
    "adapted_rand_error",
    "aggregated_jaccard",
    "aji",
    "average_precision",
    "average_surface_distance",
    "best_f1",
    "best_threshold",
    "betti_errors",
    "betti_numbers",
    "bootstrap_interval",
    "bootstrap_pooled",
    "boundary_iou",
    "cl_dice",
    "coco_average_precision",
    "confusion_matrix",
    "count_probabilities",
    "counted_pixels",
    "dice",
    "fit_temperature",
    "frequency_weighted",
    "hausdorff_distance",
    "hd95",
    "holm",
    "iou",
    "macro",
    "match",
    "matthews",
    "mean_over_images",
    "micro",
    "normalised_surface_dice",
    "object_ap",
    "object_counts",
    "object_errors",
    "object_records",
    "overlaps",
    "paired_difference",
    "panoptic_quality",
    "partition_curve",
    "pixel_accuracy",
    "pooled",
    "precision",
    "recall",
    "recall_by_size",
    "roc_auc",
    "same_partition",
    "sample_pixels",
    "specificity",
    "surface_distances",
    "thin",
    "v_info",
    "v_rand",
    "v_rand_and_info",
    "variation_of_information",
    "with_temperature",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'uvala.metrics' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
