"""One step of segmentation: augment, forward, loss, backward, update."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from uvala.augment.mixing import require_pairs
from uvala.augment.policy import augment_batch
from uvala.errors import ConfigError
from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.plan.probe import autocast_dtype
from uvala.plan.schema import Plan
from uvala.training.distributed import World
from uvala.training.parts import backward_in_parts
from uvala.training.seeds import sample_generator, step_seed

__all__ = ["Step", "enough_memory", "make_step"]

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
            fix="lower patches.batch, patches.size or model.options.width with --set, or set "
            "optimiser.accumulate=2",
        ) from error


def make_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    plan: Plan,
    device: torch.device,
    *,
    world: World | None = None,
    frozen: nn.Module | None = None,
) -> Step:
    """A function that does one training step. Its loss is NaN where the step was refused for a NaN.

    The windows are this rank's share of the batch. frozen: a part of `model` that is not trained; it runs in
    eval mode.
    """
    world = world or World.alone()
    called = _prepared(model, plan, world, frozen)
    loss = segmentation_loss(plan.loss, device, objects=plan.targets.objects, over_ranks=world.sum)
    dtype = autocast_dtype(plan.precision, device)
    weights = getattr(model, "loss_weights", None)  # of deep supervision
    slots = world.slots(plan.patches.batch)
    require_pairs(plan.augment, slots)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    buffers = list(model.buffers())

    def forward(images: Tensor) -> Tensor | Sequence[Tensor]:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None), _compiling():
            return called(images)

    def compare(outputs: Tensor | Sequence[Tensor], targets: Tensor, bent: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            return over_outputs(loss, outputs, targets, weights, bent if bent.shape[1] else None)

    def step(number: int, windows: Tensor, masks: Tensor, maps: Tensor, rate: float) -> float:
        for group in optimiser.param_groups:
            group["lr"] = rate
        images, targets, bent = augment_batch(
            windows.to(device, non_blocking=True),
            masks.to(device, non_blocking=True),
            maps.to(device, non_blocking=True),
            plan.augment,
            plan.patches.size,
            [sample_generator(plan.seed, number * plan.patches.batch + slot) for slot in slots],
        )
        statistics = [buffer.clone() for buffer in buffers]
        optimiser.zero_grad(set_to_none=True)
        parts = min(plan.optimiser.accumulate, len(images))
        if parts == 1:
            torch.manual_seed(step_seed(plan.seed, number, world.rank))  # dropout draws from the global one
            value = compare(forward(images), targets, bent)
            scaler.scale(value).backward()
        else:
            value = backward_in_parts(
                forward,
                lambda outputs: compare(outputs, targets, bent),
                images,
                parts,
                scale=scaler.scale,
                seeds=[step_seed(plan.seed, number, world.rank, part) for part in range(parts)],
                buffers=buffers,
            )
        scaler.unscale_(optimiser)
        norm = nn.utils.clip_grad_norm_(trained, plan.optimiser.clip or math.inf)
        finite = bool(torch.isfinite(norm))
        # a scaler skips such steps by itself and lowers its scale; without one a NaN would poison all weights
        if scaler.is_enabled() or finite:
            scaler.step(optimiser)
        scaler.update()
        if finite:
            return value.item()
        for buffer, before in zip(buffers, statistics, strict=True):
            buffer.copy_(before)  # an infinity in the running mean of a batch norm would stay for ever
        return math.nan

    return step


@contextmanager
def _compiling() -> Iterator[None]:
    """Turn what torch.compile cannot do in this block into a ConfigError."""
    try:
        yield
    except Exception as error:
        # by the module: the classes have moved from one torch to the next
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise ConfigError(
            found=f"execution.compile, but torch cannot ({str(error).strip().partition(chr(10))[0]})",
            expected="a network and a machine that torch.compile works for; on a CPU it needs a C++ compiler",
            fix="set execution.compile=false",
        ) from error


def _prepared(
    model: nn.Module, plan: Plan, world: World, frozen: nn.Module | None
) -> Callable[[Tensor], Tensor | Sequence[Tensor]]:
    """What a step calls in place of `model`, whose modules are set to train."""
    called = world.wrap(model)
    model.train()
    if frozen is not None:
        frozen.eval()
    if not plan.execution.compile:
        return called
    return torch.compile(called, dynamic=False)
