"""Train on a folder of images and masks, look at the score, predict one image.

python examples/train_and_predict.py [FOLDER] [BUDGET]; without a folder, sample data is drawn first.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import uvala


def main(folder: str | None = None, budget: str = "60s", out: str = "example-run") -> None:
    if folder is None:
        folder = str(uvala.write_sample_data(Path("example-data")))
    run = uvala.train(folder, budget=budget, out=out)
    print(f"{run.card.network.parameters:,} weights, validation Dice {run.card.training.best_dice:.3f}")

    scores = run.evaluate(folder, subset="val")
    for scored in scores.classes:
        print(f"{scored.name}: Dice {scored.dice:.3f}, IoU {scored.iou:.3f}")

    dataset = uvala.read_dataset(folder)
    image = dataset.image(dataset.samples[0])  # [C, H, W]
    prediction = run.predict(np.moveaxis(image, 0, -1))  # takes [H, W] or [H, W, C]
    Image.fromarray(prediction.overlay()).save(Path(out) / "overlay.png")
    print(f"share of each class: {prediction.probabilities.mean(axis=(1, 2)).round(3)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
