"""How long one training step of a network takes on this machine: measured, not guessed."""

import time

import torch
from torch import nn

from uvala.errors import ConfigError
from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.losses.config import LossConfig

__all__ = ["autocast_dtype", "check_batch", "seconds_per_step"]

_LEAST_ROUNDS, _MOST_ROUNDS = 3, 10
_SECONDS = 2.0  # after which the least number of rounds will do


def check_batch(model: nn.Module, *, patch: int, batch: int) -> None:
    """ConfigError where a batch norm would see a single value of a channel, of which there is no variance."""
    normed = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    multiple = int(getattr(model, "multiple", 1))
    if normed and batch == 1 and patch <= multiple:
        raise ConfigError(
            found=f"batches of one patch of {patch} pixels, which is one pixel at the network's lowest level",
            expected="two values or more of each channel for its batch norms",
            fix=f"set patches.batch to 2, or patches.size above {multiple}",
        )


def seconds_per_step(
    model: nn.Module, *, channels: int, classes: int, patch: int, batch: int, device: torch.device
) -> float:
    """Fastest of some steps (forward, backward) after one to warm up, in seconds.

    The fastest, because whatever else the machine does can only add time. Infinite if it does not fit into
    the device's memory.
    """
    check_batch(model, patch=patch, batch=batch)
    try:
        return min(_step_times(model.to(device).train(), channels, classes, patch, batch, device))
    except torch.OutOfMemoryError:
        return float("inf")


def _step_times(
    model: nn.Module, channels: int, classes: int, patch: int, batch: int, device: torch.device
) -> list[float]:
    image = torch.zeros(batch, channels, patch, patch, device=device).uniform_(-1, 1)
    target = torch.randint(0, classes, (batch, patch, patch), device=device)
    loss = segmentation_loss(LossConfig(), device)
    dtype = autocast_dtype("auto", device)
    times: list[float] = []
    while len(times) <= _LEAST_ROUNDS or (len(times) <= _MOST_ROUNDS and sum(times) < _SECONDS):
        began = time.perf_counter()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            value = over_outputs(loss, model(image), target, getattr(model, "loss_weights", None))
        value.backward()
        model.zero_grad(set_to_none=True)
        value.item()  # waits for the device
        times.append(time.perf_counter() - began)
        if sum(times) > 5 * _SECONDS and len(times) > 1:
            break  # too slow to be worth more of the budget
    return times[1:]


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The format of mixed precision on that device; None for plain float32."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
