"""Find objects in a probability map and score them, without a run: with any network's probabilities.

python examples/score_objects.py
"""

import numpy as np

from uvala import evaluate, instances, metrics
from uvala.evaluation.case import Case


def main() -> dict[str, float]:
    rows, columns = np.mgrid[:64, :64]
    truth = np.zeros((64, 64), np.int32)
    for number, (row, column) in enumerate([(20, 20), (20, 34), (46, 30)], start=1):  # two of them touch
        truth[(rows - row) ** 2 + (columns - column) ** 2 < 8**2] = number
    probability = np.where(truth > 0, 0.9, 0.05).astype(np.float32)

    scores = {}
    for method in ("components", "watershed"):
        labels = instances.find_objects(probability, instances.ObjectConfig(method=method))
        scores[method] = float(metrics.object_ap(labels, truth)[0])
        print(f"{method}: {labels.max()} objects, AP at IoU 0.5 {scores[method]:.2f}")

    print("HD95 of the masks:", metrics.hd95(probability > 0.5, truth > 0), "pixels")
    case = Case(
        "one image",
        truth=(truth > 0).astype(np.uint8),
        prediction=(probability > 0.5).astype(np.uint8),
        true_objects=truth,
        objects=labels,
    )
    everything = evaluate([case], ("background", "cell"), task="instances")
    print("mean AP:", everything.main_value, "- mean Dice:", everything.mean_dice)
    return scores


if __name__ == "__main__":
    main()
