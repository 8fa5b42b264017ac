"""Trainings that take a second, for tests."""

from pathlib import Path

import uvala

QUICK = {"patches.size": 32, "patches.batch": 4, "validation.rounds": 4}


def train_quickly(data: Path, out: Path, steps: int = 40, **options):
    settings = {**QUICK, "length.steps": steps, **options.pop("settings", {})}
    options = {"model": "pocket_unet", "device": "cpu", **options}
    return uvala.train(data, out=out, settings=settings, **options)
