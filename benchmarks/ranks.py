"""One rank equals N ranks: the loss of each step of 1, 2 and 4 processes with the same global batch.

python benchmarks/ranks.py [DATA] [--steps 200] [--model pocket_unet] [--only TRAINING ...]

DATA: a data set as `uvala train` takes it; default: drawn cells. The processes run on the CPU, connected by
gloo, as torchrun starts them; steps, losses, augmentation and optimiser are those of a training by default.

What differs is the order in which floats are added: in a batch norm, a loss or a gradient, N parts instead
of one whole. In float64 that must not be seen. In float32 it is: a rounding that moves a pixel to the other
side of a ReLU's 0 changes gradients by far more than itself, and Adam divides small gradients by their own
size. A smooth activation shows that it is so, and how much it is without any ranks shows a control: one
process that has its batch in reverse order.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from uvala.augment.spatial import window_margin
from uvala.config import override
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore
from uvala.data.synthetic import write_sample_data
from uvala.models.catalog import create_model
from uvala.plan.schema import Plan
from uvala.training.distributed import World
from uvala.training.optimiser import make_optimiser
from uvala.training.schedule import learning_rate
from uvala.training.step import make_step

CPU = torch.device("cpu")
# the plan's defaults but for the sizes: cross-entropy and batch Dice, AdamW, all of the augmentation
SETTINGS = {"patches.size": 64, "patches.batch": 4, "precision": "float32", "normalisation.by": "image"}
SGD = {"optimiser.name": "sgd", "optimiser.momentum": 0.9, "optimiser.learning_rate": 0.01}
Training = tuple[torch.dtype, type[nn.Module], dict[str, Any]]
TRAININGS: dict[str, Training] = {
    "AdamW, float64": (torch.float64, nn.ReLU, {}),
    "AdamW, float32, softplus instead of ReLU": (torch.float32, nn.Softplus, {}),
    "AdamW, float32": (torch.float32, nn.ReLU, {}),
    "AdamW at a rate of 1e-4, float32": (torch.float32, nn.ReLU, {"optimiser.learning_rate": 1e-4}),
    "SGD, float32": (torch.float32, nn.ReLU, SGD),
}
WORLDS = {"1": 1, "1 reversed": 1, "2": 2, "4": 4}


class Reversed(World):
    """One process that has its batch in reverse order."""

    def slots(self, batch: int) -> range:
        return range(batch)[::-1]


def main(arguments: argparse.Namespace) -> None:
    """Start the processes, compare their curves."""
    curves: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or write_sample_data(Path(folder) / "cells", count=12, size=128)
        for world in WORLDS:
            began = time.perf_counter()
            out = Path(folder) / "curves.json"
            launch(world, Path(data), out, arguments)
            curves[world] = json.loads(out.read_text())
            print(f"processes: {world}, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    lengths = sorted({min(10, arguments.steps), min(50, arguments.steps), arguments.steps})
    print("Largest difference of the losses to those of one process")
    print("| training | loss | processes |", " | ".join(f"{length} steps" for length in lengths), "|")
    print("|---|--:|---|" + "--:|" * len(lengths))
    for training in curves["1"]:
        one = np.array(curves["1"][training])
        for world in list(WORLDS)[1:]:
            apart = np.abs(np.array(curves[world][training]) - one)
            largest = " | ".join(f"{apart[:length].max():.1e}" for length in lengths)
            print(f"| {training} | {one[0]:.3f} to {one[-1]:.3f} | {world} | {largest} |")


def launch(world: str, data: Path, out: Path, arguments: argparse.Namespace) -> None:
    """All trainings by so many processes, whose losses rank 0 writes to `out`."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(WORLDS[world])]
    worker = ["--worker", str(out), "--world", world]
    options = ["--steps", str(arguments.steps), "--model", arguments.model]
    options += [part for name in arguments.only or [] for part in ("--only", name)]
    subprocess.run([sys.executable, *torchrun, __file__, str(data), *worker, *options], check=True)


def work(arguments: argparse.Namespace) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    dataset = read_dataset(arguments.data)
    with World.from_environment() as world:
        wanted = arguments.only or TRAININGS
        asked = Reversed() if arguments.world == "1 reversed" else world
        losses = {
            name: curve(asked, dataset, arguments, each) for name, each in TRAININGS.items() if name in wanted
        }
        if world.is_main:
            arguments.worker.write_text(json.dumps(losses))


def curve(world: World, dataset: Dataset, arguments: argparse.Namespace, training: Training) -> list[float]:
    """The losses of a training's steps, by this rank and the others."""
    dtype, activation, settings = training
    plan = override(Plan(), SETTINGS | settings, where="the settings")
    margin = window_margin(plan.augment, plan.patches.size)
    store = ImageStore(dataset, plan.normalisation, targets=plan.targets)
    sampler = PatchSampler(store, dataset.samples, plan.patches, margin, plan.seed)
    torch.manual_seed(plan.seed)
    model = create_model(
        arguments.model, in_channels=dataset.channels, num_classes=dataset.encoding.num_classes
    )
    for parent in list(model.modules()):
        for name, part in parent.named_children():
            if isinstance(part, nn.ReLU):
                setattr(parent, name, activation())
    # patches are drawn and changed in float32 either way
    model.to(dtype).register_forward_pre_hook(lambda _, images: (images[0].to(dtype),))
    optimiser = make_optimiser(model, plan.optimiser)
    step = make_step(model, optimiser, torch.amp.GradScaler("cpu", enabled=False), plan, CPU, world=world)
    losses = []
    for number in range(arguments.steps):
        windows = map(torch.from_numpy, sampler.windows(number, world.slots(plan.patches.batch)))
        losses.append(step(number, *windows, learning_rate(number / arguments.steps, plan.optimiser)))
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--model", default="pocket_unet")
    parser.add_argument("--only", action="append", choices=TRAININGS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--world", choices=WORLDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    (work if given.worker else main)(given)
