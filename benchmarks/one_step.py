"""Every network at full size: one step on two patches of 256x256, then a prediction of 333x517.

python benchmarks/one_step.py ISBI    # a folder with images/*.png and masks/*.png of 512x512, 8-bit grey
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.losses.config import LossConfig
from uvala.models.catalog import create_model, model_config, model_names
from uvala.models.facts import measure
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_probabilities
from uvala.tiling.use import TiledUse

CPU = torch.device("cpu")
SIDE, EXTENT = 256, (333, 517)
RATE = 1e-4


def main(folder: Path) -> None:
    """A line a network: the loss before and after the step, the shape of the prediction, seconds."""
    names = sorted(path.name for path in (folder / "images").glob("*.png"))
    patches = torch.stack([grey(folder / "images" / name)[:, :SIDE, :SIDE] for name in names[:2]])
    masks = torch.stack([grey(folder / "masks" / name)[0, :SIDE, :SIDE] > 0 for name in names[:2]]).long()
    wide = torch.cat([grey(folder / "images" / name) for name in names[2:4]], dim=2)
    image = wide[:, : EXTENT[0], : EXTENT[1]]
    print("| network | M weights | loss before | after | prediction | s |\n|---|--:|--:|--:|---|--:|")
    for name in model_names():
        began = time.perf_counter()
        torch.manual_seed(0)
        whole = {"borders": "mirror"} if "borders" in model_config(name).model_fields else {}
        model = create_model(name, in_channels=1, num_classes=2, **whole).train()
        before, after = step(model, patches, masks)
        facts = measure(model, 1)
        use = TiledUse(model, device=CPU, halo=facts.halo, multiple=facts.multiple, tiles=TileConfig())
        prediction = predict_probabilities(use, image)
        assert prediction.isfinite().all()
        print(
            f"| {name} | {facts.parameters / 1e6:.1f} | {before:.3f} | {after:.3f} "
            f"| {'x'.join(map(str, prediction.shape))} | {time.perf_counter() - began:.1f} |",
            flush=True,
        )


def grey(path: Path) -> Tensor:
    """Float [1, H, W] in -1..1."""
    with Image.open(path) as picture:
        return torch.from_numpy(np.asarray(picture, np.float32))[None] / 127.5 - 1


def step(model: nn.Module, patches: Tensor, masks: Tensor) -> tuple[float, float]:
    """The loss before and after one step of AdamW, on the same patches."""
    loss, weights = segmentation_loss(LossConfig(), CPU), getattr(model, "loss_weights", None)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    before = over_outputs(loss, model(patches), masks, weights)
    before.backward()
    optimiser.step()
    with torch.no_grad():
        after = over_outputs(loss, model(patches), masks, weights)
    return before.item(), after.item()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
