"""The data of a contest, the same pictures on the same side for every contestant."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvala.data.dataset import Dataset, read_dataset
from uvala.data.splits import make_split
from uvala.instances.components import connected_components

__all__ = ["CONTESTS", "Case", "Contest", "read_contest"]

IGNORE = 255


@dataclass(frozen=True, eq=False)
class Case:
    """An image [C, H, W] of 0 to 255, its classes uint8 [H, W] (255: ignored), its objects int [H, W]."""

    name: str
    image: NDArray[np.float32]
    truth: NDArray[np.uint8]
    objects: NDArray[np.int32] | None


@dataclass(frozen=True, eq=False)
class Contest:
    """positive: the class that a network of one output looks for. upright: up and down are not alike."""

    name: str
    task: str
    root: Path
    split: Path
    channels: int
    classes: int
    positive: int
    upright: bool
    training: list[Case]
    validation: list[Case]
    test: list[Case]


CONTESTS = {"isbi2012": "membranes", "dsb2018": "nuclei", "camvid_voc": "street"}


def read_contest(name: str, data: Path, out: Path) -> Contest:
    """The contest of that name; its split is written to `out` and serves all contestants and seeds.

    Test images are those that the data set holds out. What it trains on is divided once, with seed 0, so that
    validation images never come from the test images: they choose thresholds, and weights where a recipe
    chooses weights.
    """
    root, task = data / name, CONTESTS[name]
    dataset = read_dataset(root)
    split = out / f"split-{name}.json"
    if not split.exists():
        write_split(dataset, root, split)
    names = json.loads(split.read_text())
    sides = {side: [case(dataset, each, task) for each in dataset.subset(names[side])] for side in names}
    return Contest(
        name=name,
        task=task,
        root=root,
        split=split,
        channels=dataset.channels,
        classes=dataset.encoding.num_classes,
        positive=0 if task == "membranes" else 1,
        upright=task == "street",
        training=sides["train"],
        validation=sides["val"],
        test=sides["test"],
    )


def write_split(dataset: Dataset, root: Path, path: Path) -> None:
    own = root / "split.json"
    decided = make_split(dataset, seed=0, file=own if own.exists() else None)
    # a data set without test images has decided which ones it validates with: these are the test images here
    test = decided.test or decided.val
    training = [*decided.train, *(decided.val if decided.test else ())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"train": training, "test": list(test)}))
    parts = make_split(dataset, seed=0, file=path)
    assert set(parts.test) == set(test)
    sides = {"train": list(parts.train), "val": list(parts.val), "test": list(parts.test)}
    path.write_text(json.dumps(sides, indent=1))


def case(dataset: Dataset, sample, task: str) -> Case:
    truth = dataset.classes(sample)
    objects = dataset.instances(sample)
    if task == "membranes":
        objects = connected_components(truth == 1)
    return Case(sample.name, dataset.image(sample).astype(np.float32), truth, objects)
