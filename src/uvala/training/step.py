"""One step of segmentation: augment, forward, loss, backward, update."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from uvala.augment.intensity import random_intensity
from uvala.augment.spatial import random_grid, warp
from uvala.errors import ConfigError
from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.plan.probe import autocast_dtype
from uvala.plan.schema import Plan

__all__ = ["augment", "enough_memory", "make_step", "step_generator"]

Step = Callable[[int, Tensor, Tensor, Tensor, float], float]
"""(number, windows [B, C, S, S], masks uint8 [B, S, S], maps [B, M, S, S], learning rate) -> loss; float"""


@contextmanager
def enough_memory(batch: int) -> Iterator[None]:
    """Turn running out of the device's memory in this block into a ConfigError that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            found=f"too little memory on the device for a batch of {batch} patches",
            expected="room for one training step",
            fix="lower patches.batch, patches.size or model.options.width with --set",
        ) from error


def step_generator(seed: int, number: int) -> torch.Generator:
    """Randomness of one step: a function of the seed and the step's number, so that a resume repeats it."""
    # steps of neighbouring seeds must not meet; the multiplier is a prime beyond any number of steps
    return torch.Generator().manual_seed(seed * 1_000_000_007 + number)


def augment(
    windows: Tensor, masks: Tensor, maps: Tensor, plan: Plan, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Patches out of their windows, randomly changed: [B, C, P, P], [B, P, P] and [B, M, P, P]."""
    grid = random_grid(plan.augment, len(windows), plan.patches.size, generator, windows.device)
    # image and maps in one resampling, so that they stay on top of each other
    together, targets = warp(torch.cat([windows, maps], dim=1), masks, grid)
    images, bent = together.split([windows.shape[1], maps.shape[1]], dim=1)
    return random_intensity(images, plan.augment, generator), targets, bent


def make_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    plan: Plan,
    device: torch.device,
) -> Step:
    """A function that does one training step. Its loss is NaN where the step was refused for a NaN."""
    loss = segmentation_loss(plan.loss, device, objects=plan.targets.objects)
    dtype = autocast_dtype(plan.precision, device)
    weights = getattr(model, "loss_weights", None)  # of deep supervision

    def step(number: int, windows: Tensor, masks: Tensor, maps: Tensor, rate: float) -> float:
        model.train()
        generator = step_generator(plan.seed, number)
        torch.manual_seed(generator.initial_seed())  # dropout draws from the global generator
        for group in optimiser.param_groups:
            group["lr"] = rate
        images, targets, bent = augment(
            windows.to(device), masks.to(device), maps.to(device), plan, generator
        )
        statistics = [buffer.clone() for buffer in model.buffers()]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            value = over_outputs(
                loss, model(images), targets.long(), weights, bent if bent.shape[1] else None
            )
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(value).backward()
        scaler.unscale_(optimiser)
        finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(model.parameters(), plan.optimiser.clip)))
        # a scaler skips such steps by itself and lowers its scale; without one a NaN would poison all weights
        if scaler.is_enabled() or finite:
            scaler.step(optimiser)
        scaler.update()
        if finite:
            return value.item()
        for buffer, before in zip(model.buffers(), statistics, strict=True):
            buffer.copy_(before)  # an infinity in the running mean of a batch norm would stay for ever
        return math.nan

    return step
