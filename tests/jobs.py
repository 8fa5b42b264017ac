"""Trainings without what stands above them: no planner, no scores, no report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from uvala.config import override
from uvala.data.dataset import read_dataset
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import Plan
from uvala.runs.card import NetworkCard
from uvala.runs.folder import RunFolder
from uvala.training.job import Job
from uvala.training.loop import Training

QUICK = {
    "model.name": "pocket_unet",
    "model.options": {"width": 4},
    "patches.size": 32,
    "patches.batch": 2,
    "validation.rounds": 3,
    "length.steps": 12,
    "augment.elastic_probability": 0.0,
    "normalisation.low": (0.0,),
    "normalisation.high": (255.0,),
}


def job(data: Path, out: Path, listener: Callable[[dict], None] = lambda event: None, **fields) -> Job:
    """A training of 12 steps with validations at steps 4, 8 and 12; settings: others than `QUICK`."""
    plan = override(Plan(), {**QUICK, **fields.pop("settings", {})}, where="the test")
    dataset = read_dataset(data)
    out.mkdir(parents=True, exist_ok=True)
    return Job(
        run=RunFolder(out),
        dataset=dataset,
        training=dataset.samples[:-3],
        validation=dataset.samples[-3:],
        plan=plan,
        network=NetworkCard(
            name=plan.model.name,
            options=plan.model.options,
            in_channels=dataset.channels,
            num_classes=dataset.encoding.num_classes,
            multiple=4,
            halo=44,
        ),
        device=torch.device("cpu"),
        clock=Clock(plan.length.budget),
        log=EventLog(out / "log.jsonl", listener),
        **fields,
    )


def train(data: Path, out: Path, *, resume: bool = False, stop=lambda: False, **options) -> Training:
    """A training that has run; it goes on from the checkpoint of `out` if it is a resume."""
    training = Training(job(data, out, **options), resume=resume)
    training.run(stop)
    return training


def weights(out: Path) -> dict[str, np.ndarray]:
    return load_file(out / "model.safetensors")


def state(out: Path) -> dict[str, np.ndarray]:
    return load_file(out / "checkpoint/state.safetensors")


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether all numbers are equal, bit for bit."""
    return one.keys() == other.keys() and all(one[key].tobytes() == other[key].tobytes() for key in one)


def equal(one: Path, other: Path) -> bool:
    """Whether two runs have the same best weights, and all that a further resume would begin from."""
    return same(weights(one), weights(other)) and same(state(one), state(other))
