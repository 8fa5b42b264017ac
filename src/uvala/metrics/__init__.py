"""How good a prediction is: pure functions on arrays, without torch.

    from uvala import metrics

    metrics.hd95(prediction == 1, truth == 1, spacing=(0.5, 0.5))
    metrics.v_rand(labels, true_labels)          # a number, with .split and .merge
    metrics.object_ap(labels, true_labels)       # at IoU 0.5, 0.55, ..., 0.95

What every function means, where it comes from and what it does with empty images is in docs/metrics.md.
"""

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
from uvala.metrics.object_errors import (
    ObjectErrors,
    ObjectRecords,
    SizeRecall,
    object_errors,
    object_records,
    recall_by_size,
)
from uvala.metrics.objects import PanopticQuality, aji, object_ap, panoptic_quality
from uvala.metrics.overlaps import Matches, Overlaps, match, overlaps
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
