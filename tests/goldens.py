"""Reference networks of other projects: their keys, and their outputs for weights and inputs made by rule.

The files lie outside the project (see the fixture `shared`); their README states the rules repeated here.
"""

import json
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(os.environ.get("UVALA_SHARED", Path(__file__).parents[2] / "shared")) / "goldens"
LATER = ("diffusers", "sd15")  # generation, which uvala does not have yet


def names() -> list[str]:
    """Each golden file of a segmentation network."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.startswith(LATER))


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def tensor(key: str, shape: tuple[int, ...], gain: float = 1.0) -> Tensor:
    """The weights of one entry, by its name and shape alone."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif key.endswith("running_mean"):
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) >= 2:
        values = rng.standard_normal(shape) * math.sqrt(2.0 / math.prod(shape[1:])) * gain
    elif key.endswith(".weight"):
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def state_dict(golden: dict) -> dict[str, Tensor]:
    """All entries; one that is reachable under several names is one tensor."""
    tied = golden.get("tied_keys", {})
    owners = {
        key: tensor(key, tuple(shape), golden["gain"])
        for key, shape, _ in golden["state_dict"]
        if key not in tied
    }
    return {key: owners[tied.get(key, key)] for key, _, _ in golden["state_dict"]}


def image(case: dict) -> Tensor:
    shape = tuple(case["inputs"]["x"]["shape"])
    return torch.from_numpy(np.random.default_rng(12345).standard_normal(shape).astype(np.float32))


def filled(model: nn.Module) -> nn.Module:
    """`model` with weights by the same rule, from our own keys; it keeps signals in range."""
    model.load_state_dict({key: tensor(key, tuple(value.shape)) for key, value in model.state_dict().items()})
    return model.eval()
