"""Augmentation reduced to what a test is about: one change at a time, and random numbers that are known."""

from dataclasses import replace

import torch

from uvala.augment.config import AugmentConfig
from uvala.augment.draws import Draws, draw

PROBABILITIES = tuple(name for name in AugmentConfig.model_fields if name.endswith("_probability"))


def only(**settings) -> AugmentConfig:
    """A policy of nothing but these settings; a range or strength given here happens to every patch."""
    nothing = dict.fromkeys(PROBABILITIES, 0.0)
    still = {"flip_vertical": False, "flip_horizontal": False, "quarter_turns": False}
    always = {f"{name}_probability": 1.0 for name in settings if f"{name}_probability" in PROBABILITIES}
    return AugmentConfig(**{**nothing, **still, **always, **settings})


def everything(**settings) -> AugmentConfig:
    """A policy in which everything happens to every patch, but for the mixing of patches."""
    always = {name: 1.0 for name in PROBABILITIES if name[:3] not in ("cut", "cop")}
    return AugmentConfig(**{**always, "cutout_probability": 1.0, "elastic_spacing": 8, **settings})


def generators(*numbers: int) -> list[torch.Generator]:
    """One generator for each sample, known by its number."""
    return [torch.Generator().manual_seed(number) for number in numbers]


def drawn(config: AugmentConfig, *, batch: int = 2, patch: int = 16, channels: int = 1, **numbers) -> Draws:
    """Draws of samples 0, 1, ...; numbers: what some of the drawn numbers are instead, for all samples."""
    draws = draw(config, patch, channels, generators(*range(batch)))
    fixed = {name: torch.full_like(getattr(draws, name), value) for name, value in numbers.items()}
    return replace(draws, **fixed)
